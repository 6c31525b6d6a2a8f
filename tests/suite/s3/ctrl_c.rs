//! Ctrl-C during a transfer: 130, a word on how to go on, and nothing in the way of the next command.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::scratch::run;
use crate::world::Place;

/// The signal that a terminal sends to the command and its children.
fn interrupt(place: &Place<'_>, child: &Child) {
    place.sh(&format!("kill -INT -{}", child.id())).ok();
}

#[test]
fn an_interrupted_upload_ends_with_130_and_goes_on_when_repeated() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    for (args, program) in [(&["upload", "b.bin"][..], "s3lfs"), (&["push", "-q"], "git")] {
        let content = format!("sent by {program}").into_bytes();
        work.write("b.bin", &content);
        if program == "git" {
            work.git(&["config", "s3lfs.uploadon", "push"]).ok();
            work.git(&["add", "."]).ok();
            work.git(&["commit", "-qm", "b"]).ok();
        }
        bench.server.take();
        bench.server.fault(Op::Put, 1, Fault::Hang);
        // Whoever runs the tests in the background of a script hands on that it is ignored.
        let mut command = work.command("env");
        command
            .args(["--default-signal=INT", program])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().unwrap();
        while bench.server.count(Op::Put) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt(&work, &child);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        if program == "s3lfs" {
            assert_eq!(ended.status.code(), Some(130), "{said}");
        }
        assert!(said.contains("s3lfs: interrupted") && said.contains("again"), "{program}: {said}");
        assert!(!work.exists(".git/index.lock"), "no lock is left behind");
        assert!(!bench.has(&content), "it was interrupted before it was there");
        bench.server.mend();
        run(work.command(program).args(args), b"");
        assert!(bench.has(&content), "the same command goes on");
    }
}

#[test]
fn a_command_in_the_background_of_a_script_does_not_hear_it() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    work.write("b.bin", "sent all the same");
    bench.server.fault(Op::Put, 1, Fault::Delay(Duration::from_millis(1500)));
    let mut command = work.command("sh");
    // What a script starts with '&' ignores the signal, and so do its children.
    let child =
        command.args(["-c", "trap '' INT; exec s3lfs upload b.bin"]).stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.unwrap();
    while bench.server.count(Op::Put) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    interrupt(&work, &child);
    assert!(child.wait().unwrap().success(), "it goes on to its end");
    assert!(bench.has(b"sent all the same"));
}
