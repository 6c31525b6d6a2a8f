//! Caches on a disk that is really full: right content is delivered, or one error says what to do, and nothing torn stays.
//!
//! Apart from `disks` because the disk lasts as long as its mount: each test is one script, which looks at it from within.

use std::fs;

use super::disks::{can_mount, mounted};
use crate::world::{Place, World, oid};

/// Two files, one of which a full disk has room for.
const SMALL: &[u8] = b"small";

fn large() -> Vec<u8> {
    (0..3 << 20_u32).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Pushed, and cloned as `other`, whose files are pointers.
fn published() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("large.bin", large());
    work.write("small.bin", SMALL);
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "both"]).ok();
    work.git(&["push", "-q"]).ok();
    world.cloned("other");
    world
}

/// Shell functions for the scripts.
const WORDS: &str = r#"
say() { echo "$*" >&2; exit 1; }
# Nothing is cached under a name that is not its own, and nothing lies about.
sound() {
	find "$1/objects" -type f 2>/dev/null | while read -r file; do
		echo "${file##*/}  $file" | sha256sum --status -c || say "torn: $file"
	done || exit 1
	test -z "$(find "$1/tmp" -type f 2>/dev/null)" || say "left over: $(find "$1/tmp" -type f)"
}
pointers() { rm -f *.bin; S3LFS_SKIP_SMUDGE=1 git checkout -q -- . || exit 1; rm -rf .git/s3lfs/objects/*; }
# It fails with this code, and its one error is about room.
refused() {
	code=$1; shift
	"$@" 2>error && say "must fail: $*"
	test $? != 0 || exit 1
	grep -q "No space left on device" error && grep -q "make room on that disk" error || say "$*: $(cat error)"
	grep -q panicked error && say "$(cat error)"
	cat error >&2; rm error
}
right() {
	for name in large small; do
		echo "$(git cat-file blob :$name.bin | sed -n 's/^oid sha256://p')  $name.bin" | sha256sum --status -c || say "$name.bin is not right"
	done
	test -z "$(git status --porcelain)" || say "$(git status --porcelain)"
}
"#;

fn on_small_disk(place: &Place<'_>, at: &str, script: &str) -> crate::world::Ran {
    let mount = format!("mount -t tmpfs -o size=1m none '{at}'");
    mounted(place, &mount, &format!("disk='{at}'; {WORDS}\n{script}"))
}

#[test]
fn a_shared_cache_on_a_full_disk() {
    if !can_mount() {
        return;
    }
    let world = published();
    let cache = world.path("cache");
    fs::create_dir(&cache).unwrap();
    world.at("").git(&["config", "--global", "s3lfs.cachedir", cache.to_str().unwrap()]).ok();
    let other = world.at("other");
    let script = r#"
	# What has no room there goes into the clone's own cache.
	pointers; rm *.bin; git checkout -q -- . || exit 1; right; sound "$disk"; sound .git/s3lfs
	test -n "$(find "$disk/objects" -type f)" || say "what there is room for is shared"
	pointers; s3lfs download-all || exit 1; right; sound "$disk"; sound .git/s3lfs
	s3lfs status || exit 1
	head -c 2500000 /dev/zero | tr '\0' x >new.bin; git add new.bin && git commit -qm new && git push -q || exit 1
	sound "$disk"; sound .git/s3lfs
	# There is none left anywhere.
	mount -t tmpfs -o size=1m none .git/s3lfs
	rm large.bin; refused 128 git checkout -q -- large.bin; sound "$disk"; sound .git/s3lfs
	umount .git/s3lfs
	# Room is made.
	mount -o remount,size=20m "$disk"; pointers; rm *.bin; git checkout -q -- . || exit 1; right; sound "$disk"
	test "$(find "$disk/objects" -type f | wc -l)" = 4 || say "all is shared again"
    "#;
    on_small_disk(&other, cache.to_str().unwrap(), script)
        .ok()
        .says(&["the shared cache (s3lfs.cachedir) is only read", "No space left on device"]);
}

#[test]
fn a_cache_of_its_own_on_a_full_disk() {
    if !can_mount() {
        return;
    }
    let world = published();
    let other = world.at("other");
    let state = other.join(".git/s3lfs");
    let script = r#"
	pointers; rm *.bin
	refused 128 git checkout -q -- .; sound "$disk"
	rm -f *.bin; git checkout -q -- small.bin || exit 1
	pointers; refused 3 s3lfs download-all; sound "$disk"
	# Beside the large one there was perhaps no room for a moment.
	s3lfs download small.bin && head -c 6 small.bin | grep -q small || say "what there is room for is delivered"
	git cat-file blob :large.bin | cmp -s - large.bin || say "the other one is as it was"
	git add -u && test -z "$(git status --porcelain)" || say "nothing has changed"
	head -c 2500000 /dev/zero | tr '\0' x >new.bin
	refused 128 git add new.bin; refused 1 s3lfs upload new.bin; refused 1 s3lfs add new.bin; sound "$disk"
	test "$(stat -c %s new.bin)" = 2500000 && test "$(git status --porcelain)" = "?? new.bin" || say "it is as it was"
	s3lfs status || exit 1
	# Room is made.
	mount -o remount,size=20m "$disk"
	s3lfs download-all && git add new.bin && git commit -qm new && git push -q || exit 1; right; sound "$disk"
    "#;
    on_small_disk(&other, state.to_str().unwrap(), script).ok();
    let pushed = vec![b'x'; 2_500_000];
    assert!(world.object(&pushed).exists(), "it was pushed: {}", oid(&pushed));
}

#[test]
fn doctor_names_prune_where_it_would_make_room() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    let disk = world.path("disk");
    fs::create_dir(&disk).unwrap();
    let script = r#"
	cp -a .git/s3lfs/. "$disk" && mount --bind "$disk" .git/s3lfs || exit 1
	mends() { s3lfs doctor | grep -A2 'warning  cache' >found || say "little room is a finding: $(s3lfs doctor)"; grep -c 'mend: s3lfs prune' found; }
	test "$(mends)" = 0 || say "nothing here can go: $(cat found)"
	echo another >a.bin && git commit -qam another && git push -q || exit 1
	test "$(mends)" = 1 || say "the first content can go: $(cat found)"
	s3lfs prune || exit 1
	test "$(mends)" = 0 || say "it went: $(cat found)"
    "#;
    on_small_disk(&work, disk.to_str().unwrap(), script).ok();
}
