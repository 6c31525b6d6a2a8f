//! Rows that change files, stage them and commit them.

use std::fs;

use super::trees::{Tree, arg, join, main, noise, write_file};
use super::world::World;

pub fn add(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.write("dir/n.bin", noise(31, 100));
    w.write("note.txt", "changed\n");
    w.remove("b.bin");
    w.git(&["add", "-n", "-A", "."]);
    w.dirty(&[" M a.bin", " D b.bin", "?? dir/n.bin", " M note.txt"]);
    w.git(&["add", "a.bin"]);
    w.dirty(&["M  a.bin", " D b.bin", "?? dir/n.bin", " M note.txt"]);
    w.git(&["add", "-A"]);
    w.dirty(&["M  a.bin", "D  b.bin", "A  dir/n.bin", "M  note.txt"]);
    w.write("later.bin", "announced\n");
    w.git(&["add", "-N", "later.bin"]);
    w.dirty(&["M  a.bin", "D  b.bin", "A  dir/n.bin", "M  note.txt", " A later.bin"]);
    w.git(&["add", "later.bin"]);
    w.git(&["commit", "-q", "-m", "all"]);
    w.committed();
    // Other times, same bytes.
    let content = w.tree[b"a.bin".as_slice()].clone();
    w.write("a.bin", content);
    w.clean();
    w.git(&["add", "--renormalize", "."]);
    w.clean();
}

pub fn add_patch(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.write("b.bin", "b, changed\n");
    w.write("note.txt", "one\ntwo\nthree\nfour\n");
    w.git_with(&["add", "-p"], b"y\nn\ny\n");
    w.dirty(&["M  a.bin", " M b.bin", "M  note.txt"]);
    w.git_with(&["reset", "-q", "-p"], b"y\nn\n");
    w.dirty(&[" M a.bin", " M b.bin", "M  note.txt"]);
    w.git_with(&["checkout", "-p"], b"n\ny\n");
    w.expect("b.bin", &main()[b"b.bin".as_slice()]);
    w.dirty(&[" M a.bin", "M  note.txt"]);
}

pub fn commit(w: &mut World) {
    let content = noise(30, 4_000);
    w.write("a.bin", &content);
    w.write("dir/n.bin", "short");
    w.git(&["add", "a.bin", "dir/n.bin"]);
    w.git(&["commit", "-q", "-m", "changed and added"]);
    w.committed();
    assert!(w.stored(&content).exists() && w.stored(b"short").exists(), "a commit uploads what it brings");
    w.write("note.txt", "text alone\n");
    w.git(&["add", "."]);
    w.git(&["commit", "-q", "-m", "text"]);
    w.committed();
    w.git_fails(1, &["commit", "-q", "-m", "nothing"]);
    w.committed();
    // Content becomes empty, and comes back.
    w.write("a.bin", "");
    w.git(&["add", "."]);
    w.git(&["commit", "-q", "-m", "emptied"]);
    w.committed();
    w.write("a.bin", &content);
    w.git(&["add", "."]);
    w.git(&["commit", "-q", "-m", "filled"]);
    w.committed();
}

pub fn commit_all(w: &mut World) {
    let content = noise(30, 4_000);
    w.write("a.bin", &content);
    w.write("run.x.bin", "#!/bin/sh\nexit 1\n");
    w.remove("b.bin");
    w.git(&["commit", "-q", "-a", "-m", "all that changed"]);
    w.committed();
    assert!(w.stored(&content).exists(), "post-commit uploads what pre-commit may not");
}

pub fn commit_path(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.write("b.bin", "staged, and not committed\n");
    w.git(&["add", "b.bin"]);
    w.git(&["commit", "-q", "-m", "one path", "a.bin"]);
    w.dirty(&["M  b.bin"]);
    w.manifest_follows();
    w.git(&["commit", "-q", "-m", "the rest"]);
    w.committed();
    w.write("a.bin", noise(31, 4_000));
    w.write("b.bin", "again\n");
    w.git(&["add", "b.bin"]);
    w.git(&["commit", "-q", "-m", "both", "-i", "a.bin"]);
    w.committed();
    // A directory, with a deletion in it.
    w.remove("dir/c.bin");
    w.write("dir/same.bin", "no longer the same\n");
    w.git(&["commit", "-q", "-m", "a directory", "dir"]);
    w.committed();
}

pub fn commit_amend(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.git(&["commit", "-q", "-a", "-m", "first"]);
    w.write("a.bin", noise(31, 4_000));
    w.git(&["commit", "-q", "--amend", "--no-edit", "-a"]);
    w.committed();
    w.write("b.bin", "staged for an amend\n");
    w.git(&["add", "b.bin"]);
    w.git(&["commit", "-q", "--amend", "--no-edit"]);
    w.committed();
    w.write("b.bin", "amended alone\n");
    w.write("note.txt", "not in it\n");
    w.git(&["add", "note.txt"]);
    w.git(&["commit", "-q", "--amend", "--no-edit", "b.bin"]);
    w.dirty(&["M  note.txt"]);
    w.manifest_follows();
    w.git(&["commit", "-q", "--amend", "-m", "words"]);
    w.committed();
}

pub fn mv(w: &mut World) {
    w.git(&["mv", "a.bin", "dir/moved.bin"]);
    let content = w.tree.remove(b"a.bin".as_slice()).unwrap();
    w.expect("dir/moved.bin", content);
    w.dirty(&["R  dir/moved.bin", "a.bin"]);
    w.git(&["commit", "-q", "-m", "a file moved"]);
    w.committed();
    w.git(&["mv", "dir", "elsewhere"]);
    let moved = |path: Vec<u8>| match path.strip_prefix(b"dir/") {
        Some(rest) => [b"elsewhere/", rest].concat(),
        None => path,
    };
    w.tree = std::mem::take(&mut w.tree).into_iter().map(|(path, content)| (moved(path), content)).collect();
    w.git(&["commit", "-q", "-m", "a directory moved"]);
    w.committed();
}

pub fn rm(w: &mut World) {
    w.git(&["rm", "-q", "b.bin"]);
    w.expect_none("b.bin");
    w.git(&["rm", "-q", "--cached", "a.bin"]);
    w.dirty(&["D  b.bin", "D  a.bin", "?? a.bin"]);
    w.git(&["commit", "-q", "-m", "one removed, one forgotten"]);
    w.dirty(&["?? a.bin"]);
    w.manifest_follows();
    w.git(&["rm", "-q", "-r", "dir"]);
    w.tree.retain(|path, _| !path.starts_with(b"dir/"));
    w.git(&["add", "a.bin"]);
    w.git(&["commit", "-q", "-m", "a directory removed"]);
    w.committed();
}

pub fn stash(w: &mut World) {
    let ours = noise(30, 4_000);
    w.write("a.bin", &ours);
    w.write("b.bin", "staged\n");
    w.git(&["add", "b.bin"]);
    w.write("u.bin", "untracked\n");
    let dirty = w.tree.clone();
    w.git(&["stash", "push", "-q", "-u"]);
    w.tree = main();
    w.clean();
    w.git(&["stash", "pop", "-q", "--index"]);
    w.tree = dirty.clone();
    w.dirty(&[" M a.bin", "M  b.bin", "?? u.bin"]);
    w.git(&["stash", "push", "-q"]);
    w.tree = main();
    w.expect("u.bin", "untracked\n");
    w.dirty(&["?? u.bin"]);
    // On a branch where one of the files has other content.
    w.git(&["switch", "-q", "side"]);
    w.git_fails(1, &["stash", "pop", "-q"]);
    w.tree = super::trees::side();
    w.expect("u.bin", "untracked\n");
    w.expect("b.bin", "staged\n");
    w.dirty(&["UU a.bin", "M  b.bin", "?? u.bin"]);
    w.git(&["checkout", "-q", "--theirs", "a.bin"]);
    w.expect("a.bin", &ours);
    w.dirty(&["UU a.bin", "M  b.bin", "?? u.bin"]);
    w.git(&["reset", "-q", "--hard"]);
    w.git(&["switch", "-q", "main"]);
    w.git(&["stash", "pop", "-q"]);
    w.tree = dirty;
    w.dirty(&[" M a.bin", " M b.bin", "?? u.bin"]);
}

pub fn stash_patch(w: &mut World) {
    w.write("a.bin", noise(30, 4_000));
    w.write("b.bin", "kept\n");
    let dirty = w.tree.clone();
    w.git_with(&["stash", "push", "-p"], b"y\nn\n");
    w.expect("a.bin", &main()[b"a.bin".as_slice()]);
    w.dirty(&[" M b.bin"]);
    w.git(&["stash", "pop", "-q"]);
    w.tree = dirty.clone();
    w.dirty(&[" M a.bin", " M b.bin"]);
    // What a stash takes away comes from the store; what it keeps is cached as it is stashed.
    w.git_delaying(2, &["stash", "push", "-q"]);
    w.tree = main();
    w.clean();
    w.git(&["stash", "apply", "-q"]);
    w.tree = dirty;
    w.dirty(&[" M a.bin", " M b.bin"]);
}

/// Paths that are hard to write down. `odd/` as a whole is tracked, because `*.bin` misses some.
fn odd() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "-dash",
        " blanks around ",
        "quotes \" and '",
        "[brackets]",
        "star * and ?",
        "back\\slash",
        "tab\t",
        "equals=a=b",
        "$HOME `id` $(id)",
        "#hash",
        ":colon",
        "!bang",
        "per%20cent",
        "\u{fc}n\u{ef}c\u{f6}de \u{1f600}",
        "u\u{308} decomposed",
        "line\nfeed",
        "carriage\rreturn",
        "ends in LF\n",
        "ends in two LF\n\n",
        "pathname=",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push([b"deep/".repeat(40).as_slice(), b"f"].concat());
    names.push(b"n".repeat(255));
    if cfg!(target_os = "linux") {
        names.push(b"not \xff UTF-8 \xc3\x28".to_vec());
    }
    names.into_iter().map(|name| [b"odd/", name.as_slice()].concat()).collect()
}

pub fn odd_paths(w: &mut World) {
    let before = w.tree.clone();
    w.git(&["switch", "-q", "-c", "odd"]);
    w.s3lfs(&["track", "odd/**"]);
    let paths = odd();
    for (n, path) in paths.iter().enumerate() {
        w.write(path, noise(40 + n as u64, 2_000));
    }
    w.git(&["add", "-A"]);
    w.git(&["commit", "-q", "-m", "odd"]);
    w.committed();
    let after = w.tree.clone();
    w.git(&["switch", "-q", "main"]);
    w.tree = before;
    w.clean();
    w.git_delaying(paths.len(), &["switch", "-q", "odd"]);
    w.tree = after.clone();
    w.committed();
    change_each(w, &paths);
    let unstaged: Vec<Vec<u8>> = paths.iter().map(|path| [b" M ", path.as_slice()].concat()).collect();
    w.dirty(&unstaged);
    w.cool();
    let literally = ["--literal-pathspecs", "checkout", "-q", "--"].map(|word| arg(word.as_bytes()));
    w.git(&[literally.as_slice(), &paths.iter().map(|path| arg(path)).collect::<Vec<_>>()].concat());
    w.tree = after;
    w.clean();
    change_each(w, &paths);
    w.git(&["commit", "-q", "-a", "-m", "all changed"]);
    w.committed();
    // Filled by s3lfs itself.
    for path in &paths {
        fs::remove_file(join(&w.top(), path)).unwrap();
    }
    w.cool();
    w.s3lfs(&["download-all"]);
    w.committed();
}

fn change_each(w: &mut World, paths: &[Vec<u8>]) {
    let changed: Tree = paths.iter().map(|path| (path.clone(), [b"changed: ", path.as_slice()].concat())).collect();
    for (path, content) in &changed {
        write_file(&w.top(), path, content);
    }
    w.tree.extend(changed);
}
