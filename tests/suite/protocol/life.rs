//! Reference, 1.1 and 1.5: beginning, silence, end; and what one process may cost. Linux only, for
//! `/proc`.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use s3lfs::pointer::Pointer;

use super::bench::{Bench, MIB, S3LFS, text};
use super::filter::{Answer, Filter, list, packet, success, wait_until};
use crate::scratch::run;

/// Reading this object never returns: nobody writes into the FIFO.
fn endless_object(bench: &Bench, content: &str) -> Pointer {
    let pointer = Pointer::to(content.as_bytes()).unwrap();
    let made = run(bench.command("mkfifo").arg(bench.object_path(&pointer)), b"");
    assert!(made.status.success(), "{made:?}");
    pointer
}

/// Wait until a download is being tried.
fn wait_for_download(pid: u32) {
    let threads = Path::new("/proc").join(pid.to_string()).join("task");
    let downloading = wait_until(Duration::from_secs(60), || {
        let names = fs::read_dir(&threads).ok()?.filter_map(|t| fs::read_to_string(t.ok()?.path().join("comm")).ok());
        (names.filter(|name| name.starts_with("s3lfs-transfer")).count() >= 2).then_some(())
    });
    downloading.expect("a download begins");
}

#[test]
fn an_end_between_requests_is_success() {
    let bench = Bench::new();
    bench.filter().finish().well();
    let mut filter = bench.filter();
    assert_eq!(filter.clean("f", b"abc"), success(Pointer::to(b"abc").unwrap().encode()));
    assert_eq!(filter.finish().well(), "", "nothing to say");
}

#[test]
fn an_end_inside_a_request_gets_no_answer() {
    let bench = Bench::new();
    let header = list(&[b"command=clean", b"pathname=f"]);
    let smudge = list(&[b"command=smudge", b"pathname=f", b"can-delay=1"]);
    let pointer = bench.cached("content").encode();
    let cases: [(&str, Vec<u8>); 9] = [
        ("inside a length", header[..2].to_vec()),
        ("inside a line", header[..10].to_vec()),
        ("between lines", header[..18].to_vec()),
        ("before the flush of the header", header[..header.len() - 4].to_vec()),
        ("before content", header.clone()),
        ("inside a packet", [&header[..], b"0010half"].concat()),
        ("before the flush of content", [header.clone(), packet(b"content")].concat()),
        ("inside the flush of content", [header.clone(), packet(b"content"), b"00".to_vec()].concat()),
        ("before the flush of a pointer", [smudge, packet(&pointer)].concat()),
    ];
    for (name, bytes) in cases {
        let mut filter = bench.filter();
        filter.send(&bytes);
        let stderr = filter.finish().badly();
        assert!(stderr.starts_with("s3lfs: "), "an end {name} is told: {stderr:?}");
    }
    let content = Pointer::to(b"content").unwrap();
    assert!(fs::metadata(bench.cached_path(&content)).is_ok_and(|m| m.len() == 7), "only what was cached before");
    assert_eq!(bench.state_files().len(), 1, "half a content never enters the cache, nor stays as a temporary file");
}

#[test]
fn an_end_inside_large_content_leaves_nothing() {
    let bench = Bench::new();
    for command in ["clean", "smudge"] {
        let mut filter = bench.filter();
        filter.request(command, "f", &[]);
        text("cut", 3 * MIB).chunks(60_000).for_each(|piece| filter.send_packet(piece));
        filter.finish().badly();
        assert_eq!(bench.state_files().len(), 0, "{command}: no temporary file stays");
    }
}

#[test]
fn impossible_packets_end_the_conversation() {
    let bench = Bench::new();
    for garbage in [b"fff1".as_slice(), b"0001", b"0002", b"0003", b"zzzz", b"\r\n\r\n", b"+010"] {
        for begun in [Vec::new(), list(&[b"command=clean", b"pathname=f"])] {
            let mut filter = bench.filter();
            filter.send(&[&begun, garbage, &[b'x'; 16]].concat());
            filter.finish().badly();
        }
    }
}

#[test]
fn nothing_is_answered_before_all_was_read() {
    let bench = Bench::new();
    let content = text("half", 2 * MIB);
    let pointer = Pointer::to(&content).unwrap();
    let mut filter = bench.filter();
    for (command, answer) in [("clean", success(pointer.encode())), ("smudge", success(&content))] {
        filter.request(command, "f", &[]);
        assert!(filter.is_silent(), "{command}: content follows");
        let (half, rest) = content.split_at(MIB);
        half.chunks(60_000).for_each(|piece| filter.send_packet(piece));
        assert!(filter.is_silent(), "{command}: an answer now could block both sides for ever");
        rest.chunks(60_000).for_each(|piece| filter.send_packet(piece));
        assert!(filter.is_silent(), "{command}: the flush is missing");
        filter.flush();
        assert_eq!(filter.answer(), answer);
    }
    let pointer = bench.stored("content").encode();
    filter.request("smudge", "f", &["can-delay=1"]);
    filter.send_packet(&pointer);
    assert!(filter.is_silent(), "a whole pointer is no end of content either");
    filter.flush();
    assert_eq!(filter.answer(), Answer::Delayed);
    filter.finish().well();
}

#[test]
fn an_answer_is_not_kept_back() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for _ in 0..100 {
        assert_eq!(filter.clean("f", b"abc"), success(Pointer::to(b"abc").unwrap().encode()));
    }
    filter.finish().well();
}

#[test]
fn gone_when_git_is_although_a_list_waits_for_a_download() {
    let bench = Bench::new();
    let pointer = endless_object(&bench, "endless");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed);
    filter.send_list(&[b"command=list_available_blobs"]);
    wait_for_download(filter.pid());
    assert!(filter.is_silent(), "nothing is ready");
    filter.hang_up();
}

#[test]
fn gone_when_git_is_although_a_smudge_waits_for_a_download() {
    let bench = Bench::new();
    let pointer = endless_object(&bench, "endless");
    let mut filter = bench.filter();
    filter.request("smudge", "f", &[]);
    filter.send_content(&pointer.encode());
    wait_for_download(filter.pid());
    assert!(filter.is_silent(), "nothing is ready");
    filter.hang_up();
}

#[test]
fn gone_when_git_is_although_a_delayed_download_is_on_its_way() {
    let bench = Bench::new();
    let pointer = endless_object(&bench, "endless");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed);
    wait_for_download(filter.pid());
    assert_eq!(filter.hang_up(), Some(0), "Git was between two requests");
}

#[test]
fn ready_files_do_not_wait_for_one_that_hangs() {
    let bench = Bench::new();
    let (endless, good) = (endless_object(&bench, "endless"), bench.stored("good"));
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("a", endless.encode()), Answer::Delayed);
    assert_eq!(filter.smudge_can_delay("b", good.encode()), Answer::Delayed);
    assert_eq!(filter.list(), [b"b"]);
    assert_eq!(filter.retry("b"), success("good"));
    filter.send_list(&[b"command=list_available_blobs"]);
    assert!(filter.is_silent(), "an empty list would say that the round is over");
    filter.hang_up();
}

#[test]
fn gone_when_git_was_killed() {
    let bench = Bench::new();
    let pointer = endless_object(&bench, "endless");
    let repo = &bench.repo;
    fs::write(repo.join(".gitattributes"), "*.bin filter=s3lfs -text\n").unwrap();
    // The blob as a pointer, and no filter yet that could object.
    let id = repo.git(&["hash-object", "-w", "--stdin"], &pointer.encode());
    let entry = format!("100644,{},f.bin", String::from_utf8(id).unwrap().trim());
    repo.git(&["update-index", "--add", "--cacheinfo", &entry], b"");
    let start = format!("echo $$ >pid.tmp && mv pid.tmp pid && exec '{S3LFS}' filter-process\n");
    fs::write(repo.join("start"), start).unwrap();
    repo.git(&["config", "filter.s3lfs.process", "sh start"], b"");
    repo.git(&["config", "filter.s3lfs.required", "true"], b"");
    let mut checkout = bench.command("git");
    checkout.args(["checkout", "--", "f.bin"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut git = checkout.spawn().unwrap();
    let pid = wait_until(Duration::from_secs(60), || fs::read_to_string(repo.join("pid")).ok()).expect("Git starts us");
    let pid: u32 = pid.trim().parse().unwrap();
    wait_for_download(pid);
    git.kill().unwrap();
    git.wait().unwrap();
    // Nobody may be there to reap it: a zombie is gone, too.
    let gone = wait_until(Duration::from_secs(5), || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
        matches!(state, None | Some('Z' | 'X')).then_some(())
    });
    if gone.is_none() {
        run(bench.command("kill").args(["-9", &pid.to_string()]), b"");
    }
    assert!(gone.is_some(), "the filter with the process id {pid} stayed after Git was killed");
}

#[test]
fn traces_stay_off_stdout() {
    let bench = Bench::new().env("S3LFS_LOG", "trace");
    let pointer = bench.stored(text("traced", 100_000));
    let mut filter = bench.filter();
    assert_eq!(filter.clean("f", b"abc"), success(Pointer::to(b"abc").unwrap().encode()));
    assert_eq!(filter.smudge_can_delay("g", pointer.encode()), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("g".to_owned(), success(text("traced", 100_000)))]);
    assert_eq!(filter.smudge("h", Pointer::to(b"nowhere").unwrap().encode()), Answer::Error);
    assert!(filter.finish().well().lines().count() > 1, "there is a log, and it is on stderr");
}

#[test]
fn two_filters_at_once_share_the_cache() {
    let bench = Bench::new();
    let content = text("both", 3 * MIB);
    let pointer = Pointer::to(&content).unwrap();
    let mut filters = [bench.filter(), bench.filter()];
    for piece in content.chunks(MIB) {
        for filter in &mut filters {
            if piece.as_ptr() == content.as_ptr() {
                filter.request("clean", "f", &[]);
            }
            piece.chunks(60_000).for_each(|data| filter.send_packet(data));
        }
    }
    for mut filter in filters {
        filter.flush();
        assert_eq!(filter.answer(), success(pointer.encode()));
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content));
        filter.finish().well();
    }
    assert_eq!(bench.state_files(), [bench.cached_path(&pointer)], "one object, nothing left over");
}

/// Peak of resident memory in MiB.
fn peak(filter: &Filter) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", filter.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[test]
fn memory_stays_below_128_mib_for_300_mib_of_content() {
    const SIZE: usize = 300 * MIB;
    let bench = Bench::new();
    let mut filter = bench.filter();
    let piece = packet(&[0; 65516]);
    filter.request("clean", "f", &[]);
    for _ in 0..SIZE / 65516 {
        filter.send(&piece);
    }
    filter.send_packet(&[0; SIZE % 65516]);
    filter.flush();
    let Answer::Success(blob) = filter.answer() else { panic!("clean succeeds") };
    let pointer = Pointer::parse(&blob).unwrap();
    assert_eq!(pointer.size, SIZE as u64);
    assert!(peak(&filter) < 128, "clean needed {} MiB", peak(&filter));

    let from_cache = |filter: &mut Filter| {
        filter.request("smudge", "f", &["can-delay=1"]);
        filter.send_content(&blob);
        assert_eq!(filter.read_list(), [b"status=success"]);
        let (mut len, mut zeros) = (0, true);
        filter.each_packet(|data| {
            len += data.len();
            zeros &= data == &piece[4..][..data.len()];
        });
        assert!(filter.read_list().is_empty() && len == SIZE && zeros, "{len} bytes came back");
    };
    from_cache(&mut filter);
    assert!(peak(&filter) < 128, "smudge from the cache needed {} MiB", peak(&filter));
    filter.finish().well();

    // A small gzip object, and as many bytes again: from the store to the cache to Git.
    let gzip = run(bench.command("sh").args(["-c", "gzip -1 <\"$0\""]).arg(bench.cached_path(&pointer)), b"");
    assert!(gzip.status.success(), "{gzip:?}");
    bench.put(&pointer, &gzip.stdout);
    fs::remove_file(bench.cached_path(&pointer)).unwrap();
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", &blob), Answer::Delayed);
    assert_eq!(filter.list(), [b"f"]);
    from_cache(&mut filter);
    assert!(peak(&filter) < 128, "a download needed {} MiB", peak(&filter));
    assert!(filter.list().is_empty());
    filter.finish().well();

    // Passed through: a large file that is not a pointer, in Git all the same.
    let mut filter = bench.filter();
    filter.request("smudge", "raw", &[]);
    for _ in 0..SIZE / 65516 {
        filter.send(&piece);
    }
    filter.flush();
    assert_eq!(filter.read_list(), [b"status=success"]);
    let mut len = 0;
    filter.each_packet(|data| len += data.len());
    assert!(filter.read_list().is_empty() && len == SIZE / 65516 * 65516, "{len} bytes passed");
    assert!(peak(&filter) < 128, "passing through needed {} MiB", peak(&filter));
    filter.finish().well();
}
