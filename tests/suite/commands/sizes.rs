//! Pointers with the right oid and a wrong size, and cached copies with a wrong length: each is told from
//! the other, and what is to be done is said.

use std::fs;

use crate::world::{Place, World, oid, pointer};

/// The pointer to `a.bin` with another size, committed.
fn wrong(work: &Place<'_>) -> String {
    let wrong = pointer(b"content of a\n").replace("size 13", "size 31");
    work.write("a.bin", &wrong);
    work.git(&["add", "a.bin"]).ok();
    work.git(&["commit", "-qm", "edited by hand"]).ok();
    wrong
}

#[test]
fn verify_and_fsck_name_the_pointer_as_what_is_wrong_and_how_it_is_mended() {
    let world = World::with_a();
    let work = world.at("work");
    let wrong = wrong(&work);
    for args in [&["verify"][..], &["verify", "--deep"], &["verify", "--deep", "--fix"], &["fsck", "--fix"]] {
        let ran = work.s3lfs(args).fails(3);
        ran.says(&["a.bin", "31 bytes", "13", "git add", "git checkout <commit> -- <file>"]);
        assert_eq!(work.text("a.bin"), wrong, "nothing is guessed");
    }
    work.drop_cache();
    let ran = work.s3lfs(&["verify", "--deep", "--fix"]).fails(3);
    ran.says(&["wrong size: a.bin", "31 bytes", "git checkout"]).never_says(&["verify --deep --fix", "damaged"]);
    // Also without reading: another pointer knows another size.
    let ran = work.s3lfs(&["verify", "HEAD~1..HEAD"]);
    assert_eq!(ran.code, 0, "alone, it is not judged without reading");
    let ran = work.s3lfs(&["verify", "--all"]).fails(3);
    ran.says(&["wrong size: a.bin", "1 under a pointer with a wrong size"]);
    // What it says mends it.
    work.git(&["checkout", "HEAD~1", "--", "a.bin"]).ok();
    work.s3lfs(&["verify", "--deep"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n");
}

#[test]
fn the_gate_sees_that_two_pointers_disagree() {
    let world = World::with_a();
    let work = world.at("work");
    let wrong = wrong(&work);
    work.drop_cache();
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    work.write("b.bin", pointer(b"content of a\n"));
    work.git(&["add", "b.bin"]).ok();
    work.git(&["commit", "-qm", "the right one"]).ok();
    let ran = work.git(&["push"]);
    assert_ne!(ran.code, 0, "one of them can't be checked out");
    ran.says(&["push refused", "a.bin", "b.bin", "31", "13", "wrong size"]);
    assert!(wrong.contains("31"));
}

#[test]
fn a_damaged_cached_copy_is_not_taken_for_a_wrong_pointer() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("n.bin", b"new content");
    let id = oid(b"new content");
    let cached = work.join(&format!(".git/s3lfs/objects/{}/{id}", &id[..2]));
    fs::write(&cached, "short").unwrap();
    let ran = work.git(&["push", "-q"]).ok();
    ran.says(&["the cached copy of n.bin is damaged", "git add --renormalize"]).never_says(&["wrong size"]);
    // Where the store does not have it either, the push is refused for that.
    world.unplug();
    work.commit("m.bin", b"more content");
    world.plug();
    let id = oid(b"more content");
    fs::write(work.join(&format!(".git/s3lfs/objects/{}/{id}", &id[..2])), "short").unwrap();
    let ran = work.git(&["push"]);
    assert_ne!(ran.code, 0, "nobody has it");
    ran.says(&["the cached copy of m.bin is damaged", "git add --renormalize", "push refused"]);
    work.sh("git add --renormalize m.bin").ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"more content").exists(), "what it says mends it");
}

#[test]
fn a_damaged_cached_copy_as_long_as_one_pointer_says_does_not_hide_that_two_disagree() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("n.bin", b"new content");
    let id = oid(b"new content");
    work.write("w.bin", pointer(b"new content").replace("size 11", "size 10"));
    work.git(&["add", "w.bin"]).ok();
    work.git(&["commit", "-qm", "edited by hand"]).ok();
    fs::write(work.join(&format!(".git/s3lfs/objects/{}/{id}", &id[..2])), "ten bytes!").unwrap();
    let ran = work.git(&["push"]);
    assert_ne!(ran.code, 0, "one of them can't be checked out, although the store has the content");
    ran.says(&["push refused", "n.bin", "w.bin", "10", "11", "wrong size"]);
}

#[test]
fn a_text_that_looks_like_a_pointer_is_told_how_it_gets_through() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("text.bin", pointer(b"content that nobody has").as_bytes());
    let ran = work.git(&["push"]);
    assert_ne!(ran.code, 0);
    ran.says(&["text.bin", "-filter", "s3lfs.allowmissing="]);
    work.git(&["-c", "s3lfs.allowmissing=text.bin", "push", "-q"]).ok();
}

/// Reading tells: the bytes hash to the oid, so that it is not the object that is wrong.
#[test]
fn a_checkout_and_a_download_blame_the_pointer_and_not_the_store() {
    let world = World::ready();
    let work = world.at("work");
    let compressible = b"the same line again and again\n".repeat(50);
    for (content, name) in [(&b"not much of it"[..], "raw.bin"), (&compressible, "gzip.bin")] {
        work.commit(name, content);
        let right = content.len() as u64;
        let raw = fs::read(world.object(content)).unwrap() == content;
        assert_eq!(raw, name == "raw.bin", "both forms are met");
        for named in [1, right - 1, right + 1, right * 3] {
            let wrong = pointer(content).replace(&format!("size {right}\n"), &format!("size {named}\n"));
            work.write(name, &wrong);
            work.git(&["add", name]).ok();
            work.drop_cache();
            work.remove(name);
            let said = format!("the size line of its pointer is wrong: it says {named} bytes");
            let ran = work.git(&["checkout", "--", name]);
            assert_ne!(ran.code, 0, "nothing can be delivered");
            let ran = ran.says(&[name, &said, &format!("has {right}"), "git checkout <commit>"]);
            ran.never_says(&["damaged", "verify"]);
            for args in [&["download", name][..], &["download-all"]] {
                let ran = work.s3lfs(args);
                assert_ne!(ran.code, 0);
                ran.says(&[name, &said]).never_says(&["is not what the pointer names", "verify --deep --fix"]);
            }
        }
        work.git(&["reset", "-q", "--hard"]).ok();
        // Other content is the store's fault.
        fs::write(world.object(content), "other content").unwrap();
        work.leave_pointer(name);
        work.s3lfs(&["download", name]).fails(1).says(&["is not what the pointer names"]).never_says(&["size line"]);
        work.write(name, content);
        work.s3lfs(&["upload", name]).ok();
    }
}

/// Nothing here knows the content: a clone without it, and a record that says nothing.
#[test]
fn the_gate_asks_the_store_for_the_size_of_what_is_not_here() {
    let world = World::ready();
    let work = world.at("work");
    let compressible = b"the same line again and again\n".repeat(50);
    for (content, name) in [(&b"not much of it"[..], "raw.bin"), (&compressible, "gzip.bin")] {
        work.commit(name, content);
    }
    work.git(&["push", "-q"]).ok();
    for (content, name) in [(&b"not much of it"[..], "raw.bin"), (&compressible, "gzip.bin")] {
        let right = content.len() as u64;
        for named in [1, right + 1, right * 3] {
            work.write(name, pointer(content).replace(&format!("size {right}\n"), &format!("size {named}\n")));
            work.git(&["commit", "-qam", "edited by hand"]).ok();
            work.drop_cache();
            // A fresh record is one of the content, and not of what a pointer says of it.
            for record in ["fresh", "none"] {
                if record == "none" {
                    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
                }
                let ran = work.git(&["push", "-q"]);
                assert_ne!(ran.code, 0, "{name} with size {named} can't be checked out by anybody ({record})");
                ran.says(&["push refused", name, "a wrong size", &format!("{named} bytes, the content has {right}")]);
            }
            work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
        }
        // The right one, under another name and with nothing here, passes.
        work.drop_cache();
        let _ = fs::remove_dir_all(work.join(".git/s3lfs/uploaded"));
        work.write(&format!("as-{name}"), pointer(content));
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "the same content"]).ok();
        work.git(&["push", "-q"]).ok();
    }
}

/// A clone that has the pointer and nothing else of `a.bin`.
fn with_a_pointer(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.drop_cache();
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    work.write("a.bin", pointer(b"content of a\n"));
    work
}

/// The first push finds out, and must leave no record by which the second one passes.
#[test]
fn what_the_gate_refused_it_refuses_again() {
    let world = World::with_a();
    let work = with_a_pointer(&world);
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    let whole = fs::read(world.object(b"content of a\n")).unwrap();
    fs::write(world.object(b"content of a\n"), &whole[..5]).unwrap();
    work.write("n.bin", pointer(b"content of a\n"));
    work.git(&["add", "n.bin"]).ok();
    work.git(&["commit", "-qm", "a right pointer, and half of its object"]).ok();
    for push in ["first", "second"] {
        let ran = work.git(&["push", "-q"]);
        assert_ne!(ran.code, 0, "the {push} push names what nobody can check out");
        ran.says(&["push refused", "n.bin"]);
    }
    fs::write(world.object(b"content of a\n"), whole).unwrap();
    work.git(&["push", "-q"]).ok();
}

/// Whether pre-commit made a record of the content, or nobody did.
#[test]
fn a_wrong_size_under_a_new_name_is_refused_each_time() {
    for uploads_on in ["commit", "push"] {
        let world = World::with_a();
        let work = with_a_pointer(&world);
        work.git(&["config", "s3lfs.uploadon", uploads_on]).ok();
        work.write("n.bin", pointer(b"content of a\n").replace("size 13", "size 12"));
        work.git(&["add", "n.bin"]).ok();
        work.git(&["commit", "-qm", "copied and edited"]).ok();
        for push in ["first", "second"] {
            let ran = work.git(&["push", "-q"]);
            assert_ne!(ran.code, 0, "the {push} push (uploads on {uploads_on})");
            ran.says(&["push refused", "n.bin", "a wrong size", "12 bytes, the content has 13"]);
            work.drop_cache();
        }
    }
}
