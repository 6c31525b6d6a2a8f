//! Everything from which this repository can still reach content, and every way to name content there.

use std::fs;
use std::time::{Duration, SystemTime};

use super::bench::{blob, commit_of, commit_tree, forget_reflogs, id, name, put, spares, text_blob, tree};
use crate::world::{MANIFEST, Place, World, oid, pointer};

#[test]
fn refs_of_every_kind() {
    let world = World::ready();
    let work = world.at("work");
    name(&work, "refs/heads/other", &commit_of(&work, b"branch"));
    name(&work, "refs/heads/older", &commit_tree(&work, &tree(&work, &[]), &[&commit_of(&work, b"older commit")]));
    put(&world, b"tree");
    let tagged = tree(&work, &[("t.bin", &blob(&work, b"tree"))]);
    work.git(&["tag", "-a", "-m", "a tree", "of-tree", &tagged]).ok();
    put(&world, b"blob");
    work.git(&["tag", "of-blob", &blob(&work, b"blob")]).ok();
    name(&work, "refs/remotes/gone/branch", &commit_of(&work, b"remote-tracking"));
    name(&work, "refs/whatever/deep/er", &commit_of(&work, b"any ref"));
    put(&world, b"note");
    work.git(&["notes", "add", "-C", &blob(&work, b"note"), "HEAD"]).ok();
    put(&world, b"manifest in a tagged tree");
    let manifest = manifest_of("hand.dat", b"manifest in a tagged tree");
    let with_manifest = tree(&work, &[(MANIFEST, &text_blob(&work, manifest))]);
    work.git(&["tag", "-a", "-m", "a manifest", "of-manifest", &with_manifest]).ok();
    let large = |content: &[u8]| {
        put(&world, content);
        let manifest = manifest_of("hand.dat", content);
        assert!(manifest.len() > 1024, "no small blob");
        text_blob(&work, manifest)
    };
    work.git(&["tag", "of-manifest-itself", &large(b"a tagged manifest")]).ok();
    work.git(&["tag", "-a", "-m", "x", "inner", &large(b"a manifest in a tag of a tag")]).ok();
    work.git(&["tag", "-a", "-m", "x", "of-tag", "inner"]).ok();
    work.git(&["tag", "-d", "inner"]).ok();
    let elsewhere = large(b"a manifest that has a path too");
    let copied = tree(&work, &[("copy.json", &elsewhere)]);
    name(&work, "refs/heads/copied", &commit_tree(&work, &copied, &[]));
    work.git(&["tag", "of-copy", &elsewhere]).ok();
    let moved = large(b"a manifest that only a reflog names");
    work.git(&["-c", "core.logAllRefUpdates=always", "tag", "moves", &moved]).ok();
    work.git(&["-c", "core.logAllRefUpdates=always", "tag", "-f", "moves", "HEAD"]).ok();
    let on_remote = large(b"a manifest that the remote names");
    let to = format!("{on_remote}:refs/tags/there");
    work.git(&["-c", "core.hooksPath=/dev/null", "push", "-q", "origin", &to]).ok();
    let detached = commit_of(&work, b"detached HEAD");
    work.git(&["worktree", "add", "-q", "--detach", "../linked", &detached]).ok();
    fs::remove_file(work.join(".git/worktrees/linked/logs/HEAD")).unwrap();
    spares(
        &work,
        &[
            ("a branch", b"branch"),
            ("an older commit", b"older commit"),
            ("an annotated tag of a tree", b"tree"),
            ("a tag of a blob", b"blob"),
            ("a remote-tracking ref", b"remote-tracking"),
            ("any other ref", b"any ref"),
            ("a note", b"note"),
            ("a manifest in a tagged tree", b"manifest in a tagged tree"),
            ("a tag of a manifest", b"a tagged manifest"),
            ("a tag of a tag of a manifest", b"a manifest in a tag of a tag"),
            ("a tag of a manifest that has another path", b"a manifest that has a path too"),
            ("a reflog of a manifest", b"a manifest that only a reflog names"),
            ("a manifest that only the remote names", b"a manifest that the remote names"),
            ("a detached HEAD of a linked worktree", b"detached HEAD"),
        ],
    );
}

#[test]
fn indexes_of_every_worktree() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    work.git(&["worktree", "add", "-q", "--detach", "../away"]).ok();
    let (linked, away) = (world.at("linked"), world.at("away"));
    for (place, content) in [(&work, &b"staged"[..]), (&linked, b"linked"), (&away, b"away")] {
        stage(place, content);
    }
    let own_head = commit_of(&away, b"HEAD of the one that is away");
    fs::write(work.join(".git/worktrees/away/HEAD"), format!("{own_head}\n")).unwrap();
    fs::rename(world.path("away"), world.path("unmounted")).unwrap();
    gone_for_months(&work, "away");
    for content in [&b"base"[..], b"ours", b"theirs", b"old base", b"old ours", b"old theirs"] {
        put(&world, content);
    }
    conflict(&work, "conflict.bin", [b"base", b"ours", b"theirs"]);
    conflict(&work, "resolved.bin", [b"old base", b"old ours", b"old theirs"]);
    work.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{},resolved.bin", blob(&work, b"staged"))])
        .ok();
    assert_eq!(work.git(&["ls-files", "--resolve-undo"]).ok().stdout.lines().count(), 3, "Git can undo it");
    spares(
        &work,
        &[
            ("staged", b"staged"),
            ("staged in a linked worktree", b"linked"),
            ("staged in a worktree that is not there", b"away"),
            ("HEAD of a worktree that is not there", b"HEAD of the one that is away"),
            ("the base of a conflict", b"base"),
            ("our side", b"ours"),
            ("their side", b"theirs"),
            ("resolve-undo", b"old base"),
            ("resolve-undo, ours", b"old ours"),
            ("resolve-undo, theirs", b"old theirs"),
        ],
    );
}

/// Git takes a worktree whose folder is away for gone by the time of its index (git-worktree(1), "prune").
pub fn gone_for_months(place: &Place<'_>, worktree: &str) {
    let index = fs::File::options().append(true).open(place.join(&format!(".git/worktrees/{worktree}/index"))).unwrap();
    index.set_modified(SystemTime::now() - Duration::from_secs(100 * 24 * 3600)).unwrap();
}

pub fn stage(place: &Place<'_>, content: &[u8]) {
    put(place.world, content);
    let entry = format!("100644,{},staged.bin", blob(place, content));
    place.git(&["update-index", "--add", "--cacheinfo", &entry]).ok();
}

fn conflict(place: &Place<'_>, path: &str, sides: [&[u8]; 3]) {
    let entry = |(stage, content): (usize, &[u8])| format!("100644 {} {stage}\t{path}\n", blob(place, content));
    let lines: String = (1..).zip(sides).map(entry).collect();
    place.git_with_input(&["update-index", "--index-info"], lines.as_bytes()).ok();
}

#[test]
fn what_only_reflogs_know() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("a.bin", b"amended away");
    work.write("a.bin", "amended");
    work.git(&["commit", "-qa", "--amend", "-m", "amended"]).ok();
    work.git(&["switch", "-qc", "short-lived"]).ok();
    work.commit("b.bin", b"deleted branch");
    work.git(&["switch", "-q", "main"]).ok();
    work.git(&["branch", "-qD", "short-lived"]).ok();
    for content in ["first stash", "second stash", "third stash"] {
        work.write("a.bin", content);
        put(&world, content.as_bytes());
        work.git(&["stash", "-q"]).ok();
    }
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    world.at("linked").commit("c.bin", b"left behind by a linked worktree");
    world.at("linked").git(&["checkout", "-q", "main^"]).ok();
    spares(
        &work,
        &[
            ("amended away", b"amended away"),
            ("a deleted branch", b"deleted branch"),
            ("the oldest stash", b"first stash"),
            ("an older stash", b"second stash"),
            ("the stash", b"third stash"),
            ("the reflog of a linked worktree's HEAD", b"left behind by a linked worktree"),
        ],
    );
}

#[test]
fn operations_in_progress() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    let mut note = |file: &str, text: &dyn Fn(&str) -> String| {
        for dir in [".git", ".git/worktrees/linked"] {
            let content = format!("{dir} {file}").into_bytes();
            let commit = commit_of(&work, &content);
            work.write(&format!("{dir}/{file}"), text(&commit));
            kept.push((format!("{dir}/{file}"), content));
        }
    };
    let line = |commit: &str| format!("{commit}\n");
    for file in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "ORIG_HEAD", "MERGE_AUTOSTASH", "BISECT_EXPECTED_REV"]
    {
        note(file, &line);
    }
    for file in ["orig-head", "onto", "autostash", "stopped-sha", "amend"] {
        note(&format!("rebase-merge/{file}"), &line);
    }
    note("rebase-merge/git-rebase-todo", &|commit| format!("break\nfixup -C {} # by hand\n", &commit[..10]));
    note("rebase-merge/done", &|commit| format!("pick {commit} by hand\n"));
    note("rebase-merge/rewritten-list", &|commit| format!("{commit} {commit}\n"));
    note("rebase-merge/update-refs", &|commit| format!("refs/heads/topic\n{commit}\n{commit}\n"));
    note("rebase-apply/orig-head", &line);
    note("sequencer/head", &line);
    note("sequencer/todo", &|commit| format!("pick {} by hand\n", &commit[..8]));
    note("FETCH_HEAD", &|commit| format!("{commit}\tnot-for-merge\tbranch 'x' of file:///elsewhere\n"));
    note("BISECT_LOG", &|commit| format!("# bad: [{commit}] by hand\ngit bisect bad {commit}\n"));
    let bisected = commit_of(&work, b"bisect");
    world.at("linked").git(&["update-ref", "refs/bisect/bad", &bisected]).ok();
    kept.push(("a bisect ref of another worktree".into(), b"bisect".to_vec()));
    let kept: Vec<(&str, &[u8])> = kept.iter().map(|(what, content)| (what.as_str(), content.as_slice())).collect();
    spares(&work, &kept);
}

#[test]
fn a_real_rebase_and_a_real_merge_in_progress() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("a.bin", b"base");
    work.git(&["switch", "-qc", "topic"]).ok();
    work.commit("a.bin", b"to be picked, one");
    work.commit("b.bin", b"to be picked, two");
    work.git(&["switch", "-qc", "merged", "main"]).ok();
    work.commit("c.bin", b"merged");
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("a.bin", b"another change");
    work.git(&["switch", "-q", "topic"]).ok();
    assert_ne!(work.git(&["rebase", "-q", "main"]).code, 0, "both changed a.bin");
    work.git(&["worktree", "add", "-q", "../linked", "main"]).ok();
    let linked = world.at("linked");
    linked.git(&["merge", "-q", "--no-ff", "--no-commit", "merged"]).ok();
    work.git(&["update-ref", "-d", "refs/heads/merged"]).ok();
    linked.git(&["rm", "-q", "--cached", "c.bin"]).ok();
    for place in [&work, &linked] {
        forget_reflogs(place);
    }
    spares(
        &work,
        &[
            ("the commit that conflicts", b"to be picked, one"),
            ("a commit still to be picked", b"to be picked, two"),
            ("the commit that is being merged", b"merged"),
            ("where it is rebased to", b"another change"),
        ],
    );
    work.git(&["rebase", "--abort"]).ok();
    work.drop_cache();
    work.git(&["switch", "-q", "--detach", "topic"]).ok();
}

#[test]
fn replaced_and_grafted_history_on_both_sides() {
    let world = World::ready();
    let work = world.at("work");
    let parent = commit_of(&work, b"parent of the replaced");
    put(&world, b"replaced");
    let replaced = commit_tree(&work, &tree(&work, &[("x.bin", &blob(&work, b"replaced"))]), &[&parent]);
    name(&work, "refs/heads/replaced", &replaced);
    let new_parent = commit_of(&work, b"parent of the replacement");
    put(&world, b"replacement");
    let with = tree(&work, &[("x.bin", &blob(&work, b"replacement"))]);
    let replacement = commit_tree(&work, &with, &[&new_parent]);
    work.git(&["replace", &replaced, &replacement]).ok();
    let cut = commit_of(&work, b"cut off by a graft");
    let child = commit_tree(&work, &tree(&work, &[]), &[&cut]);
    name(&work, "refs/heads/grafted", &child);
    let added = commit_of(&work, b"grafted on");
    work.write(".git/info/grafts", format!("{child} {added}\n"));
    spares(
        &work,
        &[
            ("a replaced commit", b"replaced"),
            ("its parent", b"parent of the replaced"),
            ("a replacement", b"replacement"),
            ("its parent", b"parent of the replacement"),
            ("a parent that a graft hides", b"cut off by a graft"),
            ("a parent that a graft adds", b"grafted on"),
        ],
    );
}

#[test]
fn every_small_blob_that_names_content() {
    let world = World::ready();
    let work = world.at("work");
    let forms: [(&str, &[u8], String); 7] = [
        ("lfs", b"lfs", pointer(b"lfs").replace("version s3lfs/1", "version https://git-lfs.github.com/spec/v1")),
        ("crlf", b"crlf", pointer(b"crlf").replace('\n', "\r\n")),
        ("conflict", b"markers", format!("<<<<<<< ours\n{}=======\n>>>>>>> theirs\n", pointer(b"markers"))),
        ("upper", b"upper", format!("sha256:{}", oid(b"upper").to_uppercase())),
        ("text", b"text", format!("see sha256:{} there", oid(b"text"))),
        ("a.txt", b"unfiltered", pointer(b"unfiltered")),
        ("1023", b"largest", format!("{:>1023}", format!("sha256:{}", oid(b"largest")))),
    ];
    let blobs: Vec<String> = forms.iter().map(|(_, _, text)| text_blob(&work, text)).collect();
    let files: Vec<(&str, &str)> =
        forms.iter().zip(&blobs).map(|((name, _, _), blob)| (*name, blob.as_str())).collect();
    name(&work, "refs/heads/forms", &commit_tree(&work, &tree(&work, &files), &[]));
    forms.iter().for_each(|(_, content, _)| put(&world, content));
    let kept: Vec<(&str, &[u8])> = forms.iter().map(|(name, content, _)| (*name, *content)).collect();
    spares(&work, &kept);
}

/// A manifest that keeps `content` at a path which Git does not have.
pub fn manifest_of(path: &str, content: &[u8]) -> String {
    let filler: String = (0..20).map(|n| format!("        \"f{n}\": \"{}\",\n", oid(&[n]))).collect();
    let file = format!("        \"{path}\": \"{}\"\n", oid(content));
    format!(
        "{{\n    \"bucket_name\": \"bucket\",\n    \"files\": {{\n{filler}{file}    }},\n    \"repo_prefix\": \"p\"\n}}\n"
    )
}

#[test]
fn manifests_wherever_they_stand() {
    let world = World::ready();
    let work = world.at("work");
    let manifest = |content: &[u8]| text_blob(&work, manifest_of("hand.dat", content));
    let broken = text_blob(&work, manifest_of("hand.dat", b"broken").replace("}", "<<<<<<<"));
    let twice = manifest_of("hand.dat", b"first of two")
        .replace("    },", &format!(", \"hand.dat\": \"{}\" }},", oid(b"last of two")));
    let commits = [
        tree(&work, &[(MANIFEST, &manifest(b"only in a manifest"))]),
        tree(&work, &[(MANIFEST, &broken)]),
        tree(&work, &[(MANIFEST, &text_blob(&work, twice))]),
        tree(
            &work,
            &[(".s3_manifest.yaml", &text_blob(&work, format!("files:\n{:>2000}: {}", "a.bin", oid(b"yaml"))))],
        ),
    ];
    let shard = text_blob(&work, format!("files:\n{:>2000}: {}", "a.bin", oid(b"shard")));
    let shards = tree(&work, &[("00.yaml", &shard)]);
    let with_shards =
        id(work.git_with_input(&["mktree"], format!("040000 tree {shards}\t.s3lfs_manifest\n").as_bytes()));
    let mut tip = commit_tree(&work, &with_shards, &[]);
    for tree in &commits {
        tip = commit_tree(&work, tree, &[&tip]);
    }
    name(&work, "refs/heads/manifests", &commit_tree(&work, &tree(&work, &[]), &[&tip]));
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let own = work.text(MANIFEST);
    let staged = text_blob(&work, manifest_of("hand.dat", b"staged"));
    world.at("linked").git(&["update-index", "--cacheinfo", &format!("100644,{staged},{MANIFEST}")]).ok();
    let uncommitted =
        |content: &[u8]| own.replace("\"files\": {", &format!("\"files\": {{\n        \"x\": \"{}\"", oid(content)));
    work.write(MANIFEST, uncommitted(b"uncommitted"));
    world.at("linked").write(MANIFEST, uncommitted(b"uncommitted, linked"));
    let kept: [(&str, &[u8]); 9] = [
        ("a manifest in history", b"only in a manifest"),
        ("one that does not parse", b"broken"),
        ("a path that stands there twice", b"first of two"),
        ("and again", b"last of two"),
        ("the Python tool's later form", b"yaml"),
        ("its shards", b"shard"),
        ("a staged one", b"staged"),
        ("an uncommitted one", b"uncommitted"),
        ("an uncommitted one in a linked worktree", b"uncommitted, linked"),
    ];
    kept.iter().for_each(|(_, content)| put(&world, content));
    spares(&work, &kept);
}

#[test]
fn repositories_of_other_formats() {
    for format in ["--object-format=sha256", "--ref-format=reftable"] {
        let world = World::new();
        world.at("").git(&["init", "-q", "--bare", format, "-b", "main", "other.git"]).ok();
        world.at("").git(&["init", "-q", format, "-b", "main", "other"]).ok();
        let other = world.at("other");
        other.git(&["remote", "add", "origin", &world.url("other.git")]).ok();
        other.s3lfs(&["init", &world.url("store"), "proj"]).ok();
        other.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        other.git(&["add", "."]).ok();
        other.git(&["commit", "-qm", "set up"]).ok();
        other.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
        other.commit("a.bin", b"amended away");
        other.write("a.bin", "amended");
        other.git(&["commit", "-qa", "--amend", "-m", "amended"]).ok();
        other.git(&["push", "-q", "origin", "main"]).ok();
        put(&world, b"stashed");
        other.write("a.bin", "stashed");
        other.git(&["stash", "-q"]).ok();
        let detached = commit_of(&other, b"HEAD of a linked worktree");
        world.at("linked").git(&["checkout", "-q", &detached]).ok();
        stage(&world.at("linked"), b"staged");
        let merging = commit_of(&other, b"being merged");
        other.write(".git/MERGE_HEAD", format!("{merging}\n"));
        // As `git merge --autostash` leaves it; with reftable it is in the ref store, and no file.
        let autostash = commit_of(&other, b"an autostash");
        other.git(&["update-ref", "MERGE_AUTOSTASH", &autostash]).ok();
        let bisected = commit_of(&other, b"bisect");
        world.at("linked").git(&["update-ref", "refs/bisect/bad", &bisected]).ok();
        spares(
            &other,
            &[
                (format, b"amended"),
                ("the reflog", b"amended away"),
                ("a stash", b"stashed"),
                ("HEAD of a linked worktree", b"HEAD of a linked worktree"),
                ("the index of a linked worktree", b"staged"),
                ("MERGE_HEAD", b"being merged"),
                ("MERGE_AUTOSTASH", b"an autostash"),
                ("a bisect ref of a linked worktree", b"bisect"),
            ],
        );
    }
}
