//! Temporary credentials that somebody hands out: a role that is assumed, web identity, the container, the instance; against
//! a service that checks signatures.
//!
//! Apart from `credentials`, where everything is in files: here a second server is asked, and it can refuse.

use std::fs;

use sha1::{Digest, Sha1};

use super::bench::Bench;
use super::fault::Fault;
use super::issuer::{AUTHORIZATION, Hands, Issuer, SSO_TOKEN};
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
    /// By a path at the one address that a container has.
    ContainerPath,
    Instance,
    /// By `aws sso login`, with a session that has a name.
    Sso,
    /// With one that is named by its URL.
    OldSso,
    /// A role, for the keys of the container: `credential_source`.
    RoleOfContainer,
    RoleOfInstance,
}

const WAYS: [Way; 10] = [
    Way::Role,
    Way::NamedRole,
    Way::WebIdentity,
    Way::Container,
    Way::ContainerPath,
    Way::Instance,
    Way::Sso,
    Way::OldSso,
    Way::RoleOfContainer,
    Way::RoleOfInstance,
];

impl Way {
    /// The issuer is asked for credentials twice: for those of the source, and for the role's.
    fn has_source(self) -> bool {
        matches!(self, Way::RoleOfContainer | Way::RoleOfInstance)
    }
}

/// A login of SSO that lasts.
fn log_in(bench: &Bench, session: &str) {
    let cache = bench.world.path(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    let name: String = Sha1::digest(session.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("{{\"accessToken\": \"{SSO_TOKEN}\", \"expiresAt\": \"2099-01-01T00:00:00Z\"}}");
    fs::write(cache.join(format!("{name}.json")), text).unwrap();
}

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
        // The library asks 169.254.170.2, whatever is said. A proxy for all but the store brings that here: all is as in a
        // container but for the route.
        Way::ContainerPath => off
            .env("HTTP_PROXY", url)
            .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/container")
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", AUTHORIZATION),
        Way::Instance => place.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url),
        Way::Sso | Way::OldSso => {
            let start = "https://sso.example/start";
            let role = format!(
                "sso_account_id = 123456789012\nsso_role_name = team\nservices = here\n[services here]\nsso =\n  endpoint_url = {url}\n"
            );
            let portal = format!("sso_region = us-east-1\nsso_start_url = {start}\n");
            let text = match way {
                Way::Sso => format!("[sso-session corp]\n{portal}[profile team]\nsso_session = corp\n{role}"),
                _ => format!("[profile team]\n{portal}{role}"),
            };
            fs::write(aws.join("config"), text).unwrap();
            log_in(bench, if way == Way::Sso { "corp" } else { start });
            off.env("AWS_PROFILE", "team")
        }
        Way::RoleOfContainer | Way::RoleOfInstance => {
            let source = if way == Way::RoleOfContainer { "EcsContainer" } else { "Ec2InstanceMetadata" };
            let text = format!(
                "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/team\ncredential_source = {source}\nservices = here\n\
                 [services here]\nsts =\n  endpoint_url = {url}\n"
            );
            fs::write(aws.join("config"), text).unwrap();
            let place = place.env("AWS_PROFILE", "team").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
            place
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/container"))
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", AUTHORIZATION)
        }
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
        let given = usize::from(way.has_source());
        assert_eq!(
            tokens(&bench),
            [TEMPORARY[given].2],
            "{way:?}: every request has the token that belongs to its key"
        );
        let asked = issuer.take();
        let handed = asked.iter().filter(|asked| asked.path != "/latest/api/token");
        let wanted = match way {
            Way::RoleOfInstance => 3,
            Way::Instance | Way::RoleOfContainer => 2,
            _ => 1,
        };
        assert_eq!(handed.count(), wanted, "{way:?}: all share the answer: {asked:?}");
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
            Way::Container | Way::ContainerPath => assert_eq!(last.authorization, AUTHORIZATION),
            Way::Sso | Way::OldSso => assert_eq!(last.path, "/federation/credentials", "the login is shown there"),
            Way::RoleOfContainer | Way::RoleOfInstance => {
                let handed = format!("{}/", TEMPORARY[0].0);
                assert!(last.authorization.contains(&handed), "signed by what its source handed out: {last:?}");
                assert!(last.body.contains("Action=AssumeRole&") && last.body.contains("role%2Fteam"), "{last:?}");
            }
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
        // The issuer has two: whoever takes two at a time is given the same again.
        if way.has_source() {
            continue;
        }
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
        for hands in [Hands::Nothing, Hands::Garbage] {
            issuer.hands(hands);
            work.write("a.bin", b"content");
            let (whom, what_to_do) = match (way, hands) {
                (Way::Role | Way::NamedRole, _) => (
                    "STS, asked with the keys of the profile dev for the role of team, gives none",
                    "aws sts get-caller-identity --profile team",
                ),
                (Way::RoleOfContainer | Way::RoleOfInstance, _) => {
                    ("the profile team gives none", "aws sts get-caller-identity --profile team")
                }
                (Way::WebIdentity, _) => ("AWS_WEB_IDENTITY_TOKEN_FILE", "is the token fresh"),
                (Way::Container, _) => ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "has the container a role?"),
                (Way::ContainerPath, _) => ("http://169.254.170.2/container", "has the container a role?"),
                (Way::Instance, _) => ("the instance's metadata", "has the instance a role?"),
                (Way::Sso | Way::OldSso, Hands::Nothing) => {
                    ("does not give you the role team of the account 123456789012", "aws configure sso --profile team")
                }
                (Way::Sso | Way::OldSso, _) => ("has an SSO login", "aws sts get-caller-identity --profile team"),
            };
            let why = match (hands, way) {
                (Hands::Garbage, _) => "in",
                (
                    _,
                    Way::Container | Way::ContainerPath | Way::Instance | Way::RoleOfContainer | Way::RoleOfInstance,
                ) => "403",
                (_, Way::Sso | Way::OldSso) => "No access",
                _ => "AccessDenied: User dev is not authorized to perform: sts:AssumeRole",
            };
            let ran = work.s3lfs(&["upload", "a.bin"]).fails(1).says(&["credentials", whom, why, what_to_do]);
            // What the libraries say to developers.
            let ran = ran.never_says(&["StatusCode", "SdkBody", "StartEl", "HeaderValue", "unhandled", "hotel"]);
            let lines = |start: &str| ran.stderr.lines().filter(|line| line.starts_with(start)).count();
            let hints = lines("  hint: ");
            assert_eq!((lines("s3lfs: "), ran.stderr.lines().count()), (1, 1 + hints), "a line and hints: {ran:?}");
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
            Way::Role | Way::NamedRole | Way::RoleOfContainer | Way::RoleOfInstance => "profile team",
            Way::Sso | Way::OldSso => "SSO, ~/.aws, profile team",
            Way::WebIdentity => "web identity",
            Way::Container | Way::ContainerPath => "the container",
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

#[test]
fn a_role_for_the_keys_of_the_environment() {
    let bench = Bench::ready();
    let issuer = Issuer::start();
    let work = by(Way::Role, &bench, &issuer);
    let text =
        bench.world.at("").text(".aws/config").replace("source_profile = dev", "credential_source = Environment");
    bench.world.at("").write(".aws/config", text);
    let work = work.env("AWS_ACCESS_KEY_ID", "AKIADEV").env("AWS_SECRET_ACCESS_KEY", "dev");
    work.write("a.bin", b"content");
    // Without the flag, keys in the environment go before AWS_PROFILE.
    work.s3lfs(&["--profile", "team", "upload", "a.bin"]).ok();
    assert_eq!(tokens(&bench), [TEMPORARY[0].2], "the role's credentials sign");
    let asked = issuer.take();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].authorization.contains("AKIADEV/") && asked[0].body.contains("role%2Fteam"), "{asked:?}");
}

#[test]
fn a_login_that_sso_does_not_take_any_more() {
    for way in [Way::Sso, Way::OldSso] {
        let bench = Bench::ready();
        let issuer = Issuer::start();
        let work = by(way, &bench, &issuer);
        let cache = bench.world.path(".aws/sso/cache");
        for entry in fs::read_dir(&cache).unwrap() {
            let file = entry.unwrap().path();
            fs::write(&file, fs::read_to_string(&file).unwrap().replace(SSO_TOKEN, "another")).unwrap();
        }
        work.write("a.bin", b"content");
        let ran = work.s3lfs(&["upload", "a.bin"]).fails(1);
        ran.says(&["SSO does not take the login", "aws sso login --profile team"]);
    }
}
