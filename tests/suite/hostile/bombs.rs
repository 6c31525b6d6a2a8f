//! What would exhaust memory, disk or arithmetic: sizes that lie, objects that unpack without end, manifests of a
//! gibibyte, nesting without end.
//!
//! Apart because each run is measured.

use std::fs::{self, File};
use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::stage;
use crate::s3::memory::{high_water_and_code, high_water_of};
use crate::world::{MANIFEST, World, oid, pointer};

/// Gzip of so many MiB of zeros, a member for each.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(&vec![0; 1 << 20]).unwrap();
    member.finish().unwrap().repeat(mebibytes)
}

#[test]
fn a_gzip_bomb_stops_at_the_pointers_size() {
    let world = World::with_a();
    let work = world.at("work");
    let content = b"content of a\n";
    fs::write(world.object(content), zeros(512)).unwrap();
    work.leave_pointer("a.bin");
    for line in ["s3lfs download a.bin", "s3lfs download-all", "rm a.bin; git checkout -- a.bin"] {
        // No file that it writes may grow beyond 1 MiB (512 bytes each, or 1024 in some shells).
        let ran = work.sh(&format!("ulimit -f 1024; {line}"));
        assert!(ran.code > 0 && ran.code != 153, "it fails, and not by SIGXFSZ: {ran:#?}");
        ran.says(&["a.bin", &oid(content)]);
        assert!(!work.exists("a.bin") || work.text("a.bin") == pointer(content), "nothing of it is delivered");
    }
    assert_eq!(fs::read_dir(work.join(".git/s3lfs/tmp")).map_or(0, Iterator::count), 0, "and nothing stays");
}

#[test]
fn sizes_that_no_file_has_are_no_sizes_to_reckon_with() {
    let world = World::with_a();
    let work = world.at("work");
    let largest = |n: u8| format!("version s3lfs/1\noid sha256:{}\nsize {}\n", oid(&[n]), i64::MAX);
    // Three of them are more than any integer here can hold.
    for n in 0..4 {
        stage(&work, &format!("h{n}.bin"), largest(n).as_bytes());
    }
    let beyond = largest(9).replace(&i64::MAX.to_string(), "9223372036854775808");
    stage(&work, "beyond.bin", beyond.as_bytes());
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qm", "huge"]).ok();
    for n in 0..4 {
        let object = world.object(&[n]);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(object, [b"tiny".to_vec(), zeros(1)][usize::from(n % 2)].as_slice()).unwrap();
    }
    work.sh("rm -f *.bin; git checkout -- . 2>err; true").ok();
    for args in [
        &["ls"][..],
        &["ls", "--json"],
        &["status"],
        &["verify"],
        &["download-all"],
        &["download", "h0.bin"],
        &["fsck"],
        &["cleanup", "--dry-run"],
        &["prune"],
        &["verify", "--deep"],
        &["track-modified", "--staged"],
        &["du"],
        &["du", "HEAD"],
    ] {
        let ran = work.s3lfs(args);
        assert!((0..=3).contains(&ran.code), "{args:?} ends by itself: {ran:#?}");
        let (memory, _) = high_water_and_code(&work, args);
        assert!(memory >> 10 < 128, "{args:?} sets no room aside for what is not there: {} MiB", memory >> 10);
    }
    for n in 0..4 {
        assert!(!work.exists(&format!("h{n}.bin")) || work.text(&format!("h{n}.bin")) == largest(n));
    }
    let pushed = work.git(&["push", "-q"]);
    assert_ne!(pushed.code, 0, "the push gate does not take it for stored");
}

/// Commands that read the manifest, and one that writes it.
const READERS: [&[&str]; 4] = [&["status"], &["ls"], &["download", "a.bin"], &["download-all"]];

#[test]
fn a_manifest_of_a_gibibyte_is_not_read() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    // Sparse: it takes no room. Git itself hashes all of it, again and again.
    let full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    let len = if full { 1 << 30 } else { (256 << 20) + 1 };
    File::create(work.join(MANIFEST)).unwrap().set_len(len).unwrap();
    for args in READERS {
        let (memory, code) = high_water_and_code(&work, args);
        assert_eq!(code, Some(0), "{args:?}: reading goes by the index's manifest");
        assert!(memory >> 10 < 128, "{args:?} takes {} MiB", memory >> 10);
    }
    assert_eq!(work.read("a.bin"), b"content of a\n");
    for args in [&["upload", "a.bin"][..], &["trust"]] {
        work.s3lfs(args).fails(1).says(&[MANIFEST, "larger than 256 MiB"]);
    }
}

#[test]
fn nor_is_one_that_was_committed() {
    let world = World::with_a();
    let work = world.at("work");
    let sparse = world.path("sparse");
    File::create(&sparse).unwrap().set_len((256 << 20) + 1).unwrap();
    let id = work.git(&["hash-object", "-w", "--no-filters", sparse.to_str().unwrap()]).ok().stdout;
    super::stage_many(&work, &[("100644", id.trim(), MANIFEST)]);
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qm", "huge"]).ok();
    work.remove(MANIFEST);
    for args in [&["status"][..], &["ls"], &["download", "--force", "a.bin"]] {
        let (memory, code) = high_water_and_code(&work, args);
        assert_eq!(code, Some(0), "{args:?}: it is passed over");
        assert!(memory >> 10 < 128, "{args:?} takes {} MiB", memory >> 10);
    }
    work.write("a.bin", "changed");
    work.git(&["add", "a.bin"]).ok();
    let ran = work.git(&["commit", "-qm", "more"]);
    assert_ne!(ran.code, 0, "the hook can't project into it: {ran:#?}");
    ran.says(&["256 MiB"]);

    // Somewhere in the history: what it names can't be known, so whoever has to know it stops.
    work.git(&["branch", "-q", "huge"]).ok();
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    let huge = work.git(&["rev-parse", "huge"]).ok().stdout;
    let zeros = "0".repeat(huge.trim().len());
    work.write(".git/pushed", format!("refs/heads/huge {} refs/heads/x {zeros}\n", huge.trim()));
    let cached = fs::read_dir(work.join(".git/s3lfs/objects")).unwrap().count();
    for (args, named) in [
        (&["cleanup", "--dry-run", "--local-refs-only", "--force"][..], id.trim()),
        (&["verify", "--all"], id.trim()),
        (&["verify", "huge"], id.trim()),
        (&["prune"], id.trim()),
        (&["hook", "pre-push", "origin", &world.url("remote.git")], MANIFEST),
    ] {
        let mut command = work.command("s3lfs");
        command.args(args).stdin(File::open(work.join(".git/pushed")).unwrap());
        let (memory, code) = high_water_of(&mut command);
        assert_eq!(code, Some(1), "{args:?} stops");
        assert!(memory >> 10 < 128, "{args:?} takes {} MiB", memory >> 10);
        let ran = work.sh(&format!("s3lfs '{}' <.git/pushed", args.join("' '"))).fails(1);
        ran.says(&["256 MiB", named]);
    }
    assert_eq!(fs::read_dir(work.join(".git/s3lfs/objects")).unwrap().count(), cached, "nothing was dropped");
}

#[test]
fn a_manifest_that_is_a_link_is_not_followed() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    for target in ["/dev/zero", "/dev/stdin", "../outside", "nowhere"] {
        fs::write(world.path("outside"), work.blob(&format!(":{MANIFEST}"))).unwrap();
        work.remove(MANIFEST);
        std::os::unix::fs::symlink(target, work.join(MANIFEST)).unwrap();
        for args in READERS {
            let (memory, code) = high_water_and_code(&work, args);
            assert_eq!(code, Some(0), "{target}: {args:?} goes by the index's manifest");
            assert!(memory >> 10 < 128, "{target}: {args:?} takes {} MiB", memory >> 10);
        }
        work.s3lfs(&["trust"]).fails(1).says(&[MANIFEST, "no regular file"]);
    }
}

#[test]
fn nesting_and_lists_without_end_are_refused() {
    let world = World::with_a();
    let work = world.at("work");
    let good = work.text(MANIFEST);
    let with = |value: &str| good.replacen('{', &format!("{{\n\"x\": {value},"), 1);
    let deep = "[".repeat(200_000);
    let cases = [
        ("unclosed", "[".repeat(2_000_000)),
        ("unclosed objects", "{\"a\":".repeat(500_000)),
        ("deep in an unknown key", with(&format!("{deep}{}", "]".repeat(200_000)))),
        ("deep in files", good.replacen("\"files\": {", &format!("\"files\": {{\"d\": {deep}"), 1)),
        ("long in an unknown key", with(&format!("[{}0]", "0,".repeat(4_000_000)))),
    ];
    for (name, text) in cases {
        work.write(MANIFEST, text);
        for args in [&["status"][..], &["ls"], &["trust"]] {
            let (memory, code) = high_water_and_code(&work, args);
            assert_eq!(code, Some(i32::from(args == ["trust"])), "{name}: {args:?} ends by itself");
            assert!(memory >> 10 < 256, "{name}: {args:?} takes {} MiB", memory >> 10);
        }
        work.s3lfs(&["trust"]).fails(1).says(&[MANIFEST]);
    }
    let yaml = [format!("files: {deep}"), "a: {".repeat(100_000), "- ".repeat(100_000), "&a [*a]".repeat(100_000)];
    work.git(&["rm", "-q", "-f", "--cached", MANIFEST]).ok();
    work.remove(MANIFEST);
    for text in yaml {
        work.write(".s3_manifest.yaml", text);
        let (memory, code) = high_water_and_code(&work, &["status"]);
        assert_eq!(code, Some(0), "a broken one is passed over");
        assert!(memory >> 10 < 256, "{} MiB", memory >> 10);
    }
}
