//! A newcomer's `~/.aws` with one thing broken in it: doctor names that, and prints the command that mends it.
//!
//! Apart from `credentials` and `handed_out`, where they are found: here nobody gives any, and no two reasons look alike.

use std::fs;
use std::path::PathBuf;

use sha1::{Digest, Sha1};

use super::bench::Bench;
use super::server::Op;
use crate::doctor::{about, finds, stopped};
use crate::world::Place;

/// The files and variables of somebody whom nobody gives credentials.
#[derive(Default)]
struct Broken<'a> {
    config: &'a str,
    credentials: &'a str,
    /// By the name of the session.
    login: Option<(&'a str, &'a str)>,
    env: &'a [(&'a str, &'a str)],
    /// In git config.
    profile: Option<&'a str>,
}

/// What may not be said, wherever it stands.
const SECRET: &str = "geheim";
/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

fn aws(bench: &Bench) -> PathBuf {
    bench.world.path(".aws")
}

fn broken<'a>(bench: &'a Bench, broken: &Broken<'_>) -> Place<'a> {
    let dir = aws(bench);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("sso/cache")).unwrap();
    for (name, text) in [("config", broken.config), ("credentials", broken.credentials)] {
        if !text.is_empty() {
            fs::write(dir.join(name), text).unwrap();
        }
    }
    if let Some((session, text)) = broken.login {
        let name: String = Sha1::digest(session.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(dir.join(format!("sso/cache/{name}.json")), text).unwrap();
    }
    let work = bench.world.at("work").env("NO_PROXY", "127.0.0.1").env("AWS_EC2_METADATA_DISABLED", "true");
    work.git(&["config", "--unset-all", "s3lfs.profile"]);
    if let Some(profile) = broken.profile {
        work.git(&["config", "s3lfs.profile", profile]).ok();
    }
    broken.env.iter().fold(work, |work, (name, value)| work.env(name, value))
}

/// Doctor says these things and has these commands; an upload says and has the same.
#[track_caller]
fn says(bench: &Bench, state: &Broken<'_>, texts: &[&str], mend: &[&str]) {
    let work = broken(bench, state);
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    assert_eq!(finds(&answer, "credentials", "stops", texts), mend, "what helps against this: {}", answer);
    assert_eq!(about(&answer, "list"), [], "nothing more is looked at");
    work.write("a.bin", "content");
    let ran = work.s3lfs(&["upload", "a.bin"]).fails(1).says(texts).says(mend);
    assert!(!ran.stderr.contains(SECRET) && !answer.to_string().contains(SECRET), "no secret is said: {ran:?}");
    assert!(bench.server.take().is_empty(), "nothing is sent");
}

const TEAM: &[(&str, &str)] = &[("AWS_PROFILE", "team")];
const PROFILES: &str = "[profile dev]\nregion = eu-west-1\n[profile work]\ncredential_process = true\n";

#[test]
fn keys_of_which_one_is_missing() {
    let bench = Bench::ready();
    let env = Broken { env: &[("AWS_ACCESS_KEY_ID", "AKIA")], ..Broken::default() };
    says(
        &bench,
        &env,
        &["AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"],
        &["export AWS_SECRET_ACCESS_KEY=<key>"],
    );
    let env = Broken { env: &[("AWS_SECRET_ACCESS_KEY", SECRET)], ..Broken::default() };
    says(
        &bench,
        &env,
        &["AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not"],
        &["export AWS_ACCESS_KEY_ID=<id>"],
    );
    let file = Broken { credentials: "[default]\naws_access_key_id = AKIA\n", ..Broken::default() };
    let mend = ["aws configure --profile default"];
    says(&bench, &file, &["profile default has aws_access_key_id without aws_secret_access_key"], &mend);
    let file = Broken { credentials: "[team]\naws_secret_access_key = geheim\n", env: TEAM, ..Broken::default() };
    let mend = ["aws configure --profile team"];
    says(&bench, &file, &["profile team has aws_secret_access_key without aws_access_key_id"], &mend);
}

#[test]
fn half_a_key_beside_a_good_profile_is_passed_over_and_said() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let credentials = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let env: &[_] = &[("AWS_ACCESS_KEY_ID", "AKIA")];
    let work = broken(&bench, &Broken { credentials: &credentials, env, ..Broken::default() });
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "credentials", "warning", &["AWS_ACCESS_KEY_ID", "without AWS_SECRET_ACCESS_KEY"]);
    assert_eq!(mend, ["unset AWS_ACCESS_KEY_ID"]);
}

#[test]
fn keys_that_no_request_can_carry() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let (broken_id, broken_secret) = (format!("{id}\n"), format!("{secret}\r\n"));
    let (quoted_id, quoted_secret) = (format!("\"{id}\""), format!("'{secret}'"));
    let clean = |name: &str| format!("export {name}=\"$(printf %s \"${name}\" | tr -d '[:space:][:cntrl:]\"\\047')\"");
    for (name, (id, secret, token), how) in [
        ("AWS_ACCESS_KEY_ID", (broken_id.as_str(), secret, ""), "a blank or a line break at an end"),
        ("AWS_SECRET_ACCESS_KEY", (id, broken_secret.as_str(), ""), "a blank or a line break at an end"),
        ("AWS_SESSION_TOKEN", (id, secret, "gehei\u{7}m"), "what no request can carry"),
        ("AWS_ACCESS_KEY_ID", (quoted_id.as_str(), secret, ""), "a quote at an end"),
        ("AWS_SECRET_ACCESS_KEY", (id, quoted_secret.as_str(), ""), "a quote at an end"),
    ] {
        let env = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", token)];
        let state = Broken { env: &env, ..Broken::default() };
        says(&bench, &state, &[&format!("the environment gives {name} with {how}")], &[&clean(name)]);
    }
    for (keys, wrong) in [
        (
            format!("aws_access_key_id = \"{id}\"\naws_secret_access_key = {secret}\n"),
            "ACCESS_KEY_ID with a quote at an end",
        ),
        (format!("aws_access_key_id = {id}\naws_secret_access_key =\n"), "SECRET_ACCESS_KEY empty"),
    ] {
        let credentials = format!("[team]\n{keys}");
        let state = Broken { credentials: &credentials, env: TEAM, ..Broken::default() };
        says(&bench, &state, &[&format!("the profile gives AWS_{wrong}")], &["aws configure --profile team"]);
    }
    for (n, broken_id) in [broken_id.as_str(), quoted_id.as_str()].into_iter().enumerate() {
        let env = [("AWS_ACCESS_KEY_ID", broken_id), ("AWS_SECRET_ACCESS_KEY", secret)];
        let work = broken(&bench, &Broken { env: &env, ..Broken::default() });
        let content = format!("content {n}");
        work.write("a.bin", &content);
        work.sh(&format!("{}; s3lfs upload a.bin", clean("AWS_ACCESS_KEY_ID"))).ok();
        assert!(bench.has(content.as_bytes()), "the command mends it");
    }
}

#[test]
fn a_profile_that_is_not_there() {
    let bench = Bench::ready();
    let by_variable = Broken { config: PROFILES, env: TEAM, ..Broken::default() };
    let texts = ["there is no profile team in ~/.aws; there are: dev, work"];
    says(&bench, &by_variable, &texts, &["export AWS_PROFILE=dev", "aws configure --profile team"]);
    let by_config = Broken { config: PROFILES, profile: Some("team"), ..Broken::default() };
    says(&bench, &by_config, &texts, &["git config s3lfs.profile dev", "aws configure --profile team"]);
    let none = Broken { config: PROFILES, ..Broken::default() };
    says(&bench, &none, &["no profile is chosen", "no [default]", "dev, work"], &["export AWS_PROFILE=dev"]);
    let odd = Broken { env: &[("AWS_PROFILE", "it's")], ..Broken::default() };
    says(&bench, &odd, &["there is no profile it's in ~/.aws; there is none"], &[r"aws configure --profile 'it'\''s'"]);
}

#[test]
fn a_profile_of_the_command_line_is_changed_there() {
    let bench = Bench::ready();
    let work = broken(&bench, &Broken { config: PROFILES, ..Broken::default() });
    let answer = stopped(work.s3lfs(&["--profile", "nope", "doctor", "--json"]));
    let mend = finds(&answer, "credentials", "stops", &["there is no profile nope in ~/.aws; there are: dev, work"]);
    assert_eq!(
        mend,
        ["run it with --profile dev", "run it without --profile", "aws configure --profile nope"],
        "the clone's configuration has no part in it"
    );
}

#[test]
fn a_profile_without_anything() {
    let bench = Bench::ready();
    let state = Broken { config: PROFILES, env: &[("AWS_PROFILE", "dev")], ..Broken::default() };
    says(
        &bench,
        &state,
        &["profile dev in ~/.aws has no keys, and nothing that gives any"],
        &["aws configure --profile dev"],
    );
    let default = Broken { config: "[default]\nregion = x\n[profile dev]\n", ..Broken::default() };
    says(
        &bench,
        &default,
        &["profile default in ~/.aws has no keys", "there are: default, dev"],
        &["export AWS_PROFILE=dev", "aws configure"],
    );
    let nothing = Broken::default();
    let work = broken(&bench, &nothing);
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &["there are none"]);
    assert!(mend[0].starts_with("aws configure") && mend[1].contains("AWS_PROFILE"), "{mend:?}");
}

#[test]
fn a_section_that_lacks_its_word_is_mended_by_the_command() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let config = format!("# mine\n[team]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let state = Broken { config: &config, env: TEAM, ..Broken::default() };
    let work = broken(&bench, &state);
    let texts = ["config, line 2: [team] is read by nobody, it has to be [profile team]"];
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &texts);
    crate::doctor::run_all(&work, &mend);
    crate::doctor::fine(&work);
}

#[test]
fn sections_that_are_read_by_nobody_are_named_with_the_right_form() {
    let bench = Bench::ready();
    let keys = keys(&bench);
    for (config, credentials, name, texts) in [
        (
            format!("[profile my team]\n{keys}"),
            String::new(),
            "my team",
            ["config, line 1: [profile my team]", "[profile \"my team\"]"],
        ),
        (
            String::new(),
            format!("#\n[profile team]\n{keys}"),
            "team",
            ["credentials, line 2: [profile team]", "be [team]"],
        ),
    ] {
        let env = [("AWS_PROFILE", name)];
        let work =
            broken(&bench, &Broken { config: &config, credentials: &credentials, env: &env, ..Broken::default() });
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &texts);
        crate::doctor::run_all(&work, &mend);
        crate::doctor::fine(&work);
    }
}

#[test]
fn keys_that_are_indented_below_another_one_are_named_with_their_lines() {
    let bench = Bench::ready();
    let indented: String = keys(&bench).lines().map(|line| format!("\t{line}\n")).collect();
    for (config, name, file) in [
        (format!("[default]\nregion = eu-west-1\n{indented}"), "", "config, line 3: aws_access_key_id is indented"),
        (format!("[profile a]\n[profile team]\nregion = x\n{indented}"), "team", "config, line 4: aws_access_key_id"),
    ] {
        let work = broken(&bench, &Broken { config: &config, env: &[("AWS_PROFILE", name)], ..Broken::default() });
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &[file]);
        crate::doctor::run_all(&work, &mend);
        crate::doctor::fine(&work);
    }
}

fn keys(bench: &Bench) -> String {
    let (id, secret) = bench.server.credentials();
    format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

#[test]
fn files_that_can_not_be_read() {
    let bench = Bench::ready();
    let config = aws(&bench).join("config").to_string_lossy().into_owned();
    for (text, line, why) in [
        ("[default]\n\nthis is no line\n", 3, "Expected an '=' sign"),
        ("[default\nregion = x\n", 1, "must end with ']'"),
        ("region = x\n", 1, "Expected a profile definition"),
    ] {
        let state = Broken { config: text, ..Broken::default() };
        let at = format!("{config}, line {line}: ");
        says(&bench, &state, &[&at, why], &[&format!("${{EDITOR:-vi}} {config} # line {line}")]);
    }
    let nowhere = Broken { env: &[("AWS_CONFIG_FILE", "/nowhere/config")], ..Broken::default() };
    says(
        &bench,
        &nowhere,
        &["/nowhere/config: can't be read (AWS_CONFIG_FILE): No such file"],
        &["unset AWS_CONFIG_FILE # or name a file that is there"],
    );
    let nowhere = Broken { env: &[("AWS_SHARED_CREDENTIALS_FILE", "/nope")], ..Broken::default() };
    let unset = ["unset AWS_SHARED_CREDENTIALS_FILE # or name a file that is there"];
    says(&bench, &nowhere, &["/nope: can't be read (AWS_SHARED_CREDENTIALS_FILE)"], &unset);
    let empty = Broken { env: &[("AWS_CONFIG_FILE", "/dev/null")], ..Broken::default() };
    let mend = finds(&stopped(broken(&bench, &empty).s3lfs(&["doctor", "--json"])), "credentials", "stops", &[]);
    assert!(mend[0].starts_with("aws configure"), "who names this one wants no file: {mend:?}");
    let work = broken(&bench, &Broken { env: TEAM, ..Broken::default() });
    fs::create_dir(&config).unwrap();
    let found = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&found, "credentials", "stops", &[&config, "Is a directory"]);
    fs::remove_dir(&config).unwrap();
    fs::write(&config, b"[profile team]\nx = \xff\n").unwrap();
    finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &[&config, "UTF-8"]);
}

#[test]
fn files_that_can_not_be_read_are_told_also_where_the_keys_come_from_elsewhere() {
    let bench = Bench::ready();
    let config = aws(&bench).join("config").to_string_lossy().into_owned();
    let text = format!("[default]\nendpoint_url = {NOBODY}\nregion = eu-west-7\n[profile other]\nthis is no line\n");
    let keys = [("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "SK")];
    let work = broken(&bench, &Broken { config: &text, env: &keys, ..Broken::default() });
    let manifest = work.text(".s3_manifest.json");
    // Its endpoint would be written for everybody.
    let init = ["init", "--force", "--no-check", "bucket", "p"];
    work.s3lfs(&init).fails(1).says(&[&format!("{config}, line 5: "), &format!("${{EDITOR:-vi}} {config} # line 5")]);
    assert_eq!(work.text(".s3_manifest.json"), manifest, "nothing is written");
    // Where it only says less, it is passed over.
    fs::write(aws(&bench).join("config"), text.replace(&format!("endpoint_url = {NOBODY}\n"), "")).unwrap();
    work.drop_cache();
    let ran = work.s3lfs(&["verify"]);
    assert!(ran.stderr.contains(&format!("{config} (line 4)")), "it is said: {ran:#?}");
    assert_eq!(ran.stderr.matches("is passed over").count(), 1, "once: {ran:#?}");
}

const SESSION: &str = "[profile team]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n\
                       [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://sso.example/start\n";
const OLD_SESSION: &str = "[profile team]\nsso_start_url = https://sso.example/start\nsso_region = us-east-1\n\
                           sso_account_id = 1\nsso_role_name = r\n";

#[test]
fn sso_says_whether_somebody_logged_in_and_since_when_that_is_over() {
    let bench = Bench::ready();
    let log_in = ["aws sso login --profile team"];
    for (config, session) in [(SESSION, "corp"), (OLD_SESSION, "https://sso.example/start")] {
        // To the portal nothing is sent that could be answered.
        let env: &[_] = &[TEAM[0], ("AWS_ENDPOINT_URL_SSO", NOBODY), ("AWS_ENDPOINT_URL_SSO_OIDC", NOBODY)];
        let with = |login| Broken { config, env, login, ..Broken::default() };
        says(&bench, &with(None), &["nobody has logged in there on this machine", session], &log_in);
        let over = "{\"accessToken\": \"geheim\", \"expiresAt\": \"2020-01-01T00:00:00Z\"}";
        says(&bench, &with(Some((session, over))), &["SSO session", session, "ended at 2020-01-01T00:00:00Z"], &log_in);
        says(&bench, &with(Some((session, "{"))), &["SSO login", session, "can't be read in", ".json"], &log_in);
        let lasts = "{\"accessToken\": \"geheim\", \"expiresAt\": \"2099-01-01T00:00:00Z\"}";
        says(
            &bench,
            &with(Some((session, lasts))),
            &["login", session, "that lasts", "Connection refused"],
            &["aws sts get-caller-identity --profile team"],
        );
    }
    let role = format!("[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = team\n{SESSION}");
    let state = Broken { config: &role, env: &[("AWS_PROFILE", "role")], ..Broken::default() };
    says(&bench, &state, &["profile team (source_profile of role)", "nobody has logged in"], &log_in);
}

#[test]
fn sso_whose_settings_are_incomplete() {
    let bench = Bench::ready();
    let configure = ["aws configure sso --profile team"];
    for (config, why) in [
        ("[profile team]\nsso_session = nope\nsso_account_id = 1\nsso_role_name = r\n", "sso-session named `nope`"),
        (&SESSION.replace("sso_role_name = r\n", ""), "`sso_role_name` must also be set"),
        (&SESSION.replace("sso_role_name = r\n", "").replace("sso_account_id = 1\n", ""), "sso_account_id"),
        (&SESSION.replace("sso_region = us-east-1\n", ""), "sso_region"),
    ] {
        says(&bench, &Broken { config, env: TEAM, ..Broken::default() }, &["profile team", why], &configure);
    }
}

#[test]
fn a_profile_that_leads_nowhere() {
    let bench = Bench::ready();
    let role = "[profile team]\nrole_arn = arn:aws:iam::1:role/x\n";
    let set_source = "aws configure set source_profile <profile> --profile team";
    let set_kind = "aws configure set credential_source Ec2InstanceMetadata --profile team";
    let set_env = "aws configure set credential_source Environment --profile team";
    let edit = format!("${{EDITOR:-vi}} {}", aws(&bench).join("config").display());
    let rows: [(&str, &[&str], &[&str]); 10] = [
        ("credential_source = Env\n", &["credential_source = Env is none of Environment, "], &[set_env]),
        (
            "source_profile = dev\ncredential_source = Environment\n[profile dev]\n",
            &["has both source_profile and credential_source"],
            &[&edit],
        ),
        (
            "source_profile = gone\n[profile dev]\n",
            &["names gone as its source_profile", "dev, team"],
            &["aws configure set source_profile dev --profile team", "aws configure --profile gone"],
        ),
        ("", &["needs either source_profile or credential_source"], &[set_source]),
        (
            "source_profile = b\n[profile b]\nregion = x\n",
            &["profile b (source_profile of team)", "no keys"],
            &["aws configure --profile b"],
        ),
        (
            "source_profile = b\n[profile b]\nrole_arn = y\nsource_profile = team\n",
            &["comes back to itself"],
            &[set_source],
        ),
        ("credential_source = Nonsense\n", &["credential_source = Nonsense is none of Environment, "], &[set_kind]),
        (
            "credential_source = Environment\n",
            &["credential_source = Environment, and AWS_ACCESS_KEY_ID"],
            &["export AWS_ACCESS_KEY_ID=<id> AWS_SECRET_ACCESS_KEY=<key>"],
        ),
        ("credential_source = EcsContainer\n", &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], &[set_kind]),
        (
            "credential_source = Ec2InstanceMetadata\n",
            &["no instance of AWS answers"],
            &["aws configure set credential_source EcsContainer --profile team"],
        ),
    ];
    for (rest, texts, mend) in rows {
        says(&bench, &Broken { config: &format!("{role}{rest}"), env: TEAM, ..Broken::default() }, texts, mend);
    }
}

#[test]
fn a_role_that_wants_a_code_is_left_to_the_aws_cli() {
    let bench = Bench::ready();
    let config = "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = dev\nmfa_serial = arn:aws:iam::1:mfa/u\n\
                  [profile dev]\naws_access_key_id = AKIA\naws_secret_access_key = geheim\n";
    let env: &[_] = &[TEAM[0], ("AWS_ENDPOINT_URL_STS", NOBODY)];
    let by_the_cli = [
        "aws configure set credential_process 'aws configure export-credentials --profile team --format process' \
         --profile team-s3lfs",
        "export AWS_PROFILE=team-s3lfs",
    ];
    says(&bench, &Broken { config, env, ..Broken::default() }, &["a code of your device (mfa_serial)"], &by_the_cli);
    let config = "[profile team]\nlogin_session = arn:aws:iam::123456789012:user/dev\n";
    says(&bench, &Broken { config, env: TEAM, ..Broken::default() }, &["aws login"], &by_the_cli);
    // Where it asks goes along: without it, requests are signed for another region.
    let config = &format!("{config}region = eu-central-1\n");
    let [process, choose] = by_the_cli;
    let with_region = [process, "aws configure set region eu-central-1 --profile team-s3lfs", choose];
    says(&bench, &Broken { config, env: TEAM, ..Broken::default() }, &["aws login"], &with_region);
}

/// Runs the profile's program, and hides the keys that it gives.
const RUN: &str = "sh -c \"$(aws configure get credential_process --profile team)\" | tr '\\n\\t' '  ' | sed -E 's/(Key|Token)\" *: *\"[^\"]*/\\1\": \"***/g'";

#[test]
fn the_command_that_runs_a_process_shows_what_it_says_without_the_keys() {
    let bench = Bench::ready();
    let away = bench.world.at("");
    away.script(
        "give",
        "#!/bin/sh\necho '{\"Version\": 2, \"SecretAccessKey\":\n\"geheim\", \"SessionToken\" :\t\"geheim\"}'\n",
    );
    let config = format!("[profile team]\ncredential_process = {}\n", away.join("give").display());
    let work = broken(&bench, &Broken { config: &config, env: TEAM, ..Broken::default() });
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &["is no answer"]);
    // The AWS CLI is not on every machine.
    away.script("bin/aws", &format!("#!/bin/sh\necho {}\n", away.join("give").display()));
    let path = format!("{}:{}", away.join("bin").display(), std::env::var("PATH").unwrap());
    let shown = work.env("PATH", path).sh(&mend[0]).ok().stdout;
    assert_eq!(
        shown.trim_end(),
        "{\"Version\": 2, \"SecretAccessKey\": \"***\", \"SessionToken\": \"***\"}",
        "what is wrong can be seen"
    );
}

#[test]
fn the_last_line_of_a_process_tells_no_secret_and_nothing_to_the_terminal() {
    let bench = Bench::ready();
    let away = bench.world.at("");
    let config = format!(
        "[profile team]\ncredential_process = TOKEN=geheim {} --password geheim --profile corp\n",
        away.join("give").display()
    );
    for (text, why) in [
        ("echo \"no login with $2\" >&2; exit 3", "no login with ***"),
        ("echo \"$TOKEN is over\" >&2; exit 3", "*** is over"),
        ("echo '{\"SecretAccessKey\": \"geheim\"}' >&2; exit 3", "has a key in it, and is not shown"),
        ("printf 'log in \\033[2Jfirst\\n' >&2; exit 3", "log in ?[2Jfirst"),
        ("echo \"no profile corp ($2)\" >&2; exit 3", "no profile corp (***)"),
    ] {
        away.script("give", &format!("#!/bin/sh\n{text}\n"));
        let work = broken(&bench, &Broken { config: &config, env: TEAM, ..Broken::default() });
        let shown = work.s3lfs(&["doctor"]).fails(1).stdout;
        assert!(shown.contains(why), "it says {why:?}: {shown}");
        assert!(!shown.contains(SECRET) && !shown.contains('\u{1b}'), "and nothing else: {shown:?}");
    }
}

#[test]
fn a_process_that_fails_is_shown_by_its_last_line() {
    let bench = Bench::ready();
    let away = bench.world.at("");
    let script = away.join("give").to_string_lossy().into_owned();
    let config = format!("[profile team]\ncredential_process = {script} --password geheim\n");
    let run = [RUN];
    for (text, why) in [
        ("echo 'Traceback:' >&2; echo 'log in first' >&2; exit 3", "ended with exit status: 3: log in first"),
        ("exit 2", "ended with exit status: 2: it said nothing"),
        ("echo nonsense", "is no answer: invalid JSON"),
        ("echo '{\"Version\": 2}'", "is no answer: Invalid field"),
        (
            "printf '{\"Version\": 1, \"AccessKeyId\": \"A\\\\nB\", \"SecretAccessKey\": \"geheim\"}'",
            "AWS_ACCESS_KEY_ID with what no request can carry",
        ),
    ] {
        away.script("give", &format!("#!/bin/sh\n{text}\n"));
        let state = Broken { config: &config, env: TEAM, ..Broken::default() };
        let name = if why.contains("no request") { "profile" } else { "give ..." };
        says(&bench, &state, &[name, why], &run);
    }
    let config = "[profile team]\ncredential_process = no-such-program --x\n";
    let state = Broken { config, env: TEAM, ..Broken::default() };
    says(&bench, &state, &["(no-such-program ...) ended with exit status: 127", "not found"], &run);
}

#[test]
fn what_is_over_when_a_process_gives_it_is_no_set_up_that_is_well() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let away = bench.world.at("");
    let text = format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \"Expiration\": \"2020-01-01T00:00:00Z\"}}"
    );
    away.script("give", &format!("#!/bin/sh\necho '{text}'\n"));
    let config = format!("[profile team]\ncredential_process = {}\n", away.join("give").display());
    let work = broken(&bench, &Broken { config: &config, env: TEAM, ..Broken::default() });
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "credentials", "warning", &["they ended at 2020-01-01T00:00:00Z", "days ago"]);
    assert_eq!(mend, [RUN]);
    finds(&answer, "list", "ok", &[]);
}

#[test]
fn tokens_and_endpoints_that_are_not_there() {
    let bench = Bench::ready();
    let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/x");
    let away = "unset AWS_CONTAINER_CREDENTIALS_FULL_URI # where this is no container";
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "geheim\n");
    let clean = r#"export AWS_CONTAINER_AUTHORIZATION_TOKEN="$(printf %s "$AWS_CONTAINER_AUTHORIZATION_TOKEN" | tr -d '[:space:][:cntrl:]"\047')""#;
    let token_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere/token");
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
    let rows: [Row<'_>; 5] = [
        (
            &[file],
            &["AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not"],
            &["export AWS_ROLE_ARN=arn:aws:iam::<account>:role/<role>"],
        ),
        (
            &[file, ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")],
            &["names /nowhere/token, which can't be read: No such"],
            &["ls -l /nowhere/token", "unset AWS_WEB_IDENTITY_TOKEN_FILE # where the platform puts no token"],
        ),
        (
            &[full],
            &["http://127.0.0.1:9/x (AWS_CONTAINER_CREDENTIALS_FULL_URI)", "Connection refused"],
            &["aws sts get-caller-identity # has the container a role?", away],
        ),
        (&[full, token], &["AWS_CONTAINER_AUTHORIZATION_TOKEN has a line break"], &[clean]),
        (
            &[full, token_file],
            &["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names /nowhere/token"],
            &["ls -l /nowhere/token"],
        ),
    ];
    for (env, texts, mend) in rows {
        says(&bench, &Broken { env, ..Broken::default() }, texts, mend);
    }
    let config = "[profile team]\nrole_arn = arn:aws:iam::1:role/x\nweb_identity_token_file = /nowhere/token\n";
    let state = Broken { config, env: TEAM, ..Broken::default() };
    says(
        &bench,
        &state,
        &["profile team", "web_identity_token_file can't be read (/nowhere/token)"],
        &["ls -l /nowhere/token"],
    );
    let logged = broken(&bench, &Broken { env: &[full, token], ..Broken::default() }).env("S3LFS_LOG", "warn");
    let ran = logged.s3lfs(&["doctor"]).fails(1);
    assert!(!ran.stderr.contains(SECRET), "nor is the token logged: {ran:?}");
}

#[test]
fn a_key_that_the_service_does_not_take_is_named_with_where_it_stands() {
    let bench = Bench::ready();
    let (id, _) = bench.server.credentials();
    let credentials = format!("[team]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n");
    let by_profile = Broken { credentials: &credentials, env: TEAM, ..Broken::default() };
    let set = "export AWS_ACCESS_KEY_ID=<id> AWS_SECRET_ACCESS_KEY=<key> # and AWS_SESSION_TOKEN, or unset that";
    let env: &[_] = &[("AWS_ACCESS_KEY_ID", "AKIAGONE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let by_environment = Broken { env, ..Broken::default() };
    for (state, from, mend) in [
        (&by_profile, "access key ...MPLE from ~/.aws, profile team", "aws configure --profile team"),
        (&by_environment, "access key ...GONE from the environment", set),
    ] {
        let work = broken(&bench, state);
        let answer = stopped(work.s3lfs(&["doctor", "--json"]));
        assert_eq!(finds(&answer, "list", "stops", &["not accepted", from]), [mend]);
        work.write("a.bin", "content");
        let ran = work.s3lfs(&["upload", "a.bin"]).fails(1).says(&[from, mend]);
        assert!(!ran.stderr.contains(SECRET), "{ran:?}");
        assert_eq!(bench.server.count(Op::Begin), 0, "nothing is begun");
    }
}

#[test]
fn a_session_token_that_stands_beside_keys_of_a_profile_is_shown_by_its_line() {
    let bench = Bench::ready();
    let (_, secret) = bench.server.credentials();
    let file = aws(&bench).join("credentials").to_string_lossy().into_owned();
    let keys = |id: &str| {
        format!(
            "[dev]\naws_session_token = x\n[team]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = geheim\n"
        )
    };
    // As 'aws configure' leaves it that puts lasting keys in the place of temporary ones.
    let work = broken(&bench, &Broken { credentials: &keys("AKIAGONE"), env: TEAM, ..Broken::default() });
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &["not accepted", "profile team"]);
    assert!(mend[0].starts_with(&format!("sed -i.bak 6d {file} # ")), "{mend:?}");
    crate::doctor::run_all(&work, &mend);
    let left = keys("AKIAGONE").replace("aws_session_token = geheim\n", "");
    assert_eq!(fs::read_to_string(&file).unwrap(), left, "that line is gone, and no other");
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &["not accepted", "profile team"]);
    assert_eq!(mend, ["aws configure --profile team"], "now it is the keys");
    let work = broken(&bench, &Broken { credentials: &keys("ASIAGONE"), env: TEAM, ..Broken::default() });
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &["not accepted", "profile team"]);
    assert!(mend[0].starts_with(&format!("${{EDITOR:-vi}} {file} # line 6: aws_session_token")), "{mend:?}");
}

#[test]
fn an_empty_name_of_a_profile_names_none() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let credentials = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let env: &[_] = &[("AWS_PROFILE", "")];
    crate::doctor::fine(&broken(&bench, &Broken { credentials: &credentials, env, ..Broken::default() }));
    let work = broken(&bench, &Broken { env, ..Broken::default() });
    finds(&stopped(work.s3lfs(&["doctor", "--json"])), "credentials", "stops", &["there are none"]);
}

#[test]
fn a_session_token_that_belongs_to_other_keys() {
    let bench = Bench::ready();
    let (token, secret) = (("AWS_SESSION_TOKEN", "geheim"), ("AWS_SECRET_ACCESS_KEY", SECRET));
    for (env, mend) in [
        (
            vec![("AWS_ACCESS_KEY_ID", "ASIAGONE"), secret],
            "export AWS_SESSION_TOKEN=<token> # a key that begins with ASIA",
        ),
        (
            vec![("AWS_ACCESS_KEY_ID", "AKIAGONE"), secret, token],
            "unset AWS_SESSION_TOKEN # a key that begins with AKIA",
        ),
    ] {
        let work = broken(&bench, &Broken { env: &env, ..Broken::default() });
        let found = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &["not accepted"]);
        assert!(found[0].starts_with(mend), "{found:?}");
    }
}

#[test]
fn a_profile_that_keys_in_the_environment_go_before() {
    let bench = Bench::ready();
    let answer = crate::doctor::fine(&bench.work().env("AWS_PROFILE", "team"));
    let mend = finds(&answer, "credentials", "note", &["AWS_PROFILE = team is passed over"]);
    assert_eq!(mend, ["unset AWS_PROFILE"], "the keys work, and stay");
    assert_eq!(about(&crate::doctor::fine(&bench.work()), "credentials").len(), 1, "without it there is no word");
    let (id, secret) = bench.server.credentials();
    let credentials = format!("[team]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let env: &[_] = &[("AWS_DEFAULT_PROFILE", "old"), TEAM[0]];
    let work = broken(&bench, &Broken { credentials: &credentials, env, ..Broken::default() });
    let found = ["AWS_DEFAULT_PROFILE = old is passed over", "AWS_PROFILE = team"];
    let mend = finds(&crate::doctor::fine(&work), "credentials", "note", &found);
    assert_eq!(mend, ["unset AWS_DEFAULT_PROFILE"]);
}

#[test]
fn whoever_commits_and_pushes_reads_the_same() {
    let bench = Bench::ready();
    let config = SESSION;
    let over = Some(("corp", "{\"accessToken\": \"geheim\", \"expiresAt\": \"2020-01-01T00:00:00Z\"}"));
    let work = broken(&bench, &Broken { config, env: TEAM, login: over, ..Broken::default() });
    let texts = ["its SSO session (corp) ended at 2020-01-01T00:00:00Z", "aws sso login --profile team"];
    work.commit("a.bin", b"content").says(&["not uploaded"]).says(&texts);
    work.git(&["push", "-q"]).fails(1).says(&texts);
    let good = bench.work();
    good.git(&["push", "-q"]).ok();
    good.leave_pointer("a.bin");
    work.remove("a.bin");
    let ran = work.git(&["checkout", "-q", "--", "a.bin"]);
    assert_ne!(ran.code, 0, "the content can't be fetched");
    ran.says(&texts);
}
