//! Names that lead elsewhere, and names that speak to the terminal.

use std::fs;

use super::{stage, stage_many};
use crate::world::{MANIFEST, Place, World, oid, pointer, snapshot};

/// Names that some filesystem takes out of the worktree or into `.git`.
const ELSEWHERE: [&str; 24] = [
    "../outside",
    "a/../../outside",
    "..",
    "/tmp/s3lfs-outside",
    "//server/share/x",
    "a//b",
    "./a",
    "a/.",
    "",
    ".git/hooks/pre-commit",
    ".GIT/config",
    "a/.Git/config",
    ".git./config",
    ".git /config",
    ".git . . /config",
    ".git::$INDEX_ALLOCATION/config",
    ".git:x/config",
    "git~1/config",
    "GIT~1/config",
    ".g\u{200c}it/config",
    "\u{feff}.git/config",
    ".gi\u{202e}t/config",
    "a\0b",
    "a/\0",
];

#[test]
fn manifest_keys_that_lead_elsewhere_are_refused() {
    let world = World::with_a();
    let work = world.at("work");
    let good = work.manifest();
    let hooks = snapshot(&work.join(".git/hooks"));
    let config = work.read(".git/config");
    for name in ELSEWHERE {
        let mut manifest = good.clone();
        manifest["files"][name] = oid(b"content of a\n").into();
        manifest["manifest_only"] = vec![name].into();
        work.write(MANIFEST, serde_json::to_string_pretty(&manifest).unwrap());
        work.s3lfs(&["download-all"]).ok().says(&["passed over"]);
        for args in [&["track-modified"][..], &["trust"]] {
            work.s3lfs(args).fails(1).says(&[MANIFEST, "path"]);
        }
        if !name.contains('\0') {
            assert_ne!(work.s3lfs(&["download", name]).code, 0, "{name:?} is not asked for either");
        }
        let python = serde_json::json!({"bucket_name": world.url("store"), "repo_prefix": "proj",
            "files": {name: oid(b"content of a\n")}});
        work.write(MANIFEST, python.to_string());
        work.s3lfs(&["download-all"]).ok();
        work.s3lfs(&["migrate"]).fails(1);
    }
    assert_eq!(snapshot(&work.join(".git/hooks")), hooks, "no hook was written");
    assert_eq!(work.read(".git/config"), config, "nor any setting");
    assert!(!world.path("outside").exists() && fs::symlink_metadata("/tmp/s3lfs-outside").is_err());
}

/// A commit with one tree in another, by names that `git add` would refuse.
fn commit_of(work: &Place<'_>, dir: &str, name: &str, blob: &str) -> String {
    let blob = work.git_with_input(&["hash-object", "-w", "--stdin"], blob.as_bytes()).ok().stdout;
    let line = format!("100644 blob {}\t{name}\0", blob.trim());
    let inner = work.git_with_input(&["mktree", "-z"], line.as_bytes()).ok().stdout;
    let line = format!("040000 tree {}\t{dir}\0", inner.trim());
    let attributes = work.git(&["rev-parse", "HEAD:.gitattributes"]).ok().stdout;
    let line = format!("{line}100644 blob {}\t.gitattributes\0", attributes.trim());
    let tree = work.git_with_input(&["mktree", "-z"], line.as_bytes()).ok().stdout;
    work.git(&["commit-tree", tree.trim(), "-m", "hostile"]).ok().stdout.trim().to_owned()
}

#[test]
fn a_tree_that_leads_elsewhere_writes_nothing_there() {
    let world = World::with_a();
    let work = world.at("work");
    let hooks = snapshot(&work.join(".git/hooks"));
    for dir in ["..", ".git", ".GIT", "git~1", ".git ", "."] {
        let commit = commit_of(&work, dir, "x.bin", &pointer(b"content of a\n"));
        // Git may refuse it first; whoever walks such a history must come to an end.
        work.git(&["-c", "core.protectNTFS=false", "read-tree", &commit]);
        for args in [&["download-all"][..], &["status"], &["ls"], &["verify", &commit], &["fsck"]] {
            let ran = work.s3lfs(args);
            assert!((0..=3).contains(&ran.code), "{dir:?}: {args:?} ends by itself: {ran:#?}");
        }
        work.git(&["read-tree", "HEAD"]).ok();
        assert!(!world.path("x.bin").exists() && !work.exists(".git/x.bin"), "{dir:?}");
    }
    assert_eq!(snapshot(&work.join(".git/hooks")), hooks);
}

#[test]
fn a_symlink_and_a_file_beneath_it_lead_nowhere() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir(world.path("outside")).unwrap();
    // The commit has a link where the manifest has a directory.
    let target = work.git_with_input(&["hash-object", "-w", "--stdin"], b"../outside").ok().stdout;
    stage_many(&work, &[("120000", target.trim(), "d")]);
    work.git(&["checkout", "-q", "--", "d"]).ok();
    let mut manifest = work.manifest();
    manifest["files"]["d/x.dat"] = oid(b"content of a\n").into();
    manifest["manifest_only"] = vec!["d/x.dat"].into();
    work.write(MANIFEST, serde_json::to_string_pretty(&manifest).unwrap());
    work.s3lfs(&["download-all"]).fails(3).says(&["d/x.dat", "symbolic link"]);
    work.s3lfs(&["download", "--force", "d/x.dat"]).fails(1).says(&["outside this repository"]);
    assert_ne!(work.s3lfs(&["sparse-checkout", "d"]).code, 0);
    assert_eq!(fs::read_dir(world.path("outside")).unwrap().count(), 0, "nothing is written through the link");
}

#[test]
fn names_never_speak_to_the_terminal() {
    let world = World::with_a();
    let work = world.at("work");
    let names = [
        "\u{1b}]0;owned\u{7}\u{1b}[2J.bin",
        "a\rs3lfs: everything is fine.bin",
        "b\ns3lfs: everything is fine.bin",
        "c\u{9b}31m.bin",
        "invoice\u{202e}gnp.bin",
        "d\u{2066}x\u{8}\u{8}.bin",
    ];
    for name in names {
        stage(&work, name, pointer(name.as_bytes()).as_bytes());
    }
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qm", "names"]).ok();
    let shown = |ran: crate::world::Ran| {
        let text = format!("{}{}", ran.stdout, ran.stderr);
        let bad = |c: char| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{2069}').contains(&c);
        assert!(!text.contains(bad), "no raw escape: {ran:#?}");
        assert!(!text.lines().any(|line| line.starts_with("s3lfs: everything is fine")), "no forged line: {ran:#?}");
    };
    for args in [
        &["status"][..],
        &["status", "-v"],
        &["ls"],
        &["download-all"],
        &["verify"],
        &["fsck"],
        &["download", names[0], names[1], names[2], names[4]],
        &["download", names[2]],
        &["upload", names[0], names[2]],
        &["remove", names[2]],
        &["track-modified"],
        &["track", names[0]],
        &["track"],
    ] {
        shown(work.s3lfs(args));
    }
    shown(work.git(&["push", "-q"]));
    fs::create_dir(work.join("dir")).unwrap();
    for name in names {
        // A directory in the place of the file, so that errors of the disk name it.
        work.git(&["checkout", "-q", "--", "."]);
        let _ = fs::remove_file(work.join(name));
        fs::create_dir_all(work.join(name)).unwrap();
        shown(work.s3lfs(&["upload", name]));
        shown(work.s3lfs(&["download", "--force", name]));
    }
}
