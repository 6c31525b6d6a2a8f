//! Temporary credentials that somebody hands out: a role that is assumed, web identity, the container, the instance; against
//! a service that checks signatures.
//!
//! Apart from `credentials`, where everything is in files: here a second server is asked, and it can refuse.

use std::fs;

use super::bench::Bench;
use super::fault::Fault;
use super::issuer::{AUTHORIZATION, Hands, Issuer};
use super::proxy::Proxy;
use super::server::{Op, TEMPORARY};
use super::tls::Front;
use crate::world::Place;

/// Ways to credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Role,
    /// The same, by `--profile`.
    NamedRole,
    WebIdentity,
    Container,
    Instance,
}

const WAYS: [Way; 5] = [Way::Role, Way::NamedRole, Way::WebIdentity, Way::Container, Way::Instance];

/// A directory in which credentials come from `issuer`.
fn by<'a>(way: Way, bench: &'a Bench, issuer: &Issuer) -> Place<'a> {
    let aws = bench.world.path(".aws");
    fs::create_dir_all(&aws).unwrap();
    let url = issuer.url();
    let place = bench.world.at("work").env("NO_PROXY", "127.0.0.1");
    let off = place.env("AWS_EC2_METADATA_DISABLED", "true");
    match way {
        Way::Role | Way::NamedRole => {
            let text = format!(
                "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/team\nsource_profile = dev\nservices = here\n\
                 [profile dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = dev\n\
                 [services here]\nsts =\n  endpoint_url = {url}\n"
            );
            fs::write(aws.join("config"), text).unwrap();
            if way == Way::Role {
                return off.env("AWS_PROFILE", "team");
            }
            off.git(&["config", "s3lfs.profile", "team"]).ok();
            off
        }
        Way::WebIdentity => {
            let token = bench.world.path("token");
            fs::write(&token, "header.claims.signature").unwrap();
            off.env("AWS_ENDPOINT_URL_STS", url)
                .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap())
                .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/team")
        }
        Way::Container => off
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/container"))
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", AUTHORIZATION),
        Way::Instance => place.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url),
    }
}

/// The session tokens of the requests that came to the store, each once.
fn tokens(bench: &Bench) -> Vec<String> {
    let seen = bench.server.take();
    let mut tokens: Vec<String> =
        seen.iter().map(|seen| seen.header("x-amz-security-token").unwrap_or("none").to_owned()).collect();
    tokens.sort();
    tokens.dedup();
    tokens
}

#[test]
fn whoever_hands_them_out_is_asked_once_by_a_transfer_and_never_by_git() {
    for way in WAYS {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        let work = by(way, &bench, &issuer);
        work.write("a.bin", b"content");
        work.git(&["add", "a.bin"]).ok();
        work.git(&["status"]).ok();
        work.git(&["diff"]).ok();
        assert!(issuer.take().is_empty(), "{way:?}: git add and git status ask for no credentials");
        work.s3lfs(&["upload", "a.bin"]).ok();
        assert!(bench.has(b"content"), "{way:?}: it is uploaded");
        assert_eq!(tokens(&bench), [TEMPORARY[0].2], "{way:?}: every request has the token that belongs to its key");
        let asked = issuer.take();
        let handed = asked.iter().filter(|asked| asked.path != "/latest/api/token");
        assert_eq!(
            handed.count(),
            if way == Way::Instance { 2 } else { 1 },
            "{way:?}: all share the answer: {asked:?}"
        );
        let last = asked.last().unwrap();
        match way {
            Way::Role | Way::NamedRole => {
                assert!(last.authorization.contains("AKIADEV/"), "signed by the other profile: {last:?}");
                assert!(last.body.contains("Action=AssumeRole&") && last.body.contains("role%2Fteam"), "{last:?}");
            }
            Way::WebIdentity => {
                assert!(last.body.contains("WebIdentityToken=header.claims.signature"), "{last:?}");
                assert_eq!(last.authorization, "", "nobody has keys yet");
            }
            Way::Container => assert_eq!(last.authorization, AUTHORIZATION),
            Way::Instance => assert_eq!(asked[0].method, "PUT", "the token of version 2 comes first: {asked:?}"),
        }
        work.git(&["commit", "-qam", "a"]).ok();
        work.git(&["push", "-q"]).ok();
        work.leave_pointer("a.bin");
        work.remove("a.bin");
        work.git(&["checkout", "-q", "--", "a.bin"]).ok();
        assert_eq!(work.read("a.bin"), b"content", "{way:?}: the filter fetches with them, too");
    }
}

#[test]
fn what_ends_in_the_middle_is_asked_for_again() {
    for way in WAYS {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        let work = by(way, &bench, &issuer);
        work.write("a.bin", b"content");
        // Whatever expiry it was given with: the service does not take the first any more.
        bench.server.fault(Op::Put, 1, Fault::Refuse(400, "ExpiredToken"));
        work.s3lfs(&["upload", "a.bin"]).ok();
        assert!(bench.has(b"content"), "{way:?}: it is uploaded");
        let put = bench.server.seen(Op::Put);
        let tokens: Vec<_> = put.iter().map(|seen| seen.header("x-amz-security-token").unwrap()).collect();
        assert_eq!(tokens, [TEMPORARY[0].2, TEMPORARY[1].2], "{way:?}: the second try has new credentials");
    }
}

#[test]
fn whoever_gives_none_is_named_in_a_line_with_what_to_do() {
    for way in WAYS {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        let work = by(way, &bench, &issuer);
        let (whom, what_to_do) = match way {
            Way::Role | Way::NamedRole => ("the profile gives none", "aws sts get-caller-identity --profile team"),
            Way::WebIdentity => ("AWS_WEB_IDENTITY_TOKEN_FILE", "whether the token is fresh"),
            Way::Container => ("the container's endpoint", "whether the container has a role"),
            Way::Instance => ("the instance's metadata", "whether the instance has a role"),
        };
        for hands in [Hands::Nothing, Hands::Garbage] {
            issuer.hands(hands);
            work.write("a.bin", b"content");
            let why = match (hands, way) {
                (Hands::Garbage, _) => "in",
                (_, Way::Container | Way::Instance) => "403",
                _ => "AccessDenied: User dev is not authorized to perform: sts:AssumeRole;",
            };
            let ran = work.s3lfs(&["upload", "a.bin"]).fails(1).says(&["credentials", whom, why, what_to_do]);
            // What the libraries say to developers.
            let ran = ran.never_says(&["StatusCode", "SdkBody", "StartEl", "HeaderValue", "unhandled", "hotel"]);
            let lines = |start: &str| ran.stderr.lines().filter(|line| line.starts_with(start)).count();
            assert_eq!((lines("s3lfs: "), ran.stderr.lines().count()), (1, 2), "a line and a hint: {ran:?}");
        }
        assert!(bench.server.take().is_empty(), "{way:?}: nothing is sent without a signature");
        issuer.hands(Hands::Good);
        work.s3lfs(&["upload", "a.bin"]).ok();
    }
}

#[test]
fn what_is_over_when_it_is_handed_out_is_tried_and_the_refusal_is_said() {
    for way in WAYS {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        issuer.hands(Hands::Expired);
        let work = by(way, &bench, &issuer);
        work.write("a.bin", b"content");
        // This machine's clock may be the one that is wrong: the service knows.
        bench.server.fault(Op::Put, 1000, Fault::Refuse(400, "ExpiredToken"));
        work.s3lfs(&["upload", "a.bin"]).fails(1).says(&["credentials", "ExpiredToken"]);
        assert!(bench.server.count(Op::Put) <= 4, "{way:?}: and it is not tried for ever");
        bench.server.mend();
        issuer.take();
        work.s3lfs(&["upload", "a.bin"]).ok();
        assert!(issuer.take().len() > 1, "{way:?}: what is over is asked for again, and not kept");
    }
}

#[test]
fn doctor_says_who_gave_them_and_when_they_end() {
    for way in WAYS {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        let found = by(way, &bench, &issuer).s3lfs(&["doctor", "--read-only"]).ok().stdout;
        let from = match way {
            Way::Role | Way::NamedRole => "profile team",
            Way::WebIdentity => "web identity",
            Way::Container => "the container",
            Way::Instance => "the instance",
        };
        let line = found.lines().find(|line| line.contains("credentials")).expect("there is a line about them");
        assert!(line.contains(from) && line.contains("2099"), "{way:?}: {line}");
    }
}

#[test]
fn sts_is_reached_by_an_authority_and_a_proxy_of_ones_own() {
    let bench = Bench::ready();
    let issuer = Issuer::start();
    let (front, proxy) = (Front::before(issuer.url(), "localhost"), Proxy::start());
    let authority = bench.world.path("authority.pem");
    fs::write(&authority, &front.authority).unwrap();
    let work = by(Way::WebIdentity, &bench, &issuer).env("AWS_ENDPOINT_URL_STS", front.url());
    work.write("a.bin", b"content");
    let ran = work.s3lfs(&["upload", "a.bin"]).fails(1);
    ran.says(&["AWS_WEB_IDENTITY_TOKEN_FILE", "certificate"]);
    assert!(issuer.take().is_empty(), "the token goes to nobody for whom no authority vouches");
    let work = work.env("AWS_CA_BUNDLE", authority.to_str().unwrap());
    work.s3lfs(&["upload", "a.bin"]).ok();
    work.write("b.bin", b"more");
    work.env("HTTPS_PROXY", proxy.url()).s3lfs(&["upload", "b.bin"]).ok();
    let target = format!("CONNECT localhost:{} HTTP/1.1\r\n", front.port);
    let asked = proxy.take();
    assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&target)), "through the proxy: {asked:?}");
    assert_eq!(issuer.take().len(), 2, "once by each");
    assert!(bench.has(b"content") && bench.has(b"more"));
}

#[test]
fn aws_login_is_told_from_a_role() {
    let bench = Bench::ready();
    let issuer = Issuer::start();
    let work = by(Way::Role, &bench, &issuer);
    fs::write(bench.world.path(".aws/config"), "[profile team]\nlogin_session = arn:aws:iam::123456789012:user/dev\n")
        .unwrap();
    work.write("a.bin", b"content");
    work.s3lfs(&["upload", "a.bin"])
        .fails(1)
        .says(&["aws configure export-credentials --profile team --format process"]);
}
