//! Rows that bring content into a worktree without making history.

use std::fs;

use super::trees::{TO_MAIN, TO_SIDE, Tree, compare, files_of, main, noise, side};
use super::world::World;

pub fn switch(w: &mut World) {
    assert_eq!(w.git_delaying(TO_SIDE, &["switch", "-q", "side"]), 1, "one filter process");
    w.tree = side();
    w.committed();
    w.git_delaying(TO_MAIN, &["checkout", "-q", "main"]);
    w.tree = main();
    w.committed();
    w.git(&["switch", "-q", "--detach", "side"]);
    w.tree = side();
    w.clean();
    w.git(&["switch", "-q", "main"]);
    w.tree = main();
    // A change of the user's goes along where the branches agree, and stops Git where they don't.
    w.write("b.bin", "changed here\n");
    w.git(&["switch", "-q", "side"]);
    w.tree = side();
    w.expect("b.bin", "changed here\n");
    w.dirty(&[" M b.bin"]);
    w.write("a.bin", "in the way\n");
    w.git_fails(1, &["switch", "-q", "main"]);
    w.dirty(&[" M a.bin", " M b.bin"]);
    w.cool();
    w.git(&["switch", "-q", "-f", "main"]);
    w.tree = main();
    w.clean();
    // With -m a change comes along as a conflict: the worktree has the branch's content, stage 3 the user's.
    w.write("a.bin", "carried along\n");
    w.cool();
    w.git(&["switch", "-q", "-m", "side"]);
    w.tree = side();
    w.dirty(&["UU a.bin"]);
    w.git(&["checkout", "-q", "--theirs", "a.bin"]);
    w.expect("a.bin", "carried along\n");
    w.dirty(&["UU a.bin"]);
}

pub fn checkout_paths(w: &mut World) {
    w.write("a.bin", "changed\n");
    w.remove("dir/c.bin");
    w.write("dir/same.bin", "");
    w.git_delaying(3, &["checkout", "-q", "--", "a.bin", "dir"]);
    w.tree = main();
    w.clean();
    w.git_delaying(3, &["checkout", "-q", "side", "--", "a.bin", "copy.bin", "empty.bin", "run.x.bin"]);
    for path in ["a.bin", "copy.bin", "empty.bin", "run.x.bin"] {
        w.expect(path, &side()[path.as_bytes()]);
    }
    w.dirty(&["M  a.bin", "M  copy.bin", "M  empty.bin", "M  run.x.bin"]);
    w.git(&["checkout", "-q", "HEAD", "--", "."]);
    w.tree = main();
    w.clean();
}

pub fn restore(w: &mut World) {
    w.write("a.bin", "changed\n");
    w.write("b.bin", "staged\n");
    w.git(&["add", "b.bin"]);
    w.git_delaying(1, &["restore", "a.bin"]);
    w.expect("a.bin", &main()[b"a.bin".as_slice()]);
    w.dirty(&["M  b.bin"]);
    w.git(&["restore", "--staged", "b.bin"]);
    w.dirty(&[" M b.bin"]);
    w.git_delaying(1, &["restore", "--source=side", "--staged", "--worktree", "dir/sub"]);
    w.expect("dir/sub/big.bin", &side()[b"dir/sub/big.bin".as_slice()]);
    w.dirty(&[" M b.bin", "M  dir/sub/big.bin"]);
    w.git_delaying(2, &["restore", "-S", "-W", "--source=HEAD", "."]);
    w.tree = main();
    w.clean();
}

pub fn reset_hard(w: &mut World) {
    w.write("a.bin", "changed\n");
    w.remove("dir/c.bin");
    w.write("staged.bin", "goes\n");
    w.git(&["add", "staged.bin"]);
    w.git_delaying(2, &["reset", "-q", "--hard"]);
    w.tree = main();
    w.clean();
    w.git_delaying(TO_SIDE, &["reset", "-q", "--hard", "side"]);
    w.tree = side();
    w.committed();
    w.git_delaying(TO_MAIN, &["reset", "-q", "--hard", "ORIG_HEAD"]);
    w.tree = main();
    w.committed();
}

pub fn reset_mixed(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.write("n.bin", "new\n");
    w.git(&["add", "."]);
    w.git(&["commit", "-q", "-m", "to be taken back"]);
    w.git(&["reset", "-q", "HEAD~1"]);
    w.dirty(&[" M .s3_manifest.json", " M a.bin", "?? n.bin"]);
    w.git(&["add", "-A"]);
    w.git(&["commit", "-q", "-m", "again"]);
    w.committed();
    w.git(&["reset", "-q", "--soft", "HEAD~1"]);
    w.dirty(&["M  .s3_manifest.json", "M  a.bin", "A  n.bin"]);
    // Less than before is committed: the manifest that is staged already must not say more.
    w.git(&["reset", "-q", "--", "a.bin"]);
    w.git(&["commit", "-q", "-m", "half of it"]);
    w.dirty(&[" M a.bin"]);
    w.manifest_follows();
    w.git(&["commit", "-q", "-a", "-m", "the other half"]);
    w.committed();
}

pub fn sparse_checkout(w: &mut World) {
    let top_only = |tree: Tree| -> Tree { tree.into_iter().filter(|(path, _)| !path.contains(&b'/')).collect() };
    w.git(&["sparse-checkout", "set", "--cone", "new"]);
    w.tree = top_only(main());
    w.clean();
    // copy.bin, at the top, has the content of dir/same.bin; the cache is empty all the same.
    w.git_delaying(3, &["sparse-checkout", "add", "dir/sub"]);
    w.tree = main();
    w.clean();
    w.git(&["sparse-checkout", "set", "--cone", "new"]);
    w.git_delaying(TO_SIDE - 1, &["switch", "-q", "side"]);
    w.tree = top_only(side());
    w.expect("new/n.bin", &side()[b"new/n.bin".as_slice()]);
    w.clean();
    w.write("a.bin", noise(30, 4_000));
    w.git(&["commit", "-q", "-a", "-m", "in a sparse worktree"]);
    w.committed();
    w.git_delaying(2, &["sparse-checkout", "disable"]);
    w.tree = side();
    w.expect("a.bin", noise(30, 4_000));
    w.committed();
}

pub fn sparse_index(w: &mut World) {
    w.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "new"]);
    w.tree.retain(|path, _| !path.contains(&b'/'));
    w.clean();
    w.write("a.bin", noise(30, 4_000));
    w.write("new/n.bin", "new\n");
    w.git(&["add", "."]);
    w.git(&["commit", "-q", "-m", "with a sparse index"]);
    w.committed();
    w.write("b.bin", "one path\n");
    w.git(&["commit", "-q", "-m", "one path, with a sparse index", "b.bin"]);
    w.committed();
    w.cool();
    w.git(&["sparse-checkout", "add", "dir"]);
    w.tree.extend(main().into_iter().filter(|(path, _)| path.starts_with(b"dir/")));
    w.committed();
}

pub fn bisect(w: &mut World) {
    let good = w.git(&["rev-parse", "HEAD"]);
    let mut commits = Vec::new();
    for n in 0..6_u64 {
        w.write("a.bin", noise(30 + n, 4_000));
        w.git(&["commit", "-q", "-a", "-m", "a step"]);
        commits.push((w.git(&["rev-parse", "HEAD"]), noise(30 + n, 4_000)));
    }
    const FIRST_BAD: usize = 3;
    w.cool();
    w.git(&["bisect", "start", "HEAD", std::str::from_utf8(&good).unwrap().trim()]);
    let mut steps = 0;
    loop {
        let head = w.git(&["rev-parse", "HEAD"]);
        let at = commits.iter().position(|(id, _)| *id == head).expect("bisect is at one of the commits");
        w.expect("a.bin", &commits[at].1);
        w.clean();
        w.cool();
        let said = w.git(&["bisect", if at < FIRST_BAD { "good" } else { "bad" }]);
        steps += 1;
        if String::from_utf8_lossy(&said).contains("is the first bad commit") {
            assert!(said.starts_with(commits[FIRST_BAD].0.trim_ascii()), "bisect finds the commit");
            break;
        }
        assert!(steps < 6, "bisect ends");
    }
    w.git(&["bisect", "reset"]);
    w.expect("a.bin", &commits.last().unwrap().1);
    w.committed();
}

pub fn worktree_add(w: &mut World) {
    let second = w.join("second");
    let text = second.to_str().unwrap().to_owned();
    w.git(&["branch", "-q", "other", "side"]);
    w.git_delaying(TO_SIDE + 2, &["worktree", "add", "-q", &text, "other"]);
    w.check(&second, &side(), &[]);
    w.clean();
    w.cool();
    w.git_in(&second, &["switch", "-q", "--detach", "main"]);
    w.check(&second, &main(), &[]);
    super::trees::write_file(&second, b"a.bin", b"in the second worktree\n");
    w.check(&second, &with(main(), "a.bin", "in the second worktree\n"), &[b" M a.bin"]);
    w.git_in(&second, &["commit", "-q", "-a", "-m", "from there"]);
    w.check(&second, &with(main(), "a.bin", "in the second worktree\n"), &[]);
    w.committed();
    w.git(&["worktree", "remove", &text]);
    w.clean();
}

fn with(mut tree: Tree, path: &str, content: &str) -> Tree {
    tree.insert(path.into(), content.into());
    tree
}

pub fn archive(w: &mut World) {
    let (tar, out) = (w.join("side.tar"), w.join("unpacked"));
    w.cool();
    w.git(&["archive", "--format=tar", "-o", tar.to_str().unwrap(), "side"]);
    fs::create_dir(&out).unwrap();
    let unpacked = w.try_run("tar", &out, &["-xf", tar.to_str().unwrap()], b"");
    assert!(unpacked.status.success(), "tar failed");
    compare("the archive", &files_of(&out), &side());
    w.clean();
}
