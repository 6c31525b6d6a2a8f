//! Repositories in repositories.

use std::fs;

use super::{main_job, seeded};
use crate::world::{Place, World};

fn add_submodule(place: &Place<'_>, url: &str) {
    place.world.at("").git(&["config", "--global", "protocol.file.allow", "always"]).ok();
    place.git(&["submodule", "--quiet", "add", "-b", "main", url, "sub"]).ok();
    place.git(&["commit", "-qm", "a submodule"]).ok();
}

#[test]
fn s3lfs_in_a_submodule() {
    let world = seeded(&[]);
    world.at("").git(&["init", "-q", "-b", "main", "super"]).ok();
    let above = world.at("super");
    add_submodule(&above, &world.url("remote.git"));
    let sub = above.sub("sub");
    assert!(sub.text("a.bin").starts_with("version s3lfs/1\n"), "nothing is set up: pointers");
    sub.s3lfs(&["git-setup"]).ok();
    sub.s3lfs(&["download-all"]).ok();
    assert_eq!(sub.read("a.bin"), b"content of a");
    sub.is_clean();
    above.is_clean();
    assert!(world.path("super/.git/modules/sub/hooks/pre-push").exists(), "its own hooks");
    assert!(!world.path("super/.git/hooks/pre-push").exists() && !above.exists(".gitattributes"));
    main_job(&sub);
    above.git(&["commit", "-qam", "another commit of it"]).ok();
    above.is_clean();
    // From above, a path into it is said to be its own.
    above.s3lfs(&["git-setup"]).ok();
    sub.git(&["checkout", "-q", "-B", "main", "origin/main"]).ok();
    sub.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert!(!world.path("super/.git/modules/sub/hooks/pre-push").exists());
    assert!(world.path("super/.git/hooks/pre-push").exists(), "the superproject's hooks are not the submodule's");
}

#[test]
fn s3lfs_in_the_superproject_only() {
    let world = seeded(&[]);
    world.at("").git(&["init", "-q", "-b", "main", "library"]).ok();
    world.at("library").commit("l.bin", b"raw in the library");
    let work = world.at("work");
    add_submodule(&work, &world.url("library"));
    let sub = work.sub("sub");
    assert_eq!(sub.read("l.bin"), b"raw in the library", "the submodule is nobody's business");
    sub.is_clean();
    main_job(&work);
    sub.is_clean();
    let objects = count(&world);
    let ran = work.s3lfs(&["upload", "sub/l.bin"]).fails(1);
    ran.says(&["sub/l.bin is in another repository", "s3lfs -C "]);
    work.s3lfs(&["download", "sub/l.bin"]).fails(1).says(&["is not tracked by s3lfs"]);
    assert_eq!(count(&world), objects, "nothing was sent");
    sub.s3lfs(&["download-all"]).ok();
    assert_eq!(sub.s3lfs(&["ls"]).ok().stdout, "", "it has nothing of ours");
    work.is_clean();
    // Untracked repositories in the worktree are as foreign.
    work.git(&["init", "-q", "-b", "main", "vendored"]).ok();
    work.write("vendored/v.bin", "not ours");
    work.s3lfs(&["upload", "vendored/v.bin"]).fails(1).says(&["in another repository"]);
}

fn count(world: &World) -> usize {
    fs::read_dir(world.path("store/proj/assets")).unwrap().count()
}
