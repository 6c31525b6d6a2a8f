//! Rows that join and rewrite history.

use super::trees::{TO_SIDE, main, noise, side, write_file};
use super::world::World;

/// Commit `content` at `path`, with whatever else has changed.
fn commit(w: &mut World, path: &str, content: impl AsRef<[u8]>) {
    w.write(path, content);
    w.git(&["add", "-A"]);
    w.git(&["commit", "-q", "-m", path]);
}

pub fn merge(w: &mut World) {
    commit(w, "b.bin", "ours\n");
    w.git_delaying(TO_SIDE, &["merge", "-q", "--no-edit", "side"]);
    w.tree = side();
    w.expect("b.bin", "ours\n");
    w.committed();
    w.git(&["rev-parse", "--verify", "-q", "HEAD^2"]);
    w.git(&["reset", "-q", "--hard", "HEAD~1"]);
    w.git(&["merge", "-q", "--squash", "side"]);
    w.git(&["commit", "-q", "-m", "squashed"]);
    w.committed();
}

pub fn merge_fast_forward(w: &mut World) {
    w.git_delaying(TO_SIDE, &["merge", "-q", "--ff-only", "side"]);
    w.tree = side();
    w.committed();
    w.git(&["reset", "-q", "--hard", "HEAD~1"]);
    w.cool();
    w.git(&["merge", "-q", "--no-ff", "--no-edit", "side"]);
    w.committed();
}

pub fn merge_conflict(w: &mut World) {
    let ours = noise(30, 4_000);
    commit(w, "a.bin", &ours);
    let before = w.tree.clone();
    let conflict = [
        "UU a.bin",
        "M  copy.bin",
        "D  dir/c.bin",
        "M  dir/sub/big.bin",
        "M  empty.bin",
        "A  new/n.bin",
        "M  note.txt",
        "M  run.x.bin",
        "M  .s3_manifest.json",
    ];
    w.cool();
    w.git_fails(1, &["merge", "-q", "side"]);
    w.tree = side();
    w.expect("a.bin", &ours);
    w.dirty(&conflict);
    w.cool();
    w.git(&["merge", "--abort"]);
    w.tree = before;
    w.committed();
    w.git_fails(1, &["merge", "-q", "side"]);
    // Not delayed: Git would name the blob of the other side when it asks again, or crash (--merge).
    w.git_delaying(0, &["checkout", "-q", "--theirs", "a.bin"]);
    w.tree = side();
    w.dirty(&conflict);
    w.git_delaying(0, &["checkout", "-q", "--ours", "a.bin"]);
    w.expect("a.bin", &ours);
    w.dirty(&conflict);
    w.git_delaying(0, &["checkout", "-q", "--merge", "a.bin"]);
    w.expect("a.bin", &ours);
    w.dirty(&conflict);
    w.write("a.bin", "a third content\n");
    w.git(&["add", "a.bin"]);
    w.git(&["commit", "-q", "--no-edit"]);
    w.committed();
    // Git remembers the conflict beyond the commit.
    w.git_delaying(0, &["checkout", "-q", "--merge", "a.bin"]);
    w.expect("a.bin", &ours);
    w.dirty(&["UU a.bin"]);
    w.git(&["checkout", "-q", "HEAD", "--", "a.bin"]);
    w.expect("a.bin", "a third content\n");
    w.clean();
}

pub fn rebase(w: &mut World) {
    w.git(&["switch", "-q", "-c", "topic"]);
    commit(w, "a.bin", noise(30, 4_000));
    w.write("dir/c.bin", noise(31, 4_000));
    commit(w, "t.bin", noise(32, 4_000));
    w.git(&["rm", "-q", "b.bin"]);
    w.expect_none("b.bin");
    commit(w, "t.bin", noise(33, 4_000));
    commit(w, "copy.bin", noise(34, 4_000));
    let mut expected = w.tree.clone();
    w.git(&["switch", "-q", "main"]);
    w.tree = main();
    w.write("note.txt", "zero\none\ntwo\nthree\n");
    commit(w, "dir/same.bin", "changed on main\n");
    for path in ["note.txt", "dir/same.bin"] {
        expected.insert(path.into(), w.tree[path.as_bytes()].clone());
    }
    w.git(&["switch", "-q", "topic"]);
    // First main's a, b, c, copy and same; then what each of the four commits brings.
    let filters = w.git_delaying(5 + 1 + 2 + 1 + 1, &["rebase", "-q", "main"]);
    assert_eq!(filters, 1, "one filter process goes through all rounds");
    w.tree = expected;
    w.committed();
    assert_eq!(w.git(&["rev-list", "--count", "main..topic"]), b"4\n");
    w.cool();
    w.git(&["rebase", "-q", "--force-rebase", "--root"]);
    w.committed();
}

pub fn rebase_conflict(w: &mut World) {
    w.git(&["switch", "-q", "-c", "topic"]);
    commit(w, "a.bin", "topic\n");
    commit(w, "t.bin", "after it\n");
    let before = w.tree.clone();
    w.git(&["switch", "-q", "main"]);
    w.tree = main();
    commit(w, "a.bin", "main\n");
    w.git(&["switch", "-q", "topic"]);
    w.cool();
    w.git_fails(1, &["rebase", "-q", "main"]);
    w.dirty(&["UU a.bin"]);
    w.git(&["rebase", "--abort"]);
    w.tree = before;
    w.committed();
    w.git_fails(1, &["rebase", "-q", "main"]);
    w.git(&["checkout", "-q", "--theirs", "a.bin"]);
    w.git(&["add", "a.bin"]);
    w.git(&["rebase", "--continue"]);
    w.clean();
    // Git runs no pre-commit hook for this, so the manifest says still what our side had; the next commit
    // projects it.
    commit(w, "b.bin", "afterwards\n");
    w.committed();
}

pub fn pull_rebase_autostash(w: &mut World) {
    let (remote, other, here) = (w.join("remote.git"), w.join("other"), w.home());
    let url = format!("file://{}", remote.display());
    w.git_in(&here, &[&["init", "-q", "--bare"], w.form.init_options(), &[remote.to_str().unwrap()]].concat());
    w.git(&["remote", "add", "origin", &url]);
    w.git(&["push", "-q", "-u", "origin", "main"]);
    let clone = ["clone", &url, other.to_str().unwrap(), "--"];
    w.s3lfs_in(&here, &[clone.as_slice(), w.form.clone_options()].concat());
    w.check(&other, &main(), &[]);
    write_file(&other, b"a.bin", b"from another clone\n");
    w.git_in(&other, &["commit", "-q", "-a", "-m", "there"]);
    w.git_in(&other, &["push", "-q"]);
    commit(w, "b.bin", "from here\n");
    w.write("dir/c.bin", noise(30, 4_000));
    w.cool();
    w.git(&["pull", "-q", "--rebase", "--autostash"]);
    w.expect("a.bin", "from another clone\n");
    w.dirty(&[" M dir/c.bin"]);
    w.manifest_follows();
    w.git(&["push", "-q"]);
    w.git_in(&other, &["pull", "-q"]);
    let mut pulled = main();
    pulled.extend([("a.bin", "from another clone\n"), ("b.bin", "from here\n")].map(|(p, c)| (p.into(), c.into())));
    w.check(&other, &pulled, &[]);
}

pub fn cherry_pick(w: &mut World) {
    w.git(&["switch", "-q", "-c", "topic"]);
    commit(w, "a.bin", noise(30, 4_000));
    commit(w, "t.bin", noise(31, 4_000));
    w.git(&["switch", "-q", "main"]);
    w.tree = main();
    commit(w, "b.bin", "ours\n");
    w.git_delaying(2, &["cherry-pick", "topic~2..topic"]);
    w.expect("a.bin", noise(30, 4_000));
    w.expect("t.bin", noise(31, 4_000));
    w.committed();
    let before = w.tree.clone();
    w.cool();
    w.git_fails(1, &["cherry-pick", "side"]);
    w.tree.extend(
        side().into_iter().filter(|(path, _)| !["a.bin", "b.bin"].map(str::as_bytes).contains(&path.as_slice())),
    );
    w.expect_none("dir/c.bin");
    w.dirty(&[
        "UU a.bin",
        "M  copy.bin",
        "D  dir/c.bin",
        "M  dir/sub/big.bin",
        "M  empty.bin",
        "A  new/n.bin",
        "M  note.txt",
        "M  run.x.bin",
        "M  .s3_manifest.json",
    ]);
    w.git(&["cherry-pick", "--abort"]);
    w.tree = before;
    w.committed();
}

pub fn revert(w: &mut World) {
    commit(w, "a.bin", noise(30, 4_000));
    commit(w, "b.bin", "later\n");
    w.git_delaying(1, &["revert", "--no-edit", "HEAD~1"]);
    w.expect("a.bin", &main()[b"a.bin".as_slice()]);
    w.committed();
    w.git_delaying(1, &["revert", "--no-edit", "HEAD"]);
    w.expect("a.bin", noise(30, 4_000));
    w.committed();
    w.git(&["revert", "--no-commit", "HEAD~3..HEAD~2"]);
    w.expect("b.bin", &main()[b"b.bin".as_slice()]);
    w.git(&["commit", "-q", "-m", "with the hook"]);
    w.committed();
}

pub fn am(w: &mut World) {
    let patch = w.git(&["format-patch", "--stdout", "--binary", "main..side"]);
    w.cool();
    w.git_with(&["am", "-q"], &patch);
    w.tree = side();
    w.committed();
    // The manifest has changed around the patch: it takes our merge driver.
    w.git(&["reset", "-q", "--hard", "HEAD~1"]);
    commit(w, "b.bin", "ours\n");
    w.cool();
    w.git_with(&["am", "-q", "-3"], &patch);
    w.tree = side();
    w.expect("b.bin", "ours\n");
    w.committed();
}

pub fn apply(w: &mut World) {
    let patch = w.git(&["diff", "--binary", "main", "side", "--", ".", ":!.s3_manifest.json"]);
    w.cool();
    w.git_with(&["apply"], &patch);
    w.tree = side();
    w.dirty(&[
        " M a.bin",
        " M copy.bin",
        " D dir/c.bin",
        " M dir/sub/big.bin",
        " M empty.bin",
        "?? new/n.bin",
        " M note.txt",
        " M run.x.bin",
    ]);
    w.cool();
    w.git_with(&["apply", "-R"], &patch);
    w.tree = main();
    w.clean();
    w.cool();
    w.git_with(&["apply", "--index"], &patch);
    w.tree = side();
    w.git(&["commit", "-q", "-m", "applied"]);
    w.committed();
}
