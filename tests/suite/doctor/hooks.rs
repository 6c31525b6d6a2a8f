//! Hooks that are missing, that are there and would not run, and that belong to somebody else.

use std::os::unix::fs::PermissionsExt;

use super::{finds, fine, run_all, stopped};
use crate::world::{Place, World};

const HOOK: &str = ".git/hooks/pre-push";

fn chmod(work: &Place<'_>, mode: u32) {
    std::fs::set_permissions(work.join(HOOK), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Break it; the finding's commands mend it.
fn mended(state: &str, break_it: impl FnOnce(&Place<'_>), says: &[&str]) {
    let world = World::with_a();
    let work = world.at("work");
    break_it(&work);
    let ran = work.s3lfs(&["doctor", "--json"]);
    assert_eq!(ran.code, i32::from(state == "stops"), "{ran:#?}");
    let mend = finds(&ran.json("doctor"), "hook", state, says);
    run_all(&work, &mend);
    fine(&work);
}

#[test]
fn a_hook_that_is_missing_or_lacks_our_block() {
    mended("stops", |work| work.remove(HOOK), &["pre-push is not installed"]);
    mended("warning", |work| work.remove(".git/hooks/post-merge"), &["post-merge is not installed"]);
    mended("stops", |work| work.script(HOOK, "#!/bin/sh\nexit 0\n"), &["without our block"]);
    mended("stops", |work| chmod(work, 0o644), &["can't be run"]);
    let crlf = |work: &Place<'_>| work.script(HOOK, &work.text(HOOK).replace('\n', "\r\n"));
    mended("stops", crlf, &["can't be run"]);
}

#[test]
fn a_hook_that_would_not_come_to_our_line() {
    let world = World::with_a();
    let work = world.at("work");
    let ours = work.text(HOOK);
    let moved = ours.replacen("#!/bin/sh\n", "#!/bin/sh\nexit 0\n", 1);
    work.script(HOOK, &moved);
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "hook", "stops", &["pre-push", "exit 0"]);
    work.script(HOOK, &format!("{}echo mine\r\n", ours.replace('\n', "\r\n")));
    finds(&stopped(work.s3lfs(&["doctor", "--json"])), "hook", "stops", &["pre-push", "CR LF", "sed -i"]);
    work.script(HOOK, &ours.replacen("#!/bin/sh", "#!/no/such/sh", 1));
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "hook", "stops", &["/no/such/sh"]);
    assert!(mend[0].contains("pre-push"), "{mend:?}");
}

#[test]
fn hooks_of_others_get_the_line_to_add() {
    let world = World::with_a();
    let work = world.at("work");
    work.script("team-hooks/pre-push", "#!/bin/sh\ns3lfs hook pre-push \"$@\"\n");
    work.script("team-hooks/pre-commit", "#!/bin/sh\n");
    work.git(&["add", "team-hooks"]).ok();
    work.git(&["config", "core.hooksPath", "team-hooks"]).ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "hook", "stops", &["pre-commit", "committed"]);
    assert!(mend[0].contains("s3lfs track-modified --staged"), "{mend:?}");
    finds(&answer, "hook", "ok", &["pre-push"]);
}

#[test]
fn a_hooks_path_that_is_no_directory_runs_nothing() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "core.hooksPath", "/dev/null"]).ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let found = super::about(&answer, "hook");
    let push = found.iter().find(|(_, message, _)| message.contains("pre-push")).expect("pre-push is named");
    assert!(push.1.contains("Git runs no hooks"), "{push:?}");
    run_all(&work, &push.2);
    fine(&work);
}
