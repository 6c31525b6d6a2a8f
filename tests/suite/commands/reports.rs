//! `status` and `ls`: what is here and what is known, without a connection.

use serde_json::{Value, json};

use crate::world::{World, oid, pointer};

/// One file in each state, and one that is as it should be.
fn every_state() -> World {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for path in ["good.bin", "modified.bin", "gone.bin", "pointer.bin", "deep/good.bin"] {
        work.write(path, path);
    }
    work.write("raw.dat", "raw");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    work.write("out/here", "here");
    work.write("out/gone", "gone");
    work.s3lfs(&["upload", "out/here", "out/gone"]).ok();
    work.s3lfs(&["track", "*.dat"]).ok();
    work.git(&["add", ".gitattributes"]).ok();
    world.unplug();
    work.write("offline.bin", "offline");
    work.git(&["add", "offline.bin"]).ok();
    work.git(&["commit", "-qm", "offline"]).ok();
    work.write("modified.bin", "changed.");
    work.remove("gone.bin");
    work.remove("out/gone");
    work.leave_pointer("pointer.bin");
    world
}

fn states(json: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let states = |item: &Value| item["states"].as_array().unwrap().iter().map(text).collect();
    json["items"].as_array().unwrap().iter().map(|item| (text(&item["path"]), states(item))).collect()
}

#[test]
fn status_tells_each_state_without_the_store() {
    let world = every_state();
    let work = world.at("work");
    let json = work.sub("deep").s3lfs(&["status", "--json"]).ok().json("status");
    let mut found = states(&json);
    found.sort();
    let expected = [
        ("deep/good.bin", vec![]),
        ("gone.bin", vec!["missing"]),
        ("good.bin", vec![]),
        ("modified.bin", vec!["modified"]),
        ("offline.bin", vec!["not uploaded"]),
        ("out/gone", vec!["missing"]),
        ("out/here", vec![]),
        ("pointer.bin", vec!["pointer only"]),
        ("raw.dat", vec!["raw in Git"]),
    ];
    let expected: Vec<(String, Vec<String>)> = expected
        .into_iter()
        .map(|(path, states)| (path.to_owned(), states.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(found, expected, "each file's state, no connection needed");
    let ran = work.s3lfs(&["status"]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains(&format!("{}/proj", world.url("store"))), "the store is named: {}", lines[0]);
    for (path, states) in expected {
        let line = lines.iter().find(|line| line.ends_with(&path) && line.split_whitespace().last() == Some(&path));
        match (states.first(), line) {
            (Some(state), Some(line)) => assert!(line.contains(state.as_str()), "{path}: {line}"),
            (None, line) => assert_eq!(line, None, "{path} is as it should be, and not named"),
            (Some(state), None) => panic!("{path} is {state}, and must be named: {}", ran.stdout),
        }
    }
}

/// Only what may be a pointer by its length is opened: so each length is told apart, also a pointer's own, and what is
/// one byte shorter or longer than any.
#[test]
fn status_tells_content_from_pointers_and_changes_at_every_length() {
    let world = World::ready();
    let work = world.at("work");
    let lengths = [1, 98, 99, 100, 101, 102, 500, 1022, 1023, 1024, 1025, 5000];
    let path = |length: usize| format!("d/{length}.bin");
    let write = |byte: u8| lengths.iter().for_each(|length| work.write(&path(*length), vec![byte; *length]));
    let all_are = |state: Option<&str>, why: &str| {
        let mut expected: Vec<(String, Vec<String>)> = lengths
            .iter()
            .map(|length| (path(*length), state.iter().map(|state| state.to_string()).collect()))
            .collect();
        expected.sort();
        assert_eq!(states(&work.s3lfs(&["status", "--json"]).ok().json("status")), expected, "{why}");
    };
    write(b'a');
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    all_are(None, "as committed");
    write(b'a');
    all_are(None, "written anew with the same content, Git's times being others");
    write(b'b');
    all_are(Some("modified"), "as long as before, in the same second");
    lengths.iter().for_each(|length| work.leave_pointer(&path(*length)));
    all_are(Some("pointer only"), "each is a pointer, which Git takes for unchanged");
    work.s3lfs(&["download-all"]).ok();
    all_are(None, "filled again");
    lengths.iter().for_each(|length| work.write(&path(*length), pointer(b"another")));
    all_are(Some("modified"), "the pointer to other content");
    lengths.iter().for_each(|length| work.remove(&path(*length)));
    all_are(Some("missing"), "nothing stands there");
    work.sh("rm -rf d && mkdir e && ln -s e d").ok();
    lengths.iter().for_each(|length| work.write(&format!("e/{length}.bin"), vec![b'a'; *length]));
    let json = work.s3lfs(&["status", "--json"]).ok().json("status");
    let errors = json["errors"].as_array().unwrap();
    assert_eq!(
        (json["items"].as_array().unwrap().len(), errors.len()),
        (0, lengths.len()),
        "no link is followed: {json}"
    );
}

#[test]
fn status_of_a_repository_in_order_says_so_and_changes_nothing() {
    let world = World::with_a();
    let work = world.at("work");
    let ran = work.s3lfs(&["status"]).ok();
    assert!(ran.stdout.contains("1 tracked file") && ran.stdout.contains("nothing to do"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "", "and there is no news");
    let json = work.s3lfs(&["status", "--json"]).ok().json("status");
    let item = json!({
        "path": "a.bin", "oid": oid(b"content of a\n"), "size": 13, "manifest_only": false, "states": []
    });
    assert_eq!(json["items"], json!([item]), "each item in full");
}

#[test]
fn status_marks_a_store_that_is_not_accepted_and_one_that_is_not_set() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "--unset", "s3lfs.store"]).ok();
    assert!(work.s3lfs(&["status"]).ok().stdout.contains("s3lfs trust"), "what to do stands there");
    let plain = World::new();
    assert!(plain.at("work").s3lfs(&["status"]).ok().stdout.contains("s3lfs init"));
}

#[test]
fn ls_lists_oid_size_and_path() {
    let world = every_state();
    let work = world.at("work");
    let ran = work.s3lfs(&["ls"]).ok();
    let line = ran.stdout.lines().find(|line| line.ends_with("  good.bin")).expect("good.bin is listed");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(words[0].len() >= 8 && oid(b"good.bin").starts_with(words[0]), "at least 8 digits of its oid: {line}");
    assert_eq!(words[1..], ["8", "B", "good.bin"]);
    assert_eq!(ran.stdout.lines().count(), 8, "all tracked files, those only the manifest names too: {}", ran.stdout);
    let verbose = work.s3lfs(&["ls", "-v", "good.bin"]).ok().stdout;
    assert!(verbose.starts_with(&oid(b"good.bin")), "-v gives all digits: {verbose}");
    let deep = work.sub("deep").s3lfs(&["ls", "."]).ok().stdout;
    assert!(deep.ends_with("  deep/good.bin\n") && deep.lines().count() == 1, "beneath a directory: {deep}");
    let out = work.s3lfs(&["ls", "out", "--json"]).ok().json("ls");
    let item =
        |path: &str, content: &[u8]| json!({ "path": path, "oid": oid(content), "size": null, "manifest_only": true });
    assert_eq!(out["items"], json!([item("out/gone", b"gone"), item("out/here", b"here")]));
    assert_eq!(
        work.s3lfs(&["ls", "--json", "raw.dat"]).ok().json("ls")["items"],
        json!([]),
        "raw files are no pointers"
    );
}

#[test]
fn ls_takes_the_top_for_everything_and_refuses_what_is_not_there() {
    let world = every_state();
    let work = world.at("work");
    let all = work.s3lfs(&["ls"]).ok().stdout;
    assert_eq!(work.s3lfs(&["ls", "."]).ok().stdout, all);
    assert_eq!(work.sub("deep").s3lfs(&["ls", ".."]).ok().stdout, all);
    assert!(work.s3lfs(&["ls", "gone.bin", "out/gone"]).ok().stdout.lines().count() == 2, "tracked, not on disk");
    work.s3lfs(&["ls", "nowhere"]).fails(1).says(&["nowhere"]);
    work.s3lfs(&["ls", "../work2"]).fails(1).says(&["outside"]);
}

#[test]
fn json_has_paths_as_they_are_and_the_terminal_never_does() {
    let world = World::ready();
    let work = world.at("work");
    let name = "odd\nname \u{1b}[31m\\n é.bin";
    work.commit(name, b"odd");
    for command in ["ls", "status"] {
        assert_eq!(work.s3lfs(&[command, "--json"]).ok().json(command)["items"][0]["path"], name, "{command}");
        let shown = work.s3lfs(&[command]).ok().stdout;
        assert!(!shown.contains('\u{1b}') && !shown.contains("odd\n"), "{command}: escaped for people: {shown}");
    }
}

#[test]
fn a_command_that_fails_as_a_whole_says_so_in_json() {
    let world = World::with_a();
    let work = world.at("work");
    world.unplug();
    work.drop_cache();
    for args in [
        &["verify"][..],
        &["cleanup"],
        &["prune"],
        &["download-all"],
        &["download", "a.bin"],
        &["upload", "a.bin"],
        &["track-subtree", "deep"],
        &["remove", "--purge-from-s3", "a.bin"],
        &["track-modified"],
        &["sparse-checkout", "deep"],
    ] {
        work.write("a.bin", "other content");
        work.write("deep/b.bin", "content");
        let args = [args, &["--json"]].concat();
        let ran = work.s3lfs(&args);
        assert_ne!(ran.code, 0, "the store is not there: {ran:#?}");
        match ran.code {
            1 if !ran.stdout.contains("\"errors\": [\n") => drop(ran.refused_in_json(args[0])),
            _ => drop(ran.json(args[0])),
        }
    }
    let nowhere = world.at("").sub("no repository");
    for command in ["status", "ls", "fsck", "verify", "track"] {
        nowhere.s3lfs(&[command, "--json"]).fails(1).refused_in_json(command);
    }
    let said = work.s3lfs(&["verify", "--json", "no-such-revision"]).fails(1).refused_in_json("verify");
    assert!(said["error"].as_str().unwrap().contains("unknown revision"), "{said:#}");
    // What Git calls answers Git alone, and a wrong command line is told by its exit code.
    assert_eq!(nowhere.s3lfs(&["smudge", "--json"]).stdout, "");
    assert_eq!(work.s3lfs(&["verify", "--json", "--nonsense"]).stdout, "");
}

#[test]
fn paths_for_programs_are_plain_and_end_in_nul() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("new\nline \u{e9} \"b\".bin", b"b");
    assert_eq!(work.s3lfs(&["ls", "-z"]).ok().stdout, "a.bin\0new\nline \u{e9} \"b\".bin\0");
    assert_eq!(work.s3lfs(&["ls", "-z", "a.bin"]).ok().stdout, "a.bin\0");
    assert_eq!(work.s3lfs(&["status", "-z"]).ok().stdout, "", "all is well");
    work.write("new\nline \u{e9} \"b\".bin", "changed");
    assert_eq!(work.s3lfs(&["status", "-z"]).ok().stdout, "new\nline \u{e9} \"b\".bin\0");
}

#[test]
fn a_file_is_named_once_as_beginning_like_a_pointer() {
    let world = World::ready();
    let work = world.at("work");
    work.write("odd.bin", "version s3lfs/1\noid sha256:nonsense\nsize 3\n");
    work.git(&["add", "odd.bin"]).ok();
    work.git(&["commit", "-qm", "odd"]).ok();
    work.write("odd.bin", "version s3lfs/1\noid sha256:nonsense\nsize 4\n");
    // Git cleans it twice here, to compare and to show.
    work.git(&["diff"]).ok().says(&["1 file (odd.bin) begin like a pointer"]);
}

/// Git's own settings for pathspecs are about the user's paths (git(1)): they must not make of the question
/// which files are tracked the question for a file of a strange name, to which the answer is "none".
#[test]
fn settings_for_pathspecs_do_not_hide_what_is_tracked() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("sub/.gitattributes", "*.dat filter=s3lfs -text\nnot.bin -filter\n");
    for path in ["sub/b.dat", "sub/not.bin", "c.dat"] {
        work.write(path, path);
    }
    work.git(&["add", "."]).ok();
    let paths = |ran: crate::world::Ran| -> Vec<String> {
        let files = ran.ok().json("ls")["items"].as_array().unwrap().clone();
        files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    let all = paths(work.s3lfs(&["ls", "--json"]));
    assert_eq!(all, ["a.bin", "sub/b.dat"], "by the attributes of each directory");
    work.git(&["commit", "-qm", "more"]).ok();
    let manifest = work.manifest();
    for name in ["LITERAL", "GLOB", "NOGLOB", "ICASE"] {
        let set = work.env(&format!("GIT_{name}_PATHSPECS"), "1");
        assert_eq!(paths(set.s3lfs(&["ls", "--json"])), all, "{name}");
        set.s3lfs(&["track-modified", "--staged"]).ok();
        assert_eq!(work.manifest(), manifest, "{name}: no entry is lost");
    }
    // Also where the attributes stand in the index alone.
    work.remove("sub/.gitattributes");
    assert_eq!(paths(work.s3lfs(&["ls", "--json"])), all);
}

#[test]
fn a_terminal_gets_colours_unless_somebody_wants_none() {
    let world = every_state();
    let work = world.at("work");
    for command in ["status", "ls", "doctor"] {
        let coloured = work.on_terminal(&[command]).ends().1;
        assert!(coloured.contains("\x1b[3"), "{command} on a terminal is coloured: {coloured}");
        let plain = work.env("NO_COLOR", "1").on_terminal(&[command]).ends().1;
        assert!(!plain.contains('\x1b'), "NO_COLOR is honoured: {plain}");
        let piped = work.s3lfs(&[command]);
        assert!(!piped.stdout.contains('\x1b'), "a pipe gets text alone: {piped:#?}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(
            command == "doctor" || words(&plain) == words(&piped.stdout),
            "the same text: {plain}\n{}",
            piped.stdout
        );
    }
    let modified = work.on_terminal(&["status"]).ends().1;
    assert!(modified.contains("\x1b[31mmodified"), "what is wrong is red, as in git status: {modified}");
}
