//! Large content that is written to the worktree while it comes: only what was hashed, and never instead of the cache.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3lfs::cache::LocalCache;
use s3lfs::oid::Oid;
use s3lfs::remote::Remote;
use s3lfs::store::codec::Compression;
use s3lfs::store::{Access, Signing, Store};
use s3lfs::transfer::{Item, Job, NextDone, Options, Patience, Transfer, Twins};

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::Op;

/// Takes down what it was asked, and what a file held when it was called whole.
struct Notes {
    /// Whether its files can be written.
    takes: bool,
    begun: Mutex<Vec<(u64, File)>>,
    whole: Mutex<Vec<Vec<u8>>>,
    lost: Mutex<usize>,
}

impl Notes {
    fn new(takes: bool) -> Arc<Self> {
        Arc::new(Notes { takes, begun: Mutex::default(), whole: Mutex::default(), lost: Mutex::default() })
    }
}

impl Twins for Notes {
    fn begin(&self, _: &Item, len: u64) -> Option<File> {
        let file = if self.takes { tempfile::tempfile().unwrap() } else { File::open("/dev/null").unwrap() };
        self.begun.lock().unwrap().push((len, file.try_clone().unwrap()));
        Some(file)
    }

    fn whole(&self, _: &Item) {
        let mut bytes = Vec::new();
        let mut begun = self.begun.lock().unwrap();
        let (_, file) = begun.last_mut().unwrap();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        self.whole.lock().unwrap().push(bytes);
    }

    fn lost(&self, _: &Item) {
        *self.lost.lock().unwrap() += 1;
    }
}

/// Download this content into an empty cache; whether that went well.
fn download(bench: &Bench, content: &[u8], twins: &Arc<Notes>) -> bool {
    bench.server.make_public();
    let dir = tempfile::tempdir().unwrap();
    let remote = Remote::new(bench.server.bucket(), "proj", Some(&bench.server.url())).unwrap();
    let store = Store::open(&remote, &Access { signing: Signing::Anonymous, ..Access::default() }).unwrap();
    let options = Options { jobs: Some(4), compression: Compression::None, patience: Patience::Short };
    let cache = LocalCache::new(dir.path());
    let mut transfer = Transfer::new(cache.clone(), store, Vec::new(), options);
    transfer.want_twins(Arc::clone(twins) as _);
    let item = Item { oid: Oid::of(content), size: Some(content.len() as u64) };
    transfer.start(Job::Download(item));
    let NextDone::Done(done) = transfer.next_done(Duration::from_secs(600)) else { panic!("the job ends") };
    let cached = std::fs::read(cache.object_path(&item.oid));
    assert_eq!(done.result.is_ok(), cached.is_ok_and(|bytes| bytes == content), "{:?}", done.result);
    done.result.is_ok()
}

#[test]
fn what_comes_is_written_twice_and_called_whole_when_it_was_hashed() {
    let content = random(20 << 20, 41);
    let (bench, twins) = (Bench::with(&content), Notes::new(true));
    assert!(download(&bench, &content, &twins));
    assert!(*twins.whole.lock().unwrap() == [content.clone()], "it is the content, once");
    assert_eq!(twins.begun.lock().unwrap()[0].0, content.len() as u64);

    let (small, twins) = (Bench::with(b"content"), Notes::new(true));
    assert!(download(&small, b"content", &twins));
    assert!(twins.begun.lock().unwrap().is_empty(), "little is copied in no time");
}

#[test]
fn what_is_not_the_content_is_never_called_whole() {
    let (content, other) = (random(20 << 20, 42), random(20 << 20, 43));
    let (bench, twins) = (Bench::with(&content), Notes::new(true));
    std::fs::write(bench.object(&content), &other).unwrap();
    assert!(!download(&bench, &content, &twins));
    assert!(!twins.begun.lock().unwrap().is_empty() && twins.whole.lock().unwrap().is_empty());

    // It broke off in the middle: what came is no whole file.
    let (bench, twins) = (Bench::with(&content), Notes::new(true));
    bench.server.fault(Op::Get, 2, Fault::Nothing);
    bench.server.fault(Op::Get, 1000, Fault::Refuse(403, "AccessDenied"));
    assert!(!download(&bench, &content, &twins));
    assert!(twins.whole.lock().unwrap().is_empty());
}

#[test]
fn a_file_that_can_not_be_written_does_not_stop_the_download() {
    let content = random(20 << 20, 44);
    let (bench, twins) = (Bench::with(&content), Notes::new(false));
    assert!(download(&bench, &content, &twins));
    assert_eq!(*twins.lost.lock().unwrap(), 1, "that is said, once");
    assert!(!twins.begun.lock().unwrap().is_empty() && twins.whole.lock().unwrap().is_empty());
}

#[test]
fn each_file_of_one_content_gets_it_with_its_own_mode() {
    let (one, other) = (random(20 << 20, 45), random(17 << 20, 46));
    let bench = Bench::ready();
    let work = bench.work();
    for (path, content) in [("a.bin", &one), ("d/run.bin", &one), ("run.bin", &other)] {
        work.write(path, content);
    }
    work.git(&["add", "."]).ok();
    work.git(&["update-index", "--chmod=+x", "d/run.bin", "run.bin"]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    work.git(&["push", "-q"]).ok();
    for path in ["a.bin", "d/run.bin", "run.bin"] {
        work.leave_pointer(path);
    }
    work.s3lfs(&["download-all"]).ok().says(&["3 files written"]);
    for (path, content, may_run) in [("a.bin", &one, false), ("d/run.bin", &one, true), ("run.bin", &other, true)] {
        assert!(work.read(path) == *content, "{path} has its content");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(work.join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o100 != 0, may_run, "{path} has its mode: {mode:o}");
        }
    }
    assert_eq!(std::fs::read_dir(work.join(".git/s3lfs/tmp")).unwrap().count(), 0, "nothing else stays");
    work.is_clean();
    work.s3lfs(&["verify", "--deep"]).ok();
}

#[test]
fn a_file_that_was_swept_meanwhile_is_copied_from_the_cache() {
    let content = random(20 << 20, 47);
    let bench = Bench::ready();
    let work = bench.work();
    work.commit("a.bin", &content);
    work.git(&["push", "-q"]).ok();
    work.leave_pointer("a.bin");
    // It waits for that, with all that came.
    work.write(".git/index.lock", "");
    let mut command = work.command("s3lfs");
    command.arg("download-all").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let oid = Oid::of(&content).hex();
    let cached = work.join(&format!(".git/s3lfs/objects/{}/{oid}", &oid[..2]));
    bench.waits_for("the content is in the cache", || cached.exists());
    let written: Vec<_> = std::fs::read_dir(work.join(".git/s3lfs/tmp")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(written.len(), 1, "it was written as it came");
    std::fs::remove_file(&written[0]).unwrap();
    work.remove(".git/index.lock");
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "it succeeds: {}", String::from_utf8_lossy(&ended.stderr));
    assert!(work.read("a.bin") == content);
    work.is_clean();
}
