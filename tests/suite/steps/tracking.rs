//! What changes what is tracked, and what mends: `init`, `remove`, `untrack`, `track-subtree`, `sparse-checkout`,
//! `trust`, `clone`, `fsck --fix`, `verify --fix`.

use std::fs;

use super::adding::large;
use super::bench::{Scenario, survives};
use super::judge::DAMAGE;
use crate::world::{MANIFEST, World, oid, pointer};

fn two_directories() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("one.dat", "content of one");
    work.s3lfs(&["upload", "one.dat"]).ok();
    work.write("here/large.bin", large());
    work.write("there/b.bin", "content of b");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "more"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

/// The name of a repository is drawn: here it is drawn already, and the rest is not there yet.
const INIT: Scenario = Scenario {
    name: "init",
    prepare: || {
        let world = World::new();
        let work = world.at("work");
        work.write(
            MANIFEST,
            format!(
                "{{\"bucket_name\": \"{}\", \"files\": {{}}, \"repo_prefix\": \"proj\", \"repository_id\": \
                 \"0b0b0b0b-0000-4000-8000-000000000000\"}}",
                world.url("store")
            ),
        );
        world
    },
    line: "s3lfs init \"file://$HOME/store\" proj",
    right: |world| {
        assert_eq!(world.at("work").manifest()["format"], 1);
        let id = "store/proj/repositories/0b0b0b0b-0000-4000-8000-000000000000.json";
        let registered: serde_json::Value = serde_json::from_slice(&fs::read(world.path(id)).unwrap()).unwrap();
        assert_eq!(registered["format"], 1, "it is registered");
        assert_eq!(world.at("work").git(&["config", "s3lfs.store"]).stdout.trim(), world.url("store/proj"));
    },
};

/// Done twice it says that there is nothing to remove.
const REMOVE: Scenario = Scenario {
    name: "remove",
    prepare: two_directories,
    line: "s3lfs remove one.dat || { test -z \"$(git ls-files one.dat)\" && ! grep -q one.dat .gitattributes .s3_manifest.json; }",
    right: |world| {
        let work = world.at("work");
        assert_eq!(work.text("one.dat"), "content of one", "it stays on disk");
        assert!(!work.index().contains("one.dat") && !work.text(MANIFEST).contains("one.dat"));
        assert!(!work.text(".gitattributes").contains("one.dat"));
        assert!(world.object(b"content of one").exists());
    },
};

const UNTRACK: Scenario = Scenario {
    name: "untrack",
    prepare: two_directories,
    // What the index has of it is a pointer until it is added again.
    line: "{ s3lfs untrack /one.dat || ! grep -q one.dat .gitattributes; } && git add --renormalize one.dat",
    right: |world| {
        let text = world.at("work").text(".gitattributes");
        assert!(!text.contains("one.dat") && text.contains("*.bin filter=s3lfs"), "no other line goes: {text}");
    },
};

const SUBTREE: Scenario = Scenario {
    name: "track-subtree",
    prepare: || {
        let world = World::with_a();
        let work = world.at("work");
        work.write("dir/one", "content of one");
        work.write("dir/deep/large", large());
        work.commit(".gitignore", b"ignored\n");
        work.write("dir/ignored", "not for Git");
        world
    },
    line: "s3lfs track-subtree dir",
    right: |world| {
        let work = world.at("work");
        for (name, content) in [("dir/one", &b"content of one"[..]), ("dir/deep/large", &large())] {
            assert_eq!(work.blob(&format!(":{name}")), pointer(content));
            assert!(world.object(content).exists() && work.read(name) == content);
        }
        assert_eq!(work.manifest()["files"]["dir/ignored"], oid(b"not for Git"));
    },
};

const SPARSE: Scenario = Scenario {
    name: "sparse-checkout",
    prepare: || {
        let world = two_directories();
        let work = world.at("work");
        for name in ["a.bin", "here/large.bin", "there/b.bin"] {
            work.leave_pointer(name);
        }
        world
    },
    line: "s3lfs sparse-checkout here",
    right: |world| {
        let work = world.at("work");
        assert!(work.read("here/large.bin") == large());
        assert_eq!(work.text("there/b.bin"), pointer(b"content of b"), "the others stay pointers");
        assert_eq!(work.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "here\n", "they are remembered");
        work.is_clean();
    },
};

const TRUST: Scenario = Scenario {
    name: "trust and download-all",
    prepare: || {
        let world = two_directories();
        let work = world.at("work");
        work.leave_pointer("there/b.bin");
        work.git(&["config", "--unset-all", "s3lfs.store"]).ok();
        world
    },
    line: "s3lfs trust && s3lfs download-all",
    right: |world| {
        assert_eq!(world.at("work").git(&["config", "--get-all", "s3lfs.store"]).stdout.lines().count(), 1);
        assert_eq!(world.at("work").text("there/b.bin"), "content of b");
    },
};

/// A directory that is there already is not taken over, so what was begun is put away first.
const CLONE: Scenario = Scenario {
    name: "clone",
    prepare: two_directories,
    line: "rm -rf ../copy && s3lfs clone -q ../remote.git ../copy",
    right: |world| {
        let copy = world.at("copy");
        assert!(copy.read("here/large.bin") == large());
        assert_eq!(copy.text("one.dat"), "content of one");
        copy.is_clean();
        copy.s3lfs(&["fsck"]).ok();
    },
};

fn object_path(world: &World, content: &[u8]) -> std::path::PathBuf {
    let oid = oid(content);
    world.path("work/.git/s3lfs/objects").join(&oid[..2]).join(oid)
}

/// What the worktree has, Git would have cleaned again.
fn earlier() -> [Vec<u8>; 2] {
    [b"an earlier version of a".to_vec(), vec![7; 2 << 20]]
}

const FSCK: Scenario = Scenario {
    name: "fsck --fix",
    prepare: || {
        let world = World::ready();
        let work = world.at("work");
        for content in earlier().iter().chain([&b"and now".to_vec()]) {
            work.commit("a.bin", content);
        }
        work.git(&["push", "-q"]).ok();
        for content in earlier() {
            fs::write(object_path(&world, &content), DAMAGE).unwrap();
        }
        world
    },
    // What is found is said, also when it is mended.
    line: "s3lfs fsck --fix; s3lfs fsck",
    right: |world| {
        for content in earlier() {
            // What was set aside before a kill is fetched when it is needed.
            let copy = fs::read(object_path(world, &content)).unwrap_or_else(|_| content.clone());
            assert!(copy == content && world.object(&content).exists(), "the copy is whole again, or gone");
        }
    },
};

const VERIFY: Scenario = Scenario {
    name: "verify --deep --fix",
    prepare: || {
        let world = two_directories();
        fs::remove_file(world.object(b"content of b")).unwrap();
        fs::remove_file(world.object(&large())).unwrap();
        world
    },
    line: "s3lfs verify --deep --fix; s3lfs verify --deep",
    right: |world| {
        world.at("work").s3lfs(&["verify", "--deep"]).ok();
    },
};

#[test]
fn init_survives() {
    survives(&INIT);
}

#[test]
fn remove_survives() {
    survives(&REMOVE);
}

#[test]
fn untrack_survives() {
    survives(&UNTRACK);
}

#[test]
fn track_subtree_survives() {
    survives(&SUBTREE);
}

#[test]
fn sparse_checkout_survives() {
    survives(&SPARSE);
}

#[test]
fn trust_survives() {
    survives(&TRUST);
}

#[test]
fn clone_survives() {
    survives(&CLONE);
}

#[test]
fn fsck_fix_survives() {
    survives(&FSCK);
}

#[test]
fn verify_fix_survives() {
    survives(&VERIFY);
}
