//! `add`: it leaves what `git add` leaves, whatever the files are.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use crate::world::{Place, Ran, World, oid, pointer};

/// Give every file beneath a directory times of an hour ago, and let that be a moment ago: Git need not look at it twice.
fn age(place: &Place<'_>) {
    place.sh("find . -name .git -prune -o -type f -exec touch -h -d '1 hour ago' {} +").ok();
    std::thread::sleep(Duration::from_millis(50));
}

/// Two repositories with the same files, of which one is added by Git and one by s3lfs.
struct Twins {
    world: World,
}

impl Twins {
    /// Both are made by `make`, and `change` is what there is to be added.
    fn new(make: impl Fn(&Place<'_>), change: impl Fn(&Place<'_>)) -> Self {
        let world = World::ready();
        make(&world.at("work"));
        world.at("").sh("cp -a work twin").ok();
        for name in ["work", "twin"] {
            let place = world.at(name);
            change(&place);
            age(&place);
            // A copy has other inodes.
            place.git(&["update-index", "-q", "--refresh"]);
        }
        Twins { world }
    }

    /// After `git add` here and `s3lfs add` there, by the same words in the same directory: the same index, the same
    /// status, the same end. What `s3lfs add` said.
    #[track_caller]
    fn are_alike(&self, dir: &str, words: &[&str]) -> Ran {
        let (work, twin) = (self.world.at("work"), self.world.at("twin"));
        let gits = work.sub(dir).git(&[&["add"], words].concat());
        let ours = twin.sub(dir).env("S3LFS_LOG", "debug").s3lfs(&[&["add"], words].concat());
        assert_eq!(gits.code == 0, ours.code == 0, "the same end: {gits:#?} {ours:#?}");
        for question in
            [&["ls-files", "-s", "-v", "-t"][..], &["status", "--porcelain"], &["ls-files", "--debug", "-u"]]
        {
            let says = |place: &Place<'_>| place.git(question).ok().stdout;
            assert_eq!(says(&twin), says(&work), "git {question:?} after {words:?} in {dir:?}");
        }
        twin.git(&["fsck"]).ok();
        ours
    }
}

fn nothing(_: &Place<'_>) {}

/// How often the filter was started by the `git add` at the end: content that Git reads.
fn reads(place: &Place<'_>) -> String {
    place.sh("cat .git/filtered 2>/dev/null").stdout
}

/// From now on it is seen which files Git itself hands to the filter: it notes its start.
fn watch(place: &Place<'_>) {
    let line = "echo started >>\"$(git rev-parse --git-common-dir)/filtered\"; s3lfs filter-process";
    place.git(&["config", "filter.s3lfs.process", line]).ok();
}

#[test]
fn many_new_files_need_no_filter_and_make_one_pack() {
    let twins = Twins::new(watch, |place| {
        for n in 0..150 {
            place.write(&format!("d{}/{n}.bin", n % 7), format!("content {n}"));
        }
        place.write("equal.bin", "content 7");
        place.write("raw.txt", "raw");
    });
    let ours = twins.are_alike("", &["."]);
    assert_eq!(ours.stdout, "");
    let twin = twins.world.at("twin");
    assert_eq!(reads(&twin), "", "Git read none of them");
    assert_ne!(reads(&twins.world.at("work")), "", "which it does by itself");
    assert_eq!(twin.sh("ls .git/objects/pack/*.pack | wc -l").ok().stdout.trim(), "1", "the pointers are in one pack");
    twin.git(&["commit", "-qm", "many"]).ok();
    twin.is_clean();
    assert!(twins.world.object(b"content 149").exists(), "the commit uploads them");
    twin.git(&["push", "-q"]).ok();
}

#[test]
fn every_kind_of_change_is_staged_as_git_stages_it() {
    let make = |place: &Place<'_>| {
        for name in ["touched", "changed", "deleted", "mode", "link", "dir", "assumed", "skipped", "shrunk", "empty"] {
            place.write(&format!("{name}.bin"), format!("content of {name}"));
        }
        place.write("sub/in.bin", "in");
        place.git(&["add", "."]).ok();
        place.git(&["commit", "-qm", "all"]).ok();
        place.git(&["update-index", "--assume-unchanged", "assumed.bin"]).ok();
        place.git(&["update-index", "--skip-worktree", "skipped.bin"]).ok();
        place.write("intended.bin", "intended");
        place.git(&["add", "-N", "intended.bin"]).ok();
        watch(place);
    };
    let change = |place: &Place<'_>| {
        for name in ["changed", "assumed", "skipped"] {
            place.write(&format!("{name}.bin"), "other content");
        }
        place.write("shrunk.bin", "x");
        place.write("empty.bin", "");
        place.remove("deleted.bin");
        fs::set_permissions(place.join("mode.bin"), fs::Permissions::from_mode(0o755)).unwrap();
        place.remove("link.bin");
        symlink("changed.bin", place.join("link.bin")).unwrap();
        place.remove("dir.bin");
        place.write("dir.bin/file.bin", "a file in a directory in place of a file");
        place.remove("sub/in.bin");
        fs::remove_dir(place.join("sub")).unwrap();
        place.write("sub", "a file in place of a directory");
        place.write("new/executable.bin", "run me");
        fs::set_permissions(place.join("new/executable.bin"), fs::Permissions::from_mode(0o700)).unwrap();
        place.write("new/empty.bin", "");
        place.write("new/pointer.bin", crate::world::pointer(b"elsewhere"));
        place.write(
            "new/lfs.bin",
            crate::world::pointer(b"lfs").replace("s3lfs/1", "https://git-lfs.github.com/spec/v1"),
        );
        place.write("new/newer.bin", "version s3lfs/2\nwhatever\n");
        place.write("new/crlf.bin", crate::world::pointer(b"crlf").replace('\n', "\r\n"));
        place.write("new/resembles.bin", format!("{}more\n", crate::world::pointer(b"more")));
        place.write("new/odd \"name\"\n.bin", "odd");
        place.write("new/*.bin", "a star");
        place.sh("printf latin >\"$(printf 'new/n\\377.bin')\"").ok();
        place.write("ignored.bin", "ignored");
        place.write(".gitignore", "ignored.*\n");
        symlink("executable.bin", place.join("new/link.bin")).unwrap();
        place.write("large.bin", vec![7; (1 << 20) + 9]);
    };
    for words in [
        &["."][..],
        &["-A"],
        &["-u"],
        &["-f", "."],
        &["new", "changed.bin"],
        &["*.bin"],
        &[":(exclude)new", "."],
        &["new/\\*.bin"],
    ] {
        let twins = Twins::new(make, change);
        twins.are_alike("", words);
    }
    let twins = Twins::new(make, change);
    twins.are_alike("new", &["."]);
    twins.are_alike("new", &["../changed.bin", ":/large.bin"]);
    twins.are_alike("new", &["-A"]);
    let twin = twins.world.at("twin");
    assert_eq!(twin.git(&["config", "--get", "s3lfs.none"]).code, 1);
    twin.git(&["commit", "-qm", "all of it"]).ok();
    let cached =
        |content: &[u8]| twins.world.path("twin/.git/s3lfs/objects").join(&oid(content)[..2]).join(oid(content));
    assert_eq!(fs::read(cached(b"other content")).unwrap(), b"other content");
}

#[test]
fn what_git_refuses_is_refused_and_says_why() {
    let twins = Twins::new(nothing, |place| {
        place.write("new.bin", "new");
        place.write("ignored.bin", "ignored");
        place.write(".gitignore", "ignored.*\n");
    });
    let twin = twins.world.at("twin");
    twins.are_alike("", &["nothing-here", "new.bin"]).fails(1).says(&["did not match any files"]);
    assert!(!twin.index().contains("new.bin"), "nothing was staged");
    twins.are_alike("", &["ignored.bin", "new.bin"]).fails(1).says(&["ignored by one of your .gitignore files"]);
    twins.are_alike("", &["../outside"]).fails(1).says(&["outside repository"]);
    twins.are_alike("", &["../out*"]).fails(1).says(&["'git add' failed", "outside repository"]);
    assert_eq!(twin.s3lfs(&["add"]).code, 2, "nothing was named");
    twin.s3lfs(&["-q", "add", "-n", "."]).ok();
    let json = twin.s3lfs(&["--json", "add", "nothing-here"]).fails(1);
    json.refused_in_json("add");
}

#[test]
fn a_file_that_cannot_be_stored_keeps_all_from_being_staged() {
    // No permission holds up root: a file stands where the directory of its object is to be.
    let lost = oid(b"can't be stored");
    let twins = Twins::new(nothing, |place| {
        for n in 0..100 {
            place.write(&format!("dir/{n}.bin"), format!("file {n}"));
        }
        place.write("dir/lost.bin", "can't be stored");
        place.write(&format!(".git/s3lfs/objects/{}", &lost[..2]), "in the way");
    });
    twins.are_alike("", &["dir"]).fails(1).says(&["'git add' failed", "dir/"]);
    let twin = twins.world.at("twin");
    assert!(!twin.index().contains("dir/"), "nothing was staged");
    twin.remove(&format!(".git/s3lfs/objects/{}", &lost[..2]));
    twin.s3lfs(&["add", "dir"]).ok();
    assert_eq!(twin.index().matches("dir/").count(), 101);
}

#[test]
fn conflicts_attributes_and_modes_are_gits_to_judge() {
    // A conflict that is resolved by adding.
    let conflict = |place: &Place<'_>| {
        place.commit("a.bin", b"base");
        place.git(&["checkout", "-qb", "side"]).ok();
        place.commit("a.bin", b"theirs");
        place.git(&["checkout", "-q", "main"]).ok();
        place.commit("a.bin", b"ours");
        assert_ne!(place.git(&["merge", "-q", "side"]).code, 0);
    };
    let twins = Twins::new(conflict, |place| place.write("a.bin", "resolved"));
    twins.are_alike("", &["."]);
    assert!(twins.world.at("twin").index().starts_with("H 100644"), "it is resolved");
    // Modes that mean nothing.
    let by_index = |place: &Place<'_>| {
        place.git(&["config", "core.fileMode", "false"]).ok();
        place.write("tool.bin", "tool");
        place.git(&["add", "."]).ok();
        place.git(&["update-index", "--chmod=+x", "tool.bin"]).ok();
        place.git(&["commit", "-qm", "tool"]).ok();
    };
    let twins = Twins::new(by_index, |place| {
        place.write("tool.bin", "another");
        place.write("new.bin", "new");
        fs::set_permissions(place.join("new.bin"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    twins.are_alike("", &["."]);
    // Attributes that come with the files themselves, and what else Git does to content.
    for line in ["* text=auto", "*.bin -filter", "*.bin ident", "*.dat filter=s3lfs", "*.bin text eol=crlf"] {
        let twins = Twins::new(nothing, |place| {
            place.sh(&format!("echo '{line}' >>.gitattributes")).ok();
            for name in ["a.bin", "b.dat", "sub/c.bin"] {
                place.write(name, "line\r\nline $Id$\n");
            }
            place.write("sub/.gitattributes", "*.bin filter=s3lfs\n");
        });
        twins.are_alike("", &["."]);
    }
}

#[test]
fn sparse_checkouts_submodules_and_links_are_gits_to_judge() {
    let sparse = |place: &Place<'_>| {
        place.write("in/a.bin", "a");
        place.write("out/b.bin", "b");
        place.git(&["add", "."]).ok();
        place.git(&["commit", "-qm", "ab"]).ok();
        place.git(&["sparse-checkout", "set", "--sparse-index", "in"]).ok();
    };
    let twins = Twins::new(sparse, |place| {
        place.write("in/c.bin", "c");
        place.write("out/d.bin", "d");
    });
    twins.are_alike("", &["in"]);
    twins.are_alike("", &["."]);
    twins.are_alike("", &["out/d.bin"]).fails(1);
    let nested = |place: &Place<'_>| {
        place.sh("git init -q inner && cd inner && git config user.name n && git config user.email n@e && echo >x.bin && git add . && git commit -qm x").ok();
    };
    let twins = Twins::new(nested, |place| {
        place.write("beside.bin", "beside");
        place.write("inner/new.bin", "of the inner one");
        symlink("inner", place.join("link")).unwrap();
    });
    twins.are_alike("", &["inner/new.bin"]);
    twins.are_alike("", &["link/new.bin"]).fails(1);
    twins.are_alike("", &["."]);
}

/// The times of a file that is being written tell nothing yet.
#[test]
fn a_file_of_this_moment_is_read_by_git() {
    let world = World::ready();
    let work = world.at("work");
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    for (name, time) in [("now.bin", None), ("ahead.bin", Some(ahead))] {
        work.write(name, name);
        if let Some(time) = time {
            fs::File::options().write(true).open(work.join(name)).unwrap().set_modified(time).unwrap();
        }
    }
    let ran = work.s3lfs(&["--json", "add", "ahead.bin"]).ok();
    assert_eq!(ran.json("add")["items"], serde_json::json!([]), "Git added it");
    work.s3lfs(&["add", "."]).ok();
    work.git(&["commit", "-qm", "both"]).ok();
    work.is_clean();
    assert!(world.object(b"now.bin").exists() && world.object(b"ahead.bin").exists());
}

#[test]
fn it_answers_in_json_and_in_words() {
    let world = World::ready();
    let work = world.at("work");
    work.write("a.bin", "content of a");
    work.write("raw.txt", "raw");
    age(&work);
    let answer = work.s3lfs(&["--json", "add", "."]).ok().json("add");
    let expected = serde_json::json!([{ "path": "a.bin", "oid": oid(b"content of a"), "size": 12 }]);
    assert_eq!(answer["items"], expected, "what went through s3lfs");
    work.write("b.bin", "content of b");
    age(&work);
    let ran = work.s3lfs(&["-v", "add", "."]).ok();
    assert_eq!(ran.stdout, "add 'b.bin'\n", "as git add -v says it");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    work.write("c.bin", "content of c");
    age(&work);
    work.s3lfs(&["add", "c.bin"]).fails(1).says(&["s3lfs git-setup"]);
    assert!(!work.index().contains("c.bin"), "content never gets into Git this way");
}

/// The content of each of a hundred files.
fn hundred(dir: &str, turn: &str) -> Vec<(String, String)> {
    (0..100).map(|number| (format!("{dir}/{number}.dat"), format!("{turn} {dir} {number}"))).collect()
}

#[test]
fn many_files_of_other_commands_take_the_same_door() {
    let world = World::ready();
    let work = world.at("work");
    watch(&work);
    let staged = |files: &[(String, String)], how: &str| {
        assert_eq!(reads(&work), "", "Git itself reads none of them: {how}");
        for (path, content) in files {
            assert_eq!(work.blob(&format!(":{path}")), pointer(content.as_bytes()), "{path}: {how}");
            assert!(world.object(content.as_bytes()).exists(), "{path} is in the store: {how}");
        }
        assert_eq!(work.git(&["diff", "--name-only"]).ok().stdout, "", "nothing differs: {how}");
        assert_eq!(work.manifest()["files"][&files[9].0], oid(files[9].1.as_bytes()), "the manifest follows: {how}");
        work.git(&["fsck"]).ok();
    };
    let write = |files: &[(String, String)]| {
        files.iter().for_each(|(path, content)| work.write(path, content));
        age(&work);
    };
    let art = hundred("art", "first");
    work.write("art/.gitattributes", "left -filter\n");
    work.write("art/left", "Git's own");
    write(&art);
    work.s3lfs(&["track-subtree", "art"]).ok();
    staged(&art, "track-subtree");
    assert_eq!(work.git(&["ls-files", "art/left"]).ok().stdout, "", "what is not ours is not staged");
    work.git(&["commit", "-qm", "art"]).ok();

    let art = hundred("art", "then the second");
    write(&art);
    work.write("art/new.dat", "nobody asked for it");
    work.s3lfs(&["track-modified"]).ok();
    staged(&art, "track-modified");
    assert_eq!(work.git(&["ls-files", "art/new.dat"]).ok().stdout, "", "what is new is not staged");

    let more = hundred("more", "first");
    write(&more);
    work.write("more/other.dat", "nobody asked for it");
    let names: Vec<&str> = more.iter().map(|(path, _)| path.as_str()).collect();
    work.s3lfs(&[&["upload"], names.as_slice()].concat()).ok();
    staged(&more, "upload");
    assert_eq!(work.git(&["ls-files", "more/other.dat"]).ok().stdout, "", "what was not named is not staged");
}

/// A name that is also a pattern: Git takes it for the one or the other as it meets the files.
#[test]
fn a_name_that_looks_like_a_pattern_is_gits_to_judge() {
    let names = ["a.bin", "b.bin", "sub/a.bin", "sub/c*.bin", "sub/cc.bin", "[ab].bin"];
    let make = |place: &Place<'_>| {
        names.iter().for_each(|name| place.write(name, name));
        place.git(&["add", "."]).ok();
        place.git(&["commit", "-qm", "names"]).ok();
    };
    /// What is changed, and what is added then, from which directory.
    type Case = (fn(&Place<'_>), &'static str, &'static [&'static str]);
    let cases: [Case; 5] = [
        (|place| place.remove("[ab].bin"), "", &["[ab].bin"]),
        (|place| place.remove("[ab].bin"), "sub", &[":(top,icase)[AB].bin", "c*.bin"]),
        (|place| ["a.bin", "sub/a.bin"].iter().for_each(|name| place.remove(name)), "sub", &[":/[ab].bin"]),
        (|place| place.remove("sub/c*.bin"), "sub", &["../[ab].bin", "c*.bin"]),
        (|place| drop(place.git(&["rm", "-q", "--cached", "[ab].bin"]).ok()), "", &[":(glob)[ab].bin"]),
    ];
    for (change, dir, words) in cases {
        let change = |place: &Place<'_>| {
            ["a.bin", "b.bin", "sub/cc.bin"].iter().for_each(|name| place.write(name, "changed"));
            place.write("sub/cnew.bin", "new");
            change(place);
        };
        Twins::new(make, change).are_alike(dir, words);
    }
}
