//! All of a history that has a bit of everything in it.

use super::{files, large, map, raw};
use crate::world::{Place, World, pointer};

/// Merges, tags of every kind, a signed commit, odd names, modes, a link, a submodule, attributes of its own.
fn with_everything() -> World {
    let world = raw();
    let work = world.at("work");
    work.git(&["tag", "before"]).ok();
    work.write("a.psd", large("a", 1));
    work.write("dir/deep/b.psd", large("b", 1));
    work.write("run.sh", large("run", 1));
    work.sh("chmod 755 run.sh && ln -s a.psd link").ok();
    work.sh("printf '%s' \"$(head -c 2000 /dev/zero | tr '\\0' x)\" >target && ln -s \"$(head -c 2000 target)\" long")
        .ok();
    work.remove("target");
    work.sh("head -c 9000 /dev/zero >\"$(printf 'odd\\377 name.psd')\"").ok();
    let odd = r#"update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,sub"#;
    work.git(&["add", "."]).ok();
    work.git(&odd.split(' ').collect::<Vec<_>>()).ok();
    work.git(&["commit", "-qm", "large ones"]).ok();
    work.git(&["tag", "-a", "v1", "-m", "the first\n\nwith a body"]).ok();

    work.git(&["checkout", "-qb", "side"]).ok();
    work.write(".gitattributes", "*.txt text\n*.psd -diff\n");
    work.write("a.psd", large("a", 2));
    work.git(&["add", "."]).ok();
    let author = work.env("GIT_AUTHOR_NAME", "\u{c5}sa").env("GIT_AUTHOR_DATE", "1112911993 -0730");
    author.git(&["-c", "i18n.commitEncoding=latin1", "commit", "-qm", "on the side"]).ok();
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["mv", "dir/deep/b.psd", "dir/renamed.psd"]).ok();
    // Once small: it stays one file, and a pointer in all of its versions.
    work.write("run.sh", "small now\n");
    work.git(&["commit", "-qam", "renamed"]).ok();
    work.git(&["merge", "-q", "-m", "merged", "side"]).ok();
    sign(&work);
    work.git(&["rm", "-q", "dir/renamed.psd"]).ok();
    work.git(&["commit", "-qm", "deleted"]).ok();
    work.git(&["notes", "add", "-m", "a note", "HEAD"]).ok();
    world
}

/// HEAD's commit, and a tag of it, with signatures (which are nobody's).
fn sign(work: &Place<'_>) {
    let signature = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";
    let commit = work.git(&["cat-file", "commit", "HEAD"]).ok().stdout;
    let (head, message) = commit.split_once("\n\n").unwrap();
    let signed = format!("{head}\ngpgsig {}\n\n{message}", signature.trim_end().replace('\n', "\n "));
    let id = work.git_with_input(&["hash-object", "-t", "commit", "-w", "--stdin"], signed.as_bytes()).ok().stdout;
    work.git(&["reset", "-q", "--hard", id.trim()]).ok();
    let tag = format!(
        "object {}\ntype commit\ntag signed\ntagger a <a@example.com> 7 +0100\n\nsigned\n{signature}",
        id.trim()
    );
    let tag = work.git_with_input(&["mktag"], tag.as_bytes()).ok().stdout;
    work.git(&["update-ref", "refs/tags/signed", tag.trim()]).ok();
}

/// All that a commit says but for objects and signature.
fn said(work: &Place<'_>, commit: &str) -> String {
    let text = work.git(&["-c", "i18n.logOutputEncoding=UTF-8", "cat-file", "commit", commit]).ok().stdout;
    let (head, message) = text.split_once("\n\n").unwrap();
    let lines =
        head.lines().filter(|line| !["tree ", "parent ", "gpgsig ", " "].iter().any(|key| line.starts_with(key)));
    lines.collect::<Vec<_>>().join("\n") + message
}

#[test]
fn every_commit_is_what_it_was_with_pointers_in_the_place_of_what_is_large() {
    let world = with_everything();
    let work = world.at("work");
    world.at("").git(&["clone", "-q", "--mirror", "work", "old.git"]).ok();
    world.at("").git(&["clone", "-q", "old.git", "old"]).ok();
    let (head, before) = (work.head(), files(&work));
    let first = work.git(&["rev-parse", "before"]).ok().stdout;

    let ran = work.s3lfs(&["migrate", "import", "--above", "1k"]).ok();
    let ran =
        ran.says(&["the signature of commit", "the signature of refs/tags/signed", "notes still stand", "*.psd:"]);
    let map = map(&ran.stdout);
    work.is_clean();
    work.git(&["fsck", "--strict"]).ok();
    assert_eq!(work.head(), map[&head], "the branch is at what its commit became");
    assert_eq!(files(&work), before, "the worktree has the same files");
    assert_eq!(
        work.git(&["rev-parse", "before"]).ok().stdout,
        first,
        "a commit without such files stays the very same"
    );
    assert!(!map.contains_key(first.trim()));
    let all = work.git(&["rev-list", "--branches", "--tags"]).ok().stdout;
    assert_eq!(all.lines().count(), map.len() + 1, "as many commits as before");
    assert!(work.blob("HEAD:a.psd") == pointer(&large("a", 2)) && work.index().contains("100755"));

    // In a clone that never saw the old history, with content from the store.
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "a store"]).ok();
    work.git(&["push", "-q", "origin", "main", "side", "--tags"]).ok();
    world.at("").s3lfs(&["clone", "-q", "remote.git", "fresh"]).ok();
    let (fresh, old) = (world.at("fresh"), world.at("old"));
    fresh.drop_cache();
    for (was, is) in &map {
        old.git(&["checkout", "-q", was]).ok();
        fresh.git(&["checkout", "-q", is]).ok();
        fresh.is_clean();
        let (was_files, is_files) = (files(&old), files(&fresh));
        assert!(was_files == is_files, "{was}: {:?} and {:?}", was_files.keys(), is_files.keys());
        let modes = |place: &Place<'_>| -> Vec<String> {
            let listed = place.git(&["ls-files", "-s"]).ok().stdout;
            let mode = |line: &str| format!("{} {}", &line[..6], line.split_once('\t').unwrap().1);
            listed.lines().map(mode).filter(|line| !line.ends_with(".gitattributes")).collect()
        };
        assert_eq!(modes(&old), modes(&fresh), "modes, links and submodules of {was}");
        assert_eq!(said(&old, was), said(&fresh, is), "names, times, encoding and message of {was}");
        let parents = |place: &Place<'_>, commit: &str| -> Vec<String> {
            let parents = place.git(&["rev-list", "-1", "--parents", commit]).ok().stdout;
            parents.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        let expected = parents(&old, was).iter().map(|id| map.get(id).unwrap_or(id).clone()).collect::<Vec<_>>();
        assert_eq!(parents(&fresh, is), expected, "the shape of the history");
    }
    let large = "git rev-list --objects --branches --remotes --tags --no-object-names |
        git cat-file --batch-check='%(objecttype) %(objectsize)' | grep -E 'blob [0-9]{4,}' | grep -vE ' (1|2)[0-9]{3}$'";
    assert_eq!(fresh.sh(large).stdout, "", "nothing large is left in it");
    for (tag, says) in [("v1", "the first\n\nwith a body\n"), ("signed", "signed\n")] {
        let text = fresh.git(&["cat-file", "tag", tag]).ok().stdout;
        assert!(text.ends_with(&format!("\n\n{says}")), "{tag} says what it said, without a signature: {text}");
    }
    let attributes = fresh.git(&["show", "main~1:.gitattributes"]).ok().stdout;
    assert!(attributes.starts_with("*.txt text\n*.psd -diff\n"), "what the history had stays: {attributes}");
}

#[test]
fn what_refs_named_before_stays_until_it_is_let_go() {
    let world = with_everything();
    let work = world.at("work");
    let refs = |place: &Place<'_>| place.git(&["for-each-ref", "refs/heads", "refs/tags"]).ok().stdout;
    let (before, head) = (refs(&work), work.head());
    let ran = work.s3lfs(&["migrate", "import", "--above", "1k"]).ok();
    assert_eq!(work.git(&["rev-parse", "refs/original/refs/heads/main"]).ok().stdout.trim(), head);
    assert_eq!(work.text(".git/s3lfs/import-map"), ran.stdout, "the map is kept, too");
    // The notes follow, by the command that was printed.
    work.sh("git notes copy --stdin <.git/s3lfs/import-map").ok();
    assert_eq!(work.git(&["notes", "show", "HEAD"]).ok().stdout, "a note\n");
    work.s3lfs(&["migrate", "import", "--above", "1k"]).ok().says(&["nothing to rewrite"]);
    let back = "git for-each-ref --format='update %(refname:lstrip=2) %(objectname)' refs/original |
        git update-ref --stdin && git reset -q --hard";
    work.sh(back).ok();
    assert_eq!(refs(&work), before, "back to where it was");
    work.is_clean();
    work.s3lfs(&["migrate", "import", "--above", "1k"]).fails(1).says(&["refs/original/", "update-ref --stdin"]);
    assert_eq!(refs(&work), before, "what stands there is not replaced");

    // Again, and let go: the pointers alone are left, and a second time is nothing.
    work.sh("git for-each-ref --format='delete %(refname)' refs/original | git update-ref --stdin").ok();
    work.s3lfs(&["migrate", "import", "--above", "1k"]).ok();
    work.sh("git for-each-ref --format='delete %(refname)' refs/original | git update-ref --stdin").ok();
    let rewritten = refs(&work);
    work.s3lfs(&["migrate", "import", "--include", "*.psd"]).ok().says(&["nothing to rewrite"]);
    assert_eq!(refs(&work), rewritten);
}

/// What is printed is typed as it stands.
fn let_go(work: &Place<'_>, said: &str) {
    for before in ["To let go of the old history: ", "  then: git -c"] {
        let line =
            said.lines().find_map(|line| line.strip_prefix(before)).unwrap_or_else(|| panic!("it says how: {said}"));
        work.sh(&[if before.ends_with("git -c") { "git -c" } else { "" }, line].concat()).ok();
    }
}

#[test]
fn letting_go_of_the_old_history_takes_no_stash_along() {
    let world = with_everything();
    let work = world.at("work");
    for text in ["first", "second", "third"] {
        work.write("README", text);
        work.git(&["stash"]).ok();
    }
    let old = work.head();
    let ran = work.s3lfs(&["migrate", "import", "--above", "1k"]).ok().says(&["the stash still stands on old commits"]);
    let_go(&work, &ran.stderr);
    assert_eq!(work.git(&["stash", "list"]).ok().stdout.lines().count(), 3);
    assert!(
        work.git(&["show", "stash@{2}:README"]).ok().stdout.contains("first"),
        "also those that only the reflog names"
    );
    work.git(&["cat-file", "-e", &old]).ok();
    work.git(&["stash", "clear"]).ok();
    work.git(&["update-ref", "-d", "refs/notes/commits"]).ok();
    let_go(&work, &ran.stderr);
    assert_eq!(work.git(&["cat-file", "-e", &old]).code, 1, "without stashes and notes nothing keeps it");
}

/// How many objects are files of their own, and how many packs there are.
fn kept(work: &Place<'_>) -> (usize, usize) {
    let text = work.git(&["count-objects", "-v"]).ok().stdout;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")?.parse().ok());
    (value("count").unwrap(), value("packs").unwrap())
}

#[test]
fn a_long_history_becomes_one_pack_in_either_format() {
    for (format, commits, packed) in [("sha1", 150, true), ("sha256", 150, true), ("sha1", 10, false)] {
        let world = World::new();
        let work = world.at("").sub("long");
        work.git(&["init", "-q", "-b", "main", &format!("--object-format={format}"), "."]).ok();
        let mut stream = String::new();
        for n in 1..=commits {
            let content = format!("{n} ").repeat(2000);
            stream += &format!("commit refs/heads/main\ncommitter a <a@b> {n} +0000\ndata 1\nx\n");
            stream += &format!("M 100644 inline dir/a.psd\ndata {}\n{content}\n", content.len());
        }
        work.git_with_input(&["fast-import", "--quiet"], stream.as_bytes()).ok();
        work.git(&["reset", "-q", "--hard"]).ok();
        work.s3lfs(&["git-setup"]).ok();
        work.remove(".gitattributes");
        let (loose, packs) = kept(&work);
        let moved = work.s3lfs(&["migrate", "import", "--include", "*.psd"]).ok();
        assert_eq!(map(&moved.stdout).len(), commits, "all of them are rewritten");
        let (more, new) = (kept(&work).0 - loose, kept(&work).1 - packs);
        match packed {
            true => assert!(more < 10 && new == 1, "{format}: one pack, and no file for each object: {more}, {new}"),
            // As after a small fetch: very many small packs make a repository slow.
            false => assert!(more > 2 * commits && new == 0, "{format}: few objects are files: {more}, {new}"),
        }
        work.git(&["fsck", "--strict"]).ok();
        let at = |n: usize| format!("{n} ").repeat(2000).into_bytes();
        assert_eq!(work.blob("HEAD~3:dir/a.psd"), pointer(&at(commits - 3)), "{format}: each is its own pointer");
        assert_eq!(work.read("dir/a.psd"), at(commits), "and the worktree stays as it is");
        work.is_clean();
    }
}
