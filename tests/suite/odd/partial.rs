//! Clones that have not everything.

use std::fs;

use super::{main_job, seeded};

fn allow_filters(world: &crate::world::World) {
    let home = world.at("");
    home.git(&["config", "--global", "uploadpack.allowFilter", "true"]).ok();
    home.git(&["config", "--global", "uploadpack.allowAnySHA1InWant", "true"]).ok();
}

#[test]
fn partial_clones() {
    for filter in ["--filter=blob:none", "--filter=tree:0"] {
        let world = seeded(&[]);
        allow_filters(&world);
        world.at("work").write("a.bin", "second content of a");
        world.at("work").git(&["commit", "-qam", "second"]).ok();
        world.at("work").git(&["push", "-q"]).ok();
        let url = world.url("remote.git");
        world.at("").s3lfs(&["clone", "-q", &url, "partial", "--", filter]).ok();
        let partial = world.at("partial");
        assert_eq!(partial.read("a.bin"), b"second content of a");
        assert_eq!(partial.read("d/b.bin"), b"content of b");
        partial.is_clean();
        main_job(&partial);
        partial.git(&["checkout", "-q", "origin/main~4"]).ok();
        assert_eq!(partial.read("a.bin"), b"content of a", "an older commit, of which Git had nothing");
        partial.is_clean();

        world.at("").s3lfs(&["clone", "-q", &url, "sparse", "--", filter, "--sparse"]).ok();
        let sparse = world.at("sparse");
        assert!(sparse.exists("a.bin") && !sparse.exists("d"), "only the top");
        sparse.commit("new.bin", b"from a sparse partial clone");
        sparse.git(&["push", "-q"]).ok();
        sparse.git(&["sparse-checkout", "set", "d"]).ok();
        assert_eq!(sparse.read("d/b.bin"), b"content of b", "filled when it is wanted");
        sparse.is_clean();
        assert!(sparse.blob("HEAD:.s3_manifest.json").contains("d/b.bin"), "what was not here stays recorded");
    }
}

#[test]
fn shallow_clones() {
    let world = seeded(&[]);
    world.at("work").commit("a.bin", b"second content of a");
    world.at("work").git(&["push", "-q"]).ok();
    world.at("").s3lfs(&["clone", "-q", &world.url("remote.git"), "shallow", "--", "--depth=1"]).ok();
    let shallow = world.at("shallow");
    assert_eq!(shallow.read("a.bin"), b"second content of a");
    main_job(&shallow);
    assert_eq!(shallow.git(&["rev-parse", "--is-shallow-repository"]).stdout, "true\n", "it is still shallow");
    shallow.git(&["fetch", "-q", "--unshallow"]).ok();
    shallow.git(&["checkout", "-q", "origin/main~4"]).ok();
    assert_eq!(shallow.read("a.bin"), b"content of a");
}

#[test]
fn a_sparse_partial_clone_can_push_a_change_of_the_attributes() {
    let world = seeded(&[]);
    allow_filters(&world);
    let url = world.url("remote.git");
    world.at("").s3lfs(&["clone", "-q", &url, "sparse", "--", "--filter=blob:none", "--sparse"]).ok();
    let sparse = world.at("sparse");
    assert!(!sparse.exists("d"), "only the top");
    sparse.s3lfs(&["track", "*.psd"]).ok();
    sparse.git(&["commit", "-qam", "track more"]).ok();
    sparse.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), sparse.head());

    // It is still looked at: what the new line covers has to be in the store.
    let work = world.at("work");
    work.git(&["pull", "-q"]).ok();
    work.write("e/lost.dat", crate::world::pointer(b"no store has this"));
    work.git(&["add", "e/lost.dat"]).ok();
    work.git(&["commit", "-qm", "a text so far", "--no-verify"]).ok();
    work.git(&["push", "-q", "--no-verify"]).ok();
    sparse.git(&["pull", "-q"]).ok();
    sparse.s3lfs(&["track", "*.dat"]).ok();
    sparse.git(&["commit", "-qam", "and more"]).ok();
    let push = sparse.git(&["push", "-q"]);
    assert!(push.code != 0 && push.stderr.contains("e/lost.dat"), "{push:#?}");
}

#[test]
fn a_sparse_partial_clone_can_be_checked_whole() {
    let world = seeded(&[]);
    allow_filters(&world);
    let url = world.url("remote.git");
    let cloned = |name: &str| {
        world.at("").s3lfs(&["clone", "-q", &url, name, "--", "--filter=blob:none", "--sparse"]).ok();
        world.at(name)
    };
    let sparse = cloned("sparse");
    sparse.s3lfs(&["fsck"]).ok();
    fs::remove_file(world.object(b"content of b")).unwrap();
    sparse.s3lfs(&["verify"]).fails(3).says(&["d/b.bin", "missing"]);
    cloned("again").s3lfs(&["verify", "HEAD"]).fails(3).says(&["d/b.bin", "missing"]);
    let blind = cloned("blind");
    fs::rename(world.path("remote.git"), world.path("away.git")).unwrap();
    blind.s3lfs(&["verify"]).fails(1).says(&["d/b.bin", "not in this clone"]);
}

/// Looking at old manifests asks a partial clone's remote for those that are not here, and for nothing else.
#[test]
fn what_is_here_already_is_not_asked_for_and_no_ref_moves() {
    let world = seeded(&[]);
    allow_filters(&world);
    let work = world.at("work");
    work.write(".gitignore", "out/\n");
    work.git(&["add", ".gitignore"]).ok();
    let version = |text: &str| {
        work.write("out/x", text);
        work.s3lfs(&["upload", "out/x"]).ok();
        work.git(&["commit", "-qam", text]).ok();
        work.git(&["push", "-q"]).ok();
    };
    version("first");
    world.at("").s3lfs(&["clone", "-q", &world.url("remote.git"), "partial", "--", "--filter=blob:none"]).ok();
    let partial = world.at("partial");
    version("second");
    partial.git(&["pull", "-q"]).ok();
    version("third");
    let before = partial.git(&["rev-parse", "origin/main"]).ok().stdout;
    for _ in 0..2 {
        // The second time every version of the manifest is here.
        partial.write("out/x", "first");
        partial.s3lfs(&["download-all"]).ok();
        assert_eq!(partial.text("out/x"), "second");
    }
    assert_eq!(
        partial.git(&["rev-parse", "origin/main"]).ok().stdout,
        before,
        "what was last seen of the remote stays"
    );
}
