//! Credentials from where users of the AWS CLI have them: files, profiles, a process; against a service
//! that checks signatures.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::bench::Bench;
use crate::world::Place;

/// Beneath `~/.aws`.
fn aws_file(bench: &Bench, name: &str, text: &str) {
    let dir = bench.world.path(".aws");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), text).unwrap();
}

/// A directory without credentials in the environment; nobody asks for an instance's.
fn without<'a>(bench: &'a Bench, dir: &str) -> Place<'a> {
    bench.world.at(dir).env("NO_PROXY", "127.0.0.1").env("AWS_EC2_METADATA_DISABLED", "true")
}

fn keys(bench: &Bench) -> String {
    let (id, secret) = bench.server.credentials();
    format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

/// Add, commit (which uploads) and push; then fetch again.
#[track_caller]
fn works(bench: &Bench, work: &Place<'_>, content: &[u8]) {
    work.commit("a.bin", content).never_says(&["not uploaded"]);
    assert!(bench.has(content), "the commit uploads");
    work.git(&["push", "-q"]).ok();
    work.drop_cache();
    work.remove("a.bin");
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), content);
}

#[test]
fn the_default_profile_is_found() {
    let bench = Bench::ready();
    aws_file(&bench, "credentials", &format!("[default]\n{}", keys(&bench)));
    works(&bench, &without(&bench, "work"), b"by the default profile");
}

#[test]
fn a_profile_is_named_by_variable_flag_or_git_config() {
    let bench = Bench::ready();
    let wrong = "[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n";
    aws_file(&bench, "credentials", &format!("{wrong}[team]\n{}", keys(&bench)));
    let work = without(&bench, "work");
    works(&bench, &work.env("AWS_PROFILE", "team"), b"by variable");
    work.commit("b.bin", b"b").says(&["not uploaded", "credentials"]);
    work.s3lfs(&["--profile", "team", "upload", "b.bin"]).ok();
    assert!(bench.has(b"b"), "by flag");
    work.git(&["config", "s3lfs.profile", "team"]).ok();
    works(&bench, &work, b"by git config, in filter and hooks");
    let environment = work.env("AWS_ACCESS_KEY_ID", "WRONG").env("AWS_SECRET_ACCESS_KEY", "wrong");
    environment.commit("c.bin", b"c").says(&["not uploaded", "credentials"]);
    environment.s3lfs(&["--profile", "team", "upload", "c.bin"]).ok();
    assert!(bench.has(b"c"), "a flag goes before the environment, which goes before git config");
}

#[test]
fn the_environment_goes_before_the_default_profile() {
    let bench = Bench::ready();
    aws_file(&bench, "credentials", "[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n");
    works(&bench, &bench.work(), b"by environment");
}

#[test]
fn a_process_gives_them_and_is_asked_again_when_they_end() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let (script, calls) = (bench.world.path("give"), bench.world.path("calls"));
    let answer = |life: &str| {
        format!(
            "#!/bin/sh\necho called >> '{}'\nprintf '{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \
             \"Expiration\": \"%s\"}}' \"$(date -u -d '{life}' +%Y-%m-%dT%H:%M:%SZ)\"\n",
            calls.display()
        )
    };
    fs::write(&script, answer("+1 hour")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    aws_file(&bench, "config", &format!("[default]\ncredential_process = {}\n", script.display()));
    let work = without(&bench, "work");
    for n in 0..20 {
        work.write(&format!("{n}.bin"), format!("content {n}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "twenty"]).ok().never_says(&["not uploaded"]);
    assert!(bench.has(b"content 19"));
    assert_eq!(fs::read_to_string(&calls).unwrap().lines().count(), 1, "one call serves all requests of a process");
    fs::write(&script, "#!/bin/sh\necho 'log in first' >&2\nexit 1\n").unwrap();
    work.commit("late.bin", b"late").says(&["not uploaded", "credential"]);
    work.git(&["push", "-q"]).fails(1);
    fs::write(&script, answer("+1 hour")).unwrap();
    work.git(&["push", "-q"]).ok();
    assert!(bench.has(b"late"));
}

#[test]
fn a_profile_says_region_and_endpoint_too() {
    let bench = Bench::new();
    let url = bench.server.url();
    aws_file(
        &bench,
        "config",
        &format!("[profile team]\nregion = eu-central-1\nendpoint_url = {url}\n{}", keys(&bench)),
    );
    let work = without(&bench, "work").env("AWS_PROFILE", "team");
    work.s3lfs(&["init", bench.server.bucket(), "proj"]).ok();
    assert_eq!(work.manifest()["endpoint_url"], url.as_str(), "init writes it down for everyone");
    let signed = bench.server.take();
    let scope = signed[0].header("authorization").unwrap();
    assert!(scope.contains("/eu-central-1/s3/"), "requests are signed for the profile's region: {scope}");
}

#[test]
fn nothing_found_is_said_once_and_with_what_to_do() {
    let bench = Bench::ready();
    let work = without(&bench, "work");
    work.commit("a.bin", b"a").says(&["not uploaded", "there are none", "~/.aws"]);
    work.git(&["push", "-q"]).fails(1).says(&["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]);
    aws_file(
        &bench,
        "config",
        "[profile team]\nsso_session = x\nsso_account_id = 1\nsso_role_name = r\n[sso-session x]\nsso_region = us-east-1\nsso_start_url = https://x.invalid/start\n",
    );
    let sso = work.env("AWS_PROFILE", "team");
    sso.git(&["push", "-q"]).fails(1).says(&["aws sso login --profile team"]);
}

#[test]
fn a_bundle_that_is_none_is_said() {
    let bench = Bench::ready();
    let work = bench.work().env("AWS_CA_BUNDLE", "/nowhere/ca.pem");
    work.commit("a.bin", b"a").says(&["AWS_CA_BUNDLE", "/nowhere/ca.pem", "unset AWS_CA_BUNDLE"]);
}

#[test]
fn the_profile_of_the_flag_stays_with_the_clone() {
    let bench = Bench::new();
    aws_file(&bench, "credentials", &format!("[team]\n{}", keys(&bench)));
    let work = without(&bench, "work");
    let url = bench.server.url();
    let init = ["--profile", "team", "init", "--endpoint-url", &url, bench.server.bucket(), "proj"];
    work.s3lfs(&init).ok().says(&["Profile of this clone: team (git config s3lfs.profile)"]);
    assert!(!work.text(crate::world::MANIFEST).contains("team\""), "it is nobody else's");
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "set up"]).ok();
    work.git(&["push", "-qu", "origin", "main"]).ok();
    works(&bench, &work, b"by the profile of the clone");
    without(&bench, "").s3lfs(&["--profile", "team", "clone", "-q", "remote.git", "other"]).ok();
    works(&bench, &without(&bench, "other"), b"also of one that was cloned so");
    // One that is chosen later replaces it, and a command that is no set-up changes nothing.
    work.s3lfs(&["--profile", "other", "ls"]).ok();
    assert_eq!(work.git(&["config", "s3lfs.profile"]).ok().stdout, "team\n");
    for (command, name) in [("trust", "other"), ("git-setup", "third")] {
        work.s3lfs(&["--profile", name, command]).ok();
        assert_eq!(work.git(&["config", "--get-all", "s3lfs.profile"]).ok().stdout, format!("{name}\n"));
    }
}

#[test]
fn an_endpoint_for_s3_alone_goes_before_that_for_all_and_both_can_be_passed_over() {
    let bench = Bench::new();
    let url = bench.server.url();
    let nobody = "http://127.0.0.1:9";
    let files = |more: &str| {
        let profile = format!("[profile team]\nservices = here\nendpoint_url = {nobody}\n{more}{}", keys(&bench));
        aws_file(
            &bench,
            "config",
            &format!("{profile}[services here]\nsts =\n  endpoint_url = {nobody}\ns3 =\n  endpoint_url = {url}\n"),
        );
    };
    files("");
    let work = without(&bench, "work").env("AWS_PROFILE", "team").env("AWS_REGION", "eu-west-1");
    let endpoint = |place: &Place<'_>, bucket: &str| {
        let _ = fs::remove_file(place.join(crate::world::MANIFEST));
        place.s3lfs(&["init", "--no-check", bucket, "proj"]).ok();
        place.manifest()["endpoint_url"].as_str().map(str::to_owned)
    };
    assert_eq!(endpoint(&work, "team-bucket").as_deref(), Some(url.as_str()), "of the profile's services");
    work.s3lfs(&["init", bench.server.bucket(), "proj"]).ok();
    assert!(!bench.server.take().is_empty(), "and it is asked there");
    let (for_all, for_s3) = (work.env("AWS_ENDPOINT_URL", "http://127.0.0.1:7"), "http://127.0.0.1:8");
    assert_eq!(endpoint(&for_all, "team-bucket").as_deref(), Some("http://127.0.0.1:7"), "the environment's first");
    let for_s3 = for_all.env("AWS_ENDPOINT_URL_S3", for_s3);
    assert_eq!(endpoint(&for_s3, "team-bucket").as_deref(), Some("http://127.0.0.1:8"), "that of S3 before");
    let ignoring = for_s3.env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    assert_eq!(endpoint(&ignoring, "team-bucket"), None, "none of them");
    let own = ignoring.env("S3LFS_ENDPOINT_URL", &url);
    assert_eq!(endpoint(&own, "team-bucket").as_deref(), Some(url.as_str()), "but that of s3lfs alone");
    files("ignore_configured_endpoint_urls = true\n");
    assert_eq!(endpoint(&work, "team-bucket"), None, "a profile can say so, too");
}

#[test]
fn dual_stack_has_a_host_of_its_own_at_aws() {
    let bench = Bench::new();
    let proxy = super::proxy::Proxy::refusing();
    let work = without(&bench, "work").env("AWS_REGION", "eu-west-1").env("HTTPS_PROXY", proxy.url());
    let work = work.env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "geheim");
    work.s3lfs(&["init", "--no-check", "team-bucket", "proj"]).ok();
    for (value, host) in [("", "s3.eu-west-1"), ("false", "s3.eu-west-1"), ("true", "s3.dualstack.eu-west-1")] {
        work.env("AWS_USE_DUALSTACK_ENDPOINT", value).s3lfs(&["doctor", "--read-only"]).fails(1);
        let asked = proxy.take();
        let wanted = format!("CONNECT team-bucket.{host}.amazonaws.com:443 HTTP/1.1\r\n");
        assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&wanted)), "{value:?}: {asked:?}");
    }
}

#[test]
fn profiles_are_read_as_the_aws_cli_reads_them() {
    let bench = Bench::ready();
    let keys = keys(&bench);
    let indented: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let (with_colons, wrong) = (keys.replace(" =", ":"), "aws_access_key_id = WRONG\naws_secret_access_key = wrong\n");
    let named = |name: &str| vec![("AWS_PROFILE", name.to_owned())];
    let rows = [
        (format!("[profile \"my team\"]\n{keys}"), String::new(), named("my team"), "profile my team"),
        (format!("[profile 'my team']\n{keys}"), String::new(), named("my team"), "profile my team"),
        // As 'aws configure' writes both.
        (
            "[profile 'my team']\nregion = x\n".to_owned(),
            format!("[my team]\n{keys}"),
            named("my team"),
            "profile my team",
        ),
        (format!("[profile team]\n  # mine\n{indented}"), String::new(), named("team"), "profile team"),
        (String::new(), format!("\u{feff}[default]\n{with_colons}"), vec![], "~/.aws"),
        (String::new(), format!("[old]\n{keys}"), vec![("AWS_DEFAULT_PROFILE", "old".to_owned())], "profile old"),
        (
            String::new(),
            format!("[old]\n{wrong}[team]\n{keys}"),
            vec![("AWS_DEFAULT_PROFILE", "old".to_owned()), ("AWS_PROFILE", "team".to_owned())],
            "profile team",
        ),
    ];
    for (config, credentials, env, from) in rows {
        aws_file(&bench, "config", &config);
        aws_file(&bench, "credentials", &credentials);
        let work = env.iter().fold(without(&bench, "work"), |work, (name, value)| work.env(name, value));
        let answer = crate::doctor::fine(&work);
        crate::doctor::finds(&answer, "credentials", "ok", &[from]);
    }
}

#[test]
fn a_profile_in_quotes_leads_on_to_others() {
    let bench = Bench::new();
    let url = bench.server.url();
    let config = format!(
        "[profile \"my team\"]\nservices = our own\nregion = eu-central-1\n{}[services 'our own']\n  s3 =\n    # here\n    endpoint_url = {url}\n",
        keys(&bench)
    );
    aws_file(&bench, "config", &config);
    let work = without(&bench, "work").env("AWS_PROFILE", "my team");
    work.s3lfs(&["init", bench.server.bucket(), "proj"]).ok();
    assert_eq!(work.manifest()["endpoint_url"], url.as_str(), "of the services in quotes");
    let signed = bench.server.take();
    assert!(signed[0].header("authorization").unwrap().contains("/eu-central-1/s3/"), "and the region");
    // A role by way of such a profile: STS is where nobody is, and nobody says that the profile is gone.
    let role = format!("[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = my team\n{config}");
    aws_file(&bench, "config", &role);
    let role = work.env("AWS_PROFILE", "role").env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let answer = crate::doctor::stopped(role.s3lfs(&["doctor", "--json"]));
    let texts = ["STS, asked with the keys of the profile my team for the role of role", "refused"];
    let mend = crate::doctor::finds(&answer, "credentials", "stops", &texts);
    assert_eq!(mend, ["unset AWS_ENDPOINT_URL_STS # it says where STS is asked, too"]);
}

#[test]
fn a_profile_chooses_hosts_of_aws() {
    let bench = Bench::new();
    let proxy = super::proxy::Proxy::refusing();
    let work = without(&bench, "work").env("HTTPS_PROXY", proxy.url()).env("AWS_PROFILE", "team");
    work.s3lfs(&["init", "--no-check", "team-bucket", "proj"]).ok();
    let (dual, fips) = ("use_dualstack_endpoint = true\n", "use_fips_endpoint = true\n");
    let team = format!("[profile team]\nregion = eu-west-1\n{}", keys(&bench));
    for (profile, env, host) in [
        (dual.to_owned(), None, "s3.dualstack.eu-west-1"),
        (fips.to_owned(), None, "s3-fips.eu-west-1"),
        (format!("{dual}{fips}"), None, "s3-fips.dualstack.eu-west-1"),
        (dual.to_owned(), Some(("AWS_USE_DUALSTACK_ENDPOINT", "false")), "s3.eu-west-1"),
        (String::new(), Some(("AWS_USE_FIPS_ENDPOINT", "true")), "s3-fips.eu-west-1"),
    ] {
        aws_file(&bench, "config", &format!("{team}{profile}"));
        let work = env.map_or_else(|| work.env("X", ""), |(name, value)| work.env(name, value));
        work.s3lfs(&["doctor", "--read-only"]).fails(1);
        let asked = proxy.take();
        let wanted = format!("CONNECT team-bucket.{host}.amazonaws.com:443 HTTP/1.1\r\n");
        assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&wanted)), "{profile:?}: {asked:?}");
    }
    aws_file(&bench, "config", &format!("{team}{fips}"));
    work.git(&["config", "s3lfs.addressing", "accelerate"]).ok();
    work.s3lfs(&["verify", "--all"]).fails(1).says(&["no FIPS endpoint", "--unset-all s3lfs.addressing"]);
}

#[test]
fn what_a_profile_says_wrong_at_init_is_the_profiles() {
    let bench = Bench::new();
    let work = without(&bench, "work").env("AWS_PROFILE", "team");
    let config = work.world.path(".aws/config").display().to_string();
    let keys = keys(&bench);
    let init = |place: &Place<'_>| place.s3lfs(&["init", "team-bucket", "proj"]).fails(1);
    let rows: [(&str, &[&str]); 4] = [
        (
            "endpoint_url = nowhere:9\n",
            &[
                "endpoint_url of the profile team",
                "give https://nowhere:9",
                "aws configure set endpoint_url <url> --profile team",
            ],
        ),
        (
            "services = here\n[services here]\ns3 =\n  endpoint_url = ftp://x\n",
            &["[services here] of the profile team", "ftp://x", "${EDITOR:-vi} ", " # from line 5 on"],
        ),
        (
            "services = gone\n",
            &["names the services gone, and there is no [services gone]", "# add [services gone]", &config],
        ),
        (
            "region = eu central-1\n",
            &["the profile's region \"eu central-1\"", "aws configure set region <region> --profile team"],
        ),
    ];
    for (text, says) in rows {
        aws_file(&bench, "config", &format!("[profile team]\n{keys}{text}"));
        init(&work).says(says).never_says(&[".s3_manifest.json names no store"]);
        assert!(!work.exists(crate::world::MANIFEST), "nothing is written");
    }
    assert!(bench.server.take().is_empty(), "and nothing is asked");
    let ran = work.s3lfs(&["--endpoint-url", "127.0.0.1:9000", "init", "team-bucket", "proj"]).fails(1);
    ran.says(&["https://127.0.0.1:9000", "http://127.0.0.1:9000"]);
}
