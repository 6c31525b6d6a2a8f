//! Old content that comes back while a cleanup deletes it: what is pushed has its object, whatever the
//! order, and a cleanup that was killed stands in nobody's way for ever.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::cleanup::time::{clones_age, store_ages};
use crate::world::Place;

const BACK: &[u8] = b"nobody needs this, and then somebody does";
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Bench {
    /// The next cleanup by `work` deletes the object of content that `other` is about to push again.
    fn comes_back(&self) -> Place<'_> {
        let other = self.cloned("other");
        other.git(&["config", "s3lfs.uploadon", "push"]).ok();
        let object = self.object(BACK);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(&object, BACK).unwrap();
        self.work().s3lfs(&["cleanup", "--force"]).ok();
        store_ages(&self.server.file("proj"), 15 * DAY);
        clones_age(&self.world, 15 * DAY);
        other.commit("back.bin", BACK);
        self.server.take();
        other
    }

    fn state_read(&self) -> usize {
        self.server.seen(Op::Get).iter().filter(|seen| seen.key().ends_with("cleanup/sweep")).count()
    }

    /// The push has gone as far as it does while the cleanup is held: it is through, or it waits.
    fn goes_as_far_as_it_can(&self, push: &mut Child) {
        let before = self.state_read();
        self.waits_for("the push ends, or waits", || {
            push.try_wait().unwrap().is_some() || self.state_read() > before + 2
        });
    }

    fn is_young(&self) -> bool {
        let modified = fs::metadata(self.object(BACK)).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| modified > SystemTime::now() - DAY)
    }

    #[track_caller]
    fn both_end_well(&self, mut cleanup: Child, mut push: Child) {
        assert!(cleanup.wait().unwrap().success(), "the cleanup ends");
        assert!(push.wait().unwrap().success(), "and then the push");
        assert!(self.has(BACK), "what is pushed is in the store");
        self.cloned("clone").s3lfs(&["verify", "--all", "--deep"]).ok();
    }

    fn state_file(&self) -> File {
        File::options().append(true).open(self.server.file("proj/cleanup/sweep")).unwrap()
    }
}

fn spawn(place: &Place<'_>, program: &str, args: &[&str]) -> Child {
    let mut command = place.command(program);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_push_between_the_look_and_the_deletion() {
    let bench = Bench::with(b"needed");
    let other = bench.comes_back();
    bench.server.fault(Op::DeleteMany, 1, Fault::Until("delete"));
    let cleanup = spawn(&bench.work(), "s3lfs", &["cleanup", "--force"]);
    bench.waits_for("the cleanup deletes", || bench.server.count(Op::DeleteMany) == 1);
    let mut push = spawn(&other, "git", &["push", "-q"]);
    bench.goes_as_far_as_it_can(&mut push);
    bench.release("delete");
    bench.both_end_well(cleanup, push);
}

#[test]
fn a_cleanup_that_begins_while_the_object_is_written() {
    let bench = Bench::with(b"needed");
    let other = bench.comes_back();
    // The object is offered, and then written over.
    bench.server.fault(Op::Put, 1, Fault::Nothing);
    bench.server.fault(Op::Put, 1, Fault::Until("put"));
    let mut push = spawn(&other, "git", &["push", "-q"]);
    bench.waits_for("the object is written over", || bench.server.count(Op::Put) == 2);
    bench.server.fault(Op::DeleteMany, 1, Fault::Until("delete"));
    let cleanup = spawn(&bench.work(), "s3lfs", &["cleanup", "--force"]);
    bench.waits_for("the cleanup deletes", || bench.server.count(Op::DeleteMany) == 1);
    bench.release("put");
    bench.waits_for("the object is young", || bench.is_young());
    bench.goes_as_far_as_it_can(&mut push);
    bench.release("delete");
    bench.both_end_well(cleanup, push);
}

#[test]
fn a_cleanup_that_was_killed_is_in_the_way_for_a_quarter_of_an_hour() {
    let bench = Bench::with(b"needed");
    let other = bench.comes_back();
    assert!(bench.killed_at(&["cleanup", "--force"], Op::DeleteMany, 0));
    other.git(&["config", "s3lfs.uploadon", "commit"]).ok();
    other.write("again.bin", BACK);
    other.git(&["add", "."]).ok();
    other.git(&["commit", "-qm", "again"]).ok().says(&["cleanup is running"]);
    assert!(!bench.is_young(), "nothing is made sure while a cleanup may run");
    let long_ago = SystemTime::now() - Duration::from_secs(16 * 60);
    bench.state_file().set_modified(long_ago).unwrap();
    other.git(&["push", "-q"]).ok();
    assert!(bench.is_young(), "a cleanup does not take so long: it was killed");
}

#[test]
fn a_cleanup_whose_word_was_taken_over_deletes_nothing() {
    let bench = Bench::with(b"needed");
    bench.comes_back();
    // The registrations, the objects and the marks; then, before the batch, the registrations.
    bench.server.fault(Op::List, 3, Fault::Nothing);
    bench.server.fault(
        Op::List,
        1,
        Fault::Meanwhile(|bucket| fs::write(bucket.join("proj/cleanup/sweep"), "another's").unwrap()),
    );
    bench.work().s3lfs(&["cleanup", "--force"]).fails(1).says(&["another cleanup began"]);
    assert!(bench.has(BACK));
    assert_eq!(bench.server.stored("proj/cleanup/sweep").unwrap(), b"another's", "it is not ours to end");
}

/// The deletion is done and its answer lost; then somebody writes the object anew, before anything is sent again.
#[test]
fn a_deletion_whose_answer_was_lost_is_not_sent_again_without_a_look() {
    let bench = Bench::with(b"needed");
    bench.comes_back();
    fn comes_back(bucket: &Path) {
        let object = crate::world::oid(BACK);
        let object = bucket.join(format!("proj/assets/{}/{object}", &object[..2]));
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(object, BACK).unwrap();
    }
    bench.server.fault(Op::DeleteMany, 1, Fault::LoseAnswer);
    bench.server.fault(Op::DeleteMany, 1, Fault::Meanwhile(comes_back));
    // The registrations, the objects and the marks, the registrations and the objects before the batch.
    bench.server.fault(Op::List, 5, Fault::Nothing);
    bench.server.fault(Op::List, 1, Fault::Meanwhile(comes_back));
    let ran = bench.work().s3lfs(&["cleanup", "--force"]);
    assert!(bench.has(BACK), "what somebody has written since is not deleted: {ran:#?}");
    ran.ok().says(&["spared 1", "was not answered", "15 minutes"]);
    assert_eq!(bench.server.count(Op::DeleteMany), 1);
    assert!(
        String::from_utf8(bench.server.stored("proj/cleanup/sweep").unwrap()).unwrap().contains("\"running\":true")
    );
}

/// Both delete the object; between them it is not there, and somebody uploads it as new.
#[test]
fn two_cleanups_and_a_push_between_their_deletions() {
    let bench = Bench::with(b"needed");
    let other = bench.comes_back();
    let second = bench.cloned("second");
    bench.server.fault(Op::DeleteMany, 1, Fault::Until("delete"));
    let mut first = spawn(&bench.work(), "s3lfs", &["cleanup", "--force"]);
    bench.waits_for("the first cleanup deletes", || bench.server.count(Op::DeleteMany) == 1);
    second.s3lfs(&["cleanup", "--force"]).ok();
    assert!(!bench.has(BACK), "the second one takes over, and deletes it");
    let mut push = spawn(&other, "git", &["push", "-q"]);
    bench.goes_as_far_as_it_can(&mut push);
    bench.release("delete");
    assert!(first.wait().unwrap().success(), "the first cleanup had deleted nothing else");
    let long_ago = SystemTime::now() - Duration::from_secs(16 * 60);
    bench.state_file().set_modified(long_ago).unwrap();
    assert!(push.wait().unwrap().success(), "the push waits for both");
    assert!(bench.has(BACK), "what is pushed is in the store");
    bench.cloned("clone").s3lfs(&["verify", "--all", "--deep"]).ok();
}

/// Whichever comes first: one of them deletes, the other one too or gives up, and what is needed stays.
#[test]
fn two_cleanups_that_start_together() {
    let bench = Bench::with(b"needed");
    bench.comes_back();
    let second = bench.cloned("second");
    let mut both = [bench.work(), second].map(|place| spawn(&place, "s3lfs", &["cleanup", "--force"]));
    let codes = both.each_mut().map(|cleanup| cleanup.wait().unwrap().code());
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 1))), "it is done, or another one is at it: {codes:?}");
    assert!(bench.has(b"needed"), "nothing that is needed goes");
    bench.cloned("clone").s3lfs(&["verify", "--all", "--deep"]).ok();
    bench.state_file().set_modified(SystemTime::now() - Duration::from_secs(16 * 60)).unwrap();
    bench.work().s3lfs(&["cleanup", "--force"]).ok();
    assert!(!bench.has(BACK), "and what nobody needs went, or goes now");
}

#[test]
fn a_cleanup_that_cannot_announce_itself_deletes_nothing() {
    let bench = Bench::with(b"needed");
    bench.comes_back();
    bench.server.fault(Op::Put, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["cleanup", "--force"]).fails(1).says(&["cleanup/sweep", "AccessDenied"]);
    assert!(bench.has(BACK));
}

/// A commit waits for a service that is busy; not once for each of its files.
#[test]
fn many_uploads_share_a_look_at_the_state_that_fails() {
    let bench = Bench::ready();
    let work = bench.work();
    for n in 0..20 {
        work.write(&format!("{n}.bin"), format!("content {n}"));
    }
    work.git(&["add", "."]).ok();
    bench.server.take();
    bench.server.fault(Op::Get, 1000, Fault::Refuse(503, "ServiceUnavailable"));
    work.git(&["commit", "-qm", "twenty"]).ok().says(&["not uploaded yet", "cleanup/sweep"]);
    let looks = bench.state_read();
    assert!((2..=12).contains(&looks), "one look is tried a few times, whoever waits for it: {looks} requests");
    bench.server.mend();
    work.git(&["push", "-q"]).ok();
    assert!((0..20).all(|n| bench.has(format!("content {n}").as_bytes())), "the push brings what the commit could not");
}
