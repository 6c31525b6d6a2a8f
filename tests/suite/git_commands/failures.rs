//! Rows in which the store fails.

use std::fs;

use super::trees::{main, pointer, side};
use super::world::World;

pub fn missing_object(w: &mut World) {
    let lost = side()[b"dir/sub/big.bin".as_slice()].clone();
    let (object, kept) = (w.stored(&lost), w.join("kept"));
    fs::rename(&object, &kept).unwrap();
    w.cool();
    let head = w.git(&["rev-parse", "HEAD", "--symbolic-full-name", "HEAD"]);
    let said = w.git_fails(128, &["switch", "-q", "side"]);
    assert_eq!(w.git(&["rev-parse", "HEAD", "--symbolic-full-name", "HEAD"]), head, "HEAD does not move");
    let key = object.strip_prefix(w.join("store")).unwrap().to_str().unwrap().to_owned();
    assert!(said.contains("dir/sub/big.bin") && said.contains(&key), "path and key are named:\n{said}");
    assert!(said.contains("S3LFS_SKIP_DOWNLOAD_ERRORS=1"), "and what to do:\n{said}");
    for (path, content) in side().iter().filter(|(path, content)| path.ends_with(b".bin") && !content.is_empty()) {
        let changed = main().get(path) != Some(content);
        let there = w.cached(content).exists();
        assert_eq!(there, changed && *content != lost, "{} is in the cache", String::from_utf8_lossy(path));
    }
    // Git has replaced some files by then, without noting it in the index, so it takes them for changes
    // of the user's: the same switch wants `-f` now. Commands that overwrite anyway do as they are.
    let said = w.git_fails(1, &["switch", "-q", "side"]);
    assert!(said.contains("would be overwritten"), "it is Git that refuses:\n{said}");
    w.git_fails(128, &["switch", "-q", "-f", "side"]);
    fs::rename(&kept, &object).unwrap();
    w.git(&["switch", "-q", "-f", "side"]);
    w.tree = side();
    w.committed();

    // What overwrites anyway succeeds as the same command.
    w.git(&["switch", "-q", "main"]);
    w.tree = main();
    w.clean();
    fs::rename(&object, &kept).unwrap();
    w.cool();
    w.git_fails(128, &["checkout", "-q", "side", "--", "dir/sub"]);
    w.git_fails(128, &["reset", "-q", "--hard", "side"]);
    fs::rename(&kept, &object).unwrap();
    w.git(&["checkout", "-q", "side", "--", "dir/sub"]);
    w.git(&["reset", "-q", "--hard", "side"]);
    w.tree = side();
    w.committed();

    // A user who does without the file has its pointer, and the file later.
    w.git(&["reset", "-q", "--hard", "main@{1}"]);
    w.tree = main();
    w.committed();
    fs::rename(&object, &kept).unwrap();
    w.cool();
    let top = w.top();
    let skipping = ["-c", "s3lfs.skipdownloaderrors=true", "switch", "-q", "side"];
    let said = w.try_run("git", &top, &skipping, b"");
    assert!(said.status.success(), "a switch that skips download errors succeeds");
    assert!(String::from_utf8_lossy(&said.stderr).contains("1 file (dir/sub/big.bin) left as pointers"));
    w.tree = side();
    w.expect("dir/sub/big.bin", pointer(&lost));
    let tree = w.tree.clone();
    w.check_filled_with_pointers(&top, &tree);
    fs::rename(&kept, &object).unwrap();
    w.s3lfs(&["download-all"]);
    w.tree = side();
    w.committed();
}
