//! Reading what the Python tool wrote: every form of object, by every way in which content is read.

use std::fs;

use super::old::{self, FILES, known_oid};
use crate::world::{World, oid, pointer, snapshot};

const PREFIX: &str = "store/proj/assets";

/// Put an object of the Python tool into the store, in place of what is there.
fn put(world: &World, content: &[u8], name: &str, bytes: &[u8]) {
    let path = world.path(PREFIX).join(oid(content)).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A repository of this version that names `content` at `path`, with nothing at our key.
fn named(path: &str, content: &[u8]) -> World {
    let world = World::ready();
    let work = world.at("work");
    work.s3lfs(&["track", path]).ok();
    work.git(&["add", ".gitattributes"]).ok();
    work.commit(path, content);
    work.git(&["push", "-q"]).ok();
    fs::remove_file(world.object(content)).unwrap();
    work.leave_pointer(path);
    world
}

#[test]
fn both_versions_of_the_bucket_are_read_as_they_are() {
    for version in ["seed", "0.6.3"] {
        let world = old::repository(version);
        let before = snapshot(&world.path("store"));
        let work = world.at("work");
        work.s3lfs(&["git-setup"]).ok();
        work.s3lfs(&["download", "assets/noise.bin"]).ok();
        assert_eq!(oid(&work.read("assets/noise.bin")), known_oid("assets/noise.bin"), "{version}");
        work.s3lfs(&["download-all"]).ok();
        old::has_all(&work);
        assert_eq!(snapshot(&world.path("store")), before, "{version}: reading writes nothing");
        let other = world.cloned("other");
        old::has_all(&other);
        other.s3lfs(&["download-all"]).ok();
    }
}

#[test]
fn committing_and_pushing_in_an_old_repository_keeps_every_file() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup", "--track", "*.psd"]).ok();
    work.git(&["add", "."]).ok();
    work.commit("new.psd", b"new");
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    old::has_all(&other);
    assert_eq!(other.read("new.psd"), b"new");
    let manifest = other.manifest();
    for path in FILES {
        assert_eq!(manifest["files"][path], known_oid(path), "{path} is still recorded");
    }
}

#[test]
fn track_modified_uploads_what_changed_in_an_old_repository() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download-all"]).ok();
    work.write("assets/big.bin", "changed");
    work.s3lfs(&["track-modified"]).ok();
    assert_eq!(work.manifest()["files"]["assets/big.bin"], oid(b"changed"));
    assert_eq!(work.manifest()["manifest_only"].as_array().unwrap().len(), 7, "they stay out of Git");
    work.git(&["commit", "-qm", "changed"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.cloned("other").read("assets/big.bin"), b"changed");
}

#[test]
fn smudge_reads_the_old_layout() {
    let content = b"some content\n";
    let world = named("a.bin", content);
    let work = world.at("work");
    work.git(&["checkout", "-q", "--", "."]).ok();
    work.remove("a.bin");
    work.git(&["checkout", "-q", "--", "a.bin"]).says(&["there is no such object"]);
    put(&world, content, "elsewhere/a.bin.gz", &gzip(content));
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), content, "under whichever path it was stored");
    work.is_clean();
    work.drop_cache();
    let single = work.git_with_input(&["cat-file", "--filters", "HEAD:a.bin"], b"").ok();
    assert_eq!(single.stdout.as_bytes(), content);
}

#[test]
fn the_suffix_and_the_hash_decide_not_the_first_bytes() {
    let packed = gzip(b"inner");
    for (content, name, stored) in [
        (b"raw".to_vec(), "a.bin", b"raw".to_vec()),
        (b"packed".to_vec(), "a.bin.gz", gzip(b"packed")),
        // The path itself ends in .gz: stored as it is, or compressed once more.
        (packed.clone(), "a.bin.gz", packed.clone()),
        (packed.clone(), "a.bin.gz.gz", gzip(&packed)),
        // Content that looks encoded, stored as it is.
        (packed.clone(), "a.bin", packed.clone()),
        (b"s3lfs/2 of a later format".to_vec(), "a.bin", b"s3lfs/2 of a later format".to_vec()),
        (b"s3lfs/2 of a later format".to_vec(), "a.bin.gz", gzip(b"s3lfs/2 of a later format")),
    ] {
        let world = named("a.bin", &content);
        put(&world, &content, name, &stored);
        world.at("work").s3lfs(&["download", "a.bin"]).ok();
        assert_eq!(world.at("work").read("a.bin"), content, "{name}");
        world.at("work").is_clean();
    }
}

#[test]
fn a_manifest_without_sizes_is_enough() {
    let packed = gzip(b"inner");
    let world = old::repository("seed");
    let work = world.at("work");
    let mut manifest = work.manifest();
    for (path, name, stored) in [
        ("assets/one.gz", "assets/one.gz", packed.clone()),
        ("assets/two.gz", "assets/two.gz.gz", gzip(&gzip(b"second"))),
        ("assets/three.chunk0", "assets/three.chunk0", b"third".to_vec()),
    ] {
        let content = match path {
            "assets/two.gz" => gzip(b"second"),
            "assets/three.chunk0" => b"third".to_vec(),
            _ => packed.clone(),
        };
        put(&world, &content, name, &stored);
        manifest["files"][path] = oid(&content).into();
    }
    work.write(".s3_manifest.json", manifest.to_string());
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download-all"]).ok();
    old::has_all(&work);
    assert_eq!(work.read("assets/one.gz"), packed, "raw, since its path ends so");
    assert_eq!(work.read("assets/two.gz"), gzip(b"second"), "compressed once more");
    assert_eq!(work.read("assets/three.chunk0"), b"third", "a path may end like a chunk");
}

#[test]
fn chunks_are_joined_in_the_order_of_their_numbers() {
    let content: Vec<u8> = (0..60_000u32).map(|n| ((n * n) >> 7) as u8).collect();
    for (name, stored) in [("a.bin", content.clone()), ("a.bin.gz", gzip(&content))] {
        let world = named("a.bin", &content);
        for (number, chunk) in stored.chunks(stored.len() / 12).enumerate() {
            put(&world, &content, &format!("{name}.chunk{number}"), chunk);
        }
        world.at("work").s3lfs(&["download", "a.bin"]).ok();
        assert!(world.at("work").read("a.bin") == content, "{name}: chunk10 comes after chunk9");
        world.at("work").leave_pointer("a.bin");
        fs::remove_file(world.path(PREFIX).join(oid(&content)).join(format!("{name}.chunk7"))).unwrap();
        world.at("work").s3lfs(&["download", "a.bin"]).fails(1).says(&["a.bin"]);
        assert_eq!(world.at("work").text("a.bin"), pointer(&content), "a hole is never filled with something else");
    }
}

#[test]
fn a_damaged_object_does_not_stop_a_good_one() {
    let content = b"some content\n";
    let world = named("a.bin", content);
    let work = world.at("work");
    put(&world, content, "a.bin", b"Some content\n");
    put(&world, content, "a.bin.gz", b"\x1f\x8b no gzip");
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["a.bin", "is not what the pointer names"]);
    put(&world, content, "z/other.bin.gz", &gzip(content));
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), content);
    work.leave_pointer("a.bin");
    let ours = world.object(content);
    fs::create_dir_all(ours.parent().unwrap()).unwrap();
    fs::write(&ours, b"damaged, too").unwrap();
    work.s3lfs(&["download", "a.bin"]).ok().says(&["is not what the pointer names"]);
    assert_eq!(work.read("a.bin"), content, "nor does a damaged one at our key");
}

#[test]
fn a_prefix_that_makes_keys_begin_with_a_slash_is_refused() {
    for (prefix, reason) in [("", "begins with '/'"), ("/proj", "begins with '/'"), ("proj/", "empty part")] {
        let world = old::repository("seed");
        let work = world.at("work");
        let manifest = work.text(".s3_manifest.json").replace("\"proj\"", &format!("{prefix:?}"));
        work.commit(".s3_manifest.json", manifest.as_bytes());
        for args in [&["git-setup"][..], &["download-all"], &["download", "assets/big.bin"], &["status"]] {
            work.s3lfs(args).fails(1).says(&["repo_prefix", reason, "aws s3 cp"]);
        }
        work.write("x", "x");
        work.git(&["add", "x"]).ok();
        work.s3lfs(&["track-modified", "--staged"]).fails(1).says(&[reason]);
        assert_eq!(work.text(".s3_manifest.json"), manifest, "{prefix:?}: it stays the Python tool's");
        work.s3lfs(&["init", "--force", "--no-check", &world.url("store"), "proj"]).ok();
        work.s3lfs(&["download-all"]).ok();
        old::has_all(&work);
    }
}

#[test]
fn the_push_gate_counts_what_is_in_the_old_layout_and_mends_what_may_be_short() {
    let content: Vec<u8> = (0..60_000u32).map(|n| ((n * n) >> 7) as u8).collect();
    let world = named("a.bin", &content);
    let work = world.at("work");
    // A commit that names it anew, in a clone that neither has it nor knows of it.
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "rename"]).ok();
    work.sh("rm -rf .git/s3lfs/uploaded").ok();
    assert_eq!(work.git(&["push", "-q"]).says(&["b.bin", &oid(&content)]).code, 1, "it is nowhere");
    for (number, chunk) in content.chunks(25_000).enumerate().take(2) {
        put(&world, &content, &format!("a.bin.chunk{number}"), chunk);
    }
    assert_eq!(
        work.git(&["push", "-q"]).says(&["b.bin"]).code,
        1,
        "the last chunk is missing: no reader could join them"
    );
    put(&world, &content, "a.bin.chunk2", &content[50_000..]);
    work.git(&["push", "-q"]).ok();
    assert!(world.object(&content).exists(), "read once, it is brought to our key");

    let small = b"small";
    let world = named("a.bin", small);
    let work = world.at("work");
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "rename"]).ok();
    work.sh("rm -rf .git/s3lfs/uploaded").ok();
    put(&world, small, "a.bin.gz", &gzip(small));
    work.git(&["push", "-q"]).ok();
    assert!(!world.object(small).exists(), "one object is there, and stays where it is");
    let other = world.cloned("other");
    assert_eq!(other.read("b.bin"), small, "so whoever pulls gets it");
}
