//! `prune --shared` and the other clones that use the directory: what any of them needs stays.

use std::fs;

use crate::cleanup::time::days_pass;
use crate::world::{Place, World, oid};

const X: &[u8] = b"content of x";

fn shared(world: &World, content: &[u8]) -> bool {
    let oid = oid(content);
    world.path("cache").join("objects").join(&oid[..2]).join(oid).exists()
}

/// `x.bin` is on the published branch `feature`, and nowhere but in the store and the shared directory. `work` is on
/// `main`, and knows it by the remote only.
fn published() -> World {
    let world = World::with_a();
    world.at("").git(&["config", "--global", "s3lfs.cachedir", world.path("cache").to_str().unwrap()]).ok();
    let work = world.at("work");
    work.git(&["push", "-q"]).ok();
    work.git(&["switch", "-qc", "feature"]).ok();
    work.commit("x.bin", X);
    work.git(&["push", "-q", "origin", "feature"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.git(&["branch", "-qD", "feature"]).ok();
    assert!(shared(&world, X), "the store has it: it moved");
    world
}

/// A commit in `clone` that nobody else has names `x.bin`, on a branch that is not checked out.
fn commit_unpushed(clone: &Place<'_>) {
    clone.git(&["switch", "-qc", "mine"]).ok();
    clone.git(&["checkout", "-q", "origin/feature", "--", "x.bin"]).ok();
    clone.git(&["commit", "-qm", "mine"]).ok();
    clone.git(&["switch", "-q", "main"]).ok();
    assert!(!clone.exists("x.bin") && !clone.join(".git/s3lfs/objects").exists(), "its only copy is the shared one");
}

fn prune(place: &Place<'_>) -> crate::world::Ran {
    place.s3lfs(&["prune", "--shared"])
}

/// Published, pruned by one clone, its branch deleted, and collected from the store: the clone that has an unpushed
/// commit of it has it still.
#[test]
fn what_an_unpushed_commit_of_another_clone_names_outlives_a_cleanup_of_the_store() {
    let world = published();
    let (work, two) = (world.at("work"), world.cloned("two"));
    commit_unpushed(&two);
    prune(&work).ok().says(&["0 cached objects"]);
    work.git(&["push", "-q", "origin", ":feature"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    for _ in 0..2 {
        days_pass(&world, 15);
        work.s3lfs(&["cleanup", "--force"]).ok();
    }
    assert!(!world.object(X).exists(), "nothing that a cleanup can see names it");
    prune(&work).ok();
    two.git(&["switch", "-q", "mine"]).ok();
    assert_eq!(two.read("x.bin"), X, "the last copy is still there");
    two.git(&["push", "-q", "origin", "mine"]).ok();
    assert!(world.object(X).exists(), "and is published again");
    two.git(&["switch", "-q", "main"]).ok();
    work.git(&["fetch", "-q"]).ok();
    prune(&work).ok().says(&["1 cached object ("]);
    assert!(!shared(&world, X), "now nobody needs it");
}

/// By the same rule as in this clone: index, stash, linked worktrees, reflogs; and whatever the environment says of
/// the repository in which `prune` runs.
#[test]
fn index_stash_worktrees_and_reflogs_of_another_clone_keep_theirs() {
    let world = published();
    let work = world.at("work");
    let two = world.cloned("two");
    let take = "git checkout -q origin/feature -- x.bin";
    let cases = [
        ("staged", take.to_owned(), "git rm -qf x.bin"),
        ("stashed", format!("{take} && git stash -q"), "git stash drop -q"),
        (
            "staged in a linked worktree",
            format!("git worktree add -q --detach ../linked && cd ../linked && {take}"),
            "git worktree remove --force ../linked",
        ),
        (
            "in a reflog",
            format!("{take} && git commit -qm mine && git reset -q --hard HEAD~1"),
            "git reflog expire --expire=now --all && git update-ref -d ORIG_HEAD",
        ),
    ];
    let told = work.env("GIT_DIR", work.join(".git").to_str().unwrap());
    let told = told.env("GIT_INDEX_FILE", work.join(".git/index").to_str().unwrap());
    for (name, needs, no_more) in cases {
        two.sh(&needs).ok();
        for place in [&work, &told] {
            prune(place).ok().says(&["0 cached objects"]);
            assert!(shared(&world, X), "it is {name} in another clone");
        }
        two.sh(no_more).ok();
        work.s3lfs(&["prune", "--shared", "--dry-run"]).ok().says(&["1 cached object ("]);
    }
    prune(&work).ok();
    assert!(!shared(&world, X));
    two.is_clean();
}

#[test]
fn clones_that_are_bare_or_have_their_git_directory_elsewhere_are_asked_too() {
    let world = published();
    let (work, home) = (world.at("work"), world.at(""));
    let url = world.url("remote.git");
    home.git(&["clone", "-q", "--bare", &url, "bare.git"]).ok();
    home.git(&["--git-dir=bare.git", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]).ok();
    home.git(&["--git-dir=bare.git", "fetch", "-q"]).ok();
    home.git(&["--git-dir=bare.git", "worktree", "add", "-q", "of-bare", "main"]).ok();
    home.git(&["clone", "-q", "--separate-git-dir=apart.git", &url, "apart"]).ok();
    for (dir, after) in [("of-bare", "rm -r of-bare"), ("apart", "true")] {
        let place = world.at(dir);
        place.s3lfs(&["git-setup"]).ok();
        place.s3lfs(&["download-all"]).ok();
        commit_unpushed(&place);
        home.sh(after).ok();
        prune(&work).ok().says(&["0 cached objects"]);
        assert!(shared(&world, X), "{dir} needs it");
        let git_dir = if dir == "apart" { "apart.git" } else { "bare.git" };
        home.git(&[&format!("--git-dir={git_dir}"), "branch", "-qD", "mine"]).ok();
        home.sh(&format!("git --git-dir={git_dir} reflog expire --expire=now --expire-unreachable=now --all")).ok();
        home.sh(&format!("rm -rf {git_dir}/worktrees {git_dir}/logs")).ok();
        work.s3lfs(&["prune", "--shared", "--dry-run"]).ok().says(&["1 cached object ("]);
    }
    // Where its worktree went nobody can tell.
    fs::rename(world.path("apart"), world.path("moved")).unwrap();
    prune(&work).fails(1).says(&["apart.git", "where its worktree is can't be told", "nothing was dropped"]);
    assert!(shared(&world, X));
}

#[test]
fn a_clone_that_was_deleted_is_named_and_not_asked_again() {
    let world = published();
    let work = world.at("work");
    commit_unpushed(&world.cloned("two"));
    let entries = || fs::read_dir(world.path("cache/clones")).unwrap().count();
    assert_eq!(entries(), 2, "one for each clone");
    fs::remove_dir_all(world.path("two")).unwrap();
    let two = world.path("two").display().to_string();
    work.s3lfs(&["prune", "--shared", "--dry-run"]).ok().says(&[&two, "is not there any more"]);
    assert_eq!(entries(), 2, "a dry run changes nothing");
    prune(&work).ok().says(&[&two, "is not there any more", "1 cached object ("]);
    assert_eq!(entries(), 1);
    prune(&work).ok().never_says(&[&two]);
}

#[test]
fn a_clone_that_may_come_back_stops_it_until_it_is_forgotten() {
    let world = published();
    let work = world.at("work");
    fs::create_dir(world.path("disk")).unwrap();
    let two = world.cloned("disk/two");
    commit_unpushed(&two);
    let name = world.path("disk/two").display().to_string();
    let forget = format!("s3lfs prune --shared --forget {name}");
    // Its disk is not mounted: nothing, or an empty folder, is in the place.
    fs::rename(world.path("disk"), world.path("away")).unwrap();
    for made in [false, true] {
        if made {
            fs::create_dir(world.path("disk")).unwrap();
        }
        for args in [&["prune", "--shared"][..], &["prune", "--shared", "--dry-run"]] {
            work.s3lfs(args).fails(1).says(&[&name, "it is not there", "nothing was dropped", &forget]);
        }
        assert!(shared(&world, X));
    }
    fs::remove_dir(world.path("disk")).unwrap();
    fs::rename(world.path("away"), world.path("disk")).unwrap();
    prune(&work).ok().says(&["0 cached objects"]);

    // Damaged, or another user's: it can't be told either.
    let head = two.join(".git/HEAD");
    let text = fs::read(&head).unwrap();
    fs::remove_file(&head).unwrap();
    prune(&work).fails(1).says(&[&name, "nothing was dropped", &forget]);
    fs::write(&head, text).unwrap();
    for trusted in ["work", "work/.git", "remote.git"] {
        world
            .at("")
            .git(&["config", "--global", "--add", "safe.directory", &world.path(trusted).display().to_string()])
            .ok();
    }
    let other = work.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    prune(&other).fails(1).says(&[&name, "dubious ownership", "nothing was dropped", &forget]);
    assert!(shared(&world, X));

    work.s3lfs(&["prune", "--shared", "--forget", "nowhere"]).fails(1).says(&["no clone", &name]);
    assert_eq!(work.s3lfs(&["prune", "--forget", &name]).code, 2, "only of the shared directory");
    work.s3lfs(&["prune", "--shared", "--forget", &name]).ok().says(&["forgotten", "1 cached object ("]);
    assert!(!shared(&world, X), "whoever asks for that gets it");
}

/// A directory on the network, or one that containers share: the same path is another place there.
#[test]
fn a_clone_on_another_machine_stops_it_until_it_is_forgotten() {
    let world = published();
    let work = world.at("work");
    let entry = fs::read_dir(world.path("cache/clones")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(entry).unwrap();
    let here = bytes.iter().position(|byte| *byte == 0).unwrap();
    let foreign = [b"elsewhere".as_slice(), &bytes[here..]].concat();
    let git_dir = foreign.split(|byte| *byte == 0).nth(1).unwrap();
    let name = oid(&[b"elsewhere\0".as_slice(), git_dir].concat());
    fs::write(world.path("cache/clones").join(&name[..32]), &foreign).unwrap();
    let told = format!("elsewhere:{}", world.path("work").canonicalize().unwrap().display());
    prune(&work).fails(1).says(&[&told, "another machine", "nothing was dropped"]);
    work.s3lfs(&["prune", "--shared", "--forget", &told]).ok().says(&["forgotten"]);
    prune(&work).ok();
}

/// Who can't be entered is not known to who prunes: it leaves nothing there that it needs.
#[test]
fn a_clone_that_can_not_be_entered_keeps_copies_of_its_own() {
    let world = published();
    let work = world.at("work");
    let entry = || fs::read_dir(world.path("cache/clones")).unwrap().flatten().next();
    assert!(entry().is_some(), "who uses it is entered");
    // A file as old as the index is cleaned once more (racy-git in Git's technical documentation), and that is no looking.
    work.sh("touch -d '1 hour ago' a.bin && git status").ok();
    fs::remove_dir_all(world.path("cache/clones")).unwrap();
    work.sh("git status && s3lfs status && s3lfs fsck").ok();
    assert!(!world.path("cache/clones").exists(), "looking enters nobody");
    work.s3lfs(&["git-setup"]).ok();
    assert!(entry().is_some(), "setting up does");
    fs::remove_dir_all(world.path("cache/clones")).unwrap();
    fs::write(world.path("cache/clones"), "").unwrap();
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    assert!(!shared(&world, b"content of b"), "it does not move");
    let two = world.cloned("two");
    two.sh("touch a.bin && git status").ok();
    let own =
        |content: &[u8]| two.join(&format!(".git/s3lfs/objects/{}/{}", &oid(content)[..2], oid(content))).exists();
    assert!(own(b"content of b"), "what is fetched is its own");
    assert!(own(b"content of a\n"), "what was there is copied when it is cleaned");
    two.is_clean();
    prune(&work).fails(1).says(&["clones"]);
}
