//! Forms of the repository itself: where its parts are, and how it keeps index, refs and objects.

use super::{main_job, seeded, set_up};
use crate::world::World;

#[test]
fn a_git_directory_elsewhere() {
    let world = World::new();
    let elsewhere = world.path("git dir");
    drop(world);
    let world = seeded(&["--separate-git-dir=git dir"]);
    assert!(!elsewhere.starts_with(world.path("")), "each world has its own place");
    let work = world.at("work");
    main_job(&work);
    assert!(world.path("git dir/s3lfs/objects").exists(), "the cache is in the Git directory");
    assert!(!world.path("work/.git/s3lfs").exists() && world.path("work/.git").is_file());
    assert!(world.path("git dir/hooks/pre-push").exists(), "and so are the hooks");
}

#[test]
fn a_worktree_that_was_moved_by_hand_is_looked_at_where_it_is() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    std::fs::rename(world.path("linked"), world.path("moved")).unwrap();
    let moved = world.at("moved");
    for another_is_there in [false, true] {
        if another_is_there {
            world.at("").git(&["clone", "-q", "work", "linked"]).ok();
            world.at("linked").write("a.bin", "an edit there");
        }
        moved.remove("a.bin");
        moved.s3lfs(&["download-all", "--force"]).ok();
        assert_eq!(moved.read("a.bin"), b"content of a\n", "it is written here");
    }
    assert_eq!(world.at("linked").read("a.bin"), b"an edit there", "and nothing there");
}

#[test]
fn a_split_index() {
    let world = seeded(&[]);
    let work = world.at("work");
    work.git(&["config", "core.splitIndex", "true"]).ok();
    work.git(&["update-index", "--split-index"]).ok();
    main_job(&work);
    assert!(work.sh("ls .git/sharedindex.*").code == 0, "the index is still split");
}

#[test]
fn a_sparse_index() {
    let world = seeded(&[]);
    let work = world.at("work");
    work.write("other/c.bin", "content of c");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "c"]).ok();
    work.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "other"]).ok();
    let collapsed = || work.git(&["ls-files", "--sparse"]).ok().stdout.contains("d/\n");
    assert!(collapsed(), "the directory left out is one entry");
    main_job(&work);
    assert!(!work.exists("d/b.bin"), "what Git leaves out is not fetched");
    let manifest = work.blob("HEAD:.s3_manifest.json");
    assert!(manifest.contains("d/b.bin"), "and it stays in the manifest: {manifest}");
    for command in [&["prune", "--dry-run"][..], &["cleanup", "--dry-run"], &["verify", "--all"], &["fsck"]] {
        work.s3lfs(command).ok();
    }
    assert!(collapsed(), "no command expanded the index for good");
}

#[test]
fn sha256_and_reftable() {
    for form in ["--object-format=sha256", "--ref-format=reftable"] {
        let probe = World::new();
        if probe.at("").git(&["init", "-q", form, "probe"]).code != 0 {
            continue; // This Git does not know it.
        }
        let world = seeded(&[form]);
        main_job(&world.at("work"));
    }
}

#[test]
fn linked_worktrees_of_a_usual_and_of_a_bare_repository() {
    let world = seeded(&[]);
    world.at("work").git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    main_job(&world.at("linked"));
    world.at("work").is_clean();

    let world = seeded(&[]);
    let home = world.at("");
    home.git(&["clone", "-q", "--bare", &world.url("remote.git"), "bare"]).ok();
    world.at("bare").git(&["worktree", "add", "-q", "../linked", "main"]).ok();
    let linked = world.at("linked");
    linked.s3lfs(&["git-setup"]).ok();
    linked.s3lfs(&["download-all"]).ok();
    assert_eq!(linked.read("a.bin"), b"content of a");
    main_job(&linked);
    assert!(world.path("bare/hooks/pre-push").exists() && world.path("bare/s3lfs/objects").exists());
}

#[test]
fn a_bare_repository_has_one_line_for_what_needs_a_worktree_and_a_gate() {
    let world = seeded(&[]);
    let bare = world.at("remote.git");
    let commands: [&[&str]; 10] = [
        &["git-setup"],
        &["git-setup", "--uninstall"],
        &["track", "*.bin"],
        &["track-modified"],
        &["download-all"],
        &["upload", "a.bin"],
        &["status"],
        &["ls"],
        &["verify"],
        &["init", "bucket", "prefix"],
    ];
    for command in commands {
        let ran = bare.s3lfs(command).fails(1).says(&["this repository is bare"]);
        assert_eq!(ran.stderr.lines().count(), 2, "one line, and what to do: {ran:?}");
    }
    // What goes by commits alone works.
    bare.s3lfs(&["verify", "main"]).fails(1).says(&["s3lfs trust"]);
    bare.s3lfs(&["trust"]).ok();
    bare.s3lfs(&["verify", "main"]).ok().says(&["2 objects named"]);
    bare.s3lfs(&["verify", "--all", "--deep"]).ok().says(&["2 objects named"]);
    bare.s3lfs(&["fsck", "--pointers", "main"]).ok();
    bare.git(&["config", "--unset", "s3lfs.store"]).ok();
    // A hook of all repositories guards what is pushed from it, too.
    let home = world.at("");
    home.git(&["init", "-q", "--bare", "mirror.git"]).ok();
    home.git(&["config", "--global", "s3lfs.trust", &format!("{}/**", world.url("store"))]).ok();
    bare.script("hooks/pre-push", "#!/bin/sh\nexec s3lfs hook pre-push \"$@\"\n");
    bare.git(&["push", "-q", &world.url("mirror.git"), "main"]).ok();
    std::fs::remove_file(world.object(b"content of a")).unwrap();
    bare.sh("rm -rf s3lfs; git -C ../mirror.git update-ref -d refs/heads/main").ok();
    let ran = bare.git(&["push", "-q", &world.url("mirror.git"), "main"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    ran.says(&["a.bin", "push refused"]);
    // Git archives the content, with the filter set up for this user.
    bare.sh("rm hooks/pre-push").ok();
    home.s3lfs(&["git-setup", "--global"]).ok();
    let archived = bare.sh("git archive main d/b.bin | tar xO").ok().stdout;
    assert_eq!(archived, "content of b");
}

#[test]
fn variables_that_name_the_repository() {
    let world = seeded(&[]);
    let work = world.at("work");
    let (git_dir, top) = (work.join(".git").display().to_string(), work.dir.display().to_string());
    let outside = world.at("").env("GIT_DIR", &git_dir).env("GIT_WORK_TREE", &top);
    work.write("c.bin", "content of c");
    outside.s3lfs(&["git-setup"]).ok();
    outside.git(&["add", "-A"]).ok();
    outside.git(&["commit", "-qm", "c"]).ok();
    outside.git(&["push", "-q"]).ok();
    assert!(world.object(b"content of c").exists(), "the hooks ran for that repository");
    work.is_clean();
    work.drop_cache();
    outside.s3lfs(&["download-all"]).ok();
    set_up(&work);
}
