//! No redirect is followed: whoever answers for an endpoint can't send signed requests and content to
//! a host that nobody accepted.

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::{Op, Server};
use crate::world::pointer;

const ALL: [Op; 6] = [Op::Get, Op::Head, Op::Put, Op::Begin, Op::List, Op::Registration];

#[test]
fn nothing_goes_where_a_redirect_leads() {
    for status in [301, 302, 303, 307, 308] {
        let bench = Bench::with(b"content");
        let trap = Server::start();
        let to = format!("{}/{}/proj/x?X-Amz-Signature=hidden", trap.url(), trap.bucket());
        for op in ALL {
            bench.server.fault(op, 1000, Fault::Redirect(status, to.clone()));
        }
        let work = bench.work();
        let says = ["elsewhere", "no redirects", "--endpoint-url", "http://127.0.0.1"];
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&says).never_says(&["hidden"]);
        assert_eq!(work.text("a.bin"), pointer(b"content"), "the pointer stays");
        work.write("new.bin", "new");
        work.s3lfs(&["upload", "new.bin"]).fails(1).says(&says);
        work.write("large.bin", random(9 << 20, 160));
        work.s3lfs(&["upload", "large.bin"]).fails(1).says(&says);
        work.s3lfs(&["verify"]).fails(3).says(&says);
        work.s3lfs(&["cleanup", "--force"]).fails(1).says(&["no redirects"]);
        assert_eq!(trap.connections(), 0, "{status}: nobody asked there");
    }
}

#[test]
fn a_redirect_in_the_middle_of_an_upload_is_not_followed() {
    let bench = Bench::ready();
    let trap = Server::start();
    let work = bench.work();
    let content = random(20 << 20, 161);
    work.write("large.bin", &content);
    for op in [Op::UploadPart, Op::Complete] {
        bench.server.fault(op, 1000, Fault::Redirect(307, trap.url()));
        work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["no redirects"]);
        assert_eq!(trap.connections(), 0, "no part goes there");
        bench.server.mend();
    }
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert!(bench.has(&content), "and when it is over, the upload goes on");
}
