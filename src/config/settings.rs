//! The store and how it is used: flags and environment, then git config, then the manifest, then
//! defaults.
//!
//! Apart because whether a store was chosen by the user or by a commit is decided here (design.md,
//! section 4, "the accepted store").

use bstr::ByteSlice;

use super::{
    BUCKET, ConfigError, ENDPOINT, GitConfig, PREFIX, Place, REGION, bad, encryption, env, refuse_python_prefix,
};
use crate::manifest::{Manifest, PATH};
use crate::remote::{Bucket, Remote, RemoteError};
use crate::store::codec::Compression;
use crate::store::{
    Access, Addressing, Chosen, Encryption, Hosts, Payer, Reach, Signing, is_region, profile_of_environment,
};

/// What flags and `S3LFS_*` variables say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Bucket or URL.
    pub bucket: Option<String>,
    /// Prefix.
    pub repo_prefix: Option<String>,
    /// Endpoint.
    pub endpoint_url: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Profile in `~/.aws`.
    pub profile: Option<String>,
    /// Do not sign requests.
    pub no_sign_request: bool,
    /// Requests in flight.
    pub jobs: Option<usize>,
}

/// Whether the user agreed to this store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// Chosen or accepted by the user.
    Accepted,
    /// Named by a commit, and by the user as a store that is only read (`s3lfs.readstore`).
    ForReading,
    /// The store is accepted, and the way in which a commit wants objects encrypted there is not: it is only read.
    NotItsEncryption,
    /// Named by a commit only: nothing is sent there.
    NotAccepted,
}

/// Everything that a transfer needs to know, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store.
    pub remote: Remote,
    /// The store that the manifest names, where bucket and prefix of the user's own settings are another one: there
    /// everybody else looks.
    pub instead_of: Option<Remote>,
    /// Whether it may be used without asking.
    pub acceptance: Acceptance,
    /// Requests in flight at the most; `None`: as many as the service bears.
    pub jobs: Option<usize>,
    /// How new objects are encoded.
    pub compression: Compression,
    /// How the store is used.
    pub access: Access,
    /// Stores that are only read, asked after the store. They stand in the user's own git config, and
    /// so were chosen by the user.
    pub reading: Vec<Remote>,
}

impl Settings {
    /// Put the layers on top of each other. Without a manifest, the accepted store is the store.
    pub fn resolve(
        overrides: &Overrides,
        config: &GitConfig,
        manifest: Option<&Manifest>,
    ) -> Result<Self, ConfigError> {
        let own = |flag: &Option<String>, key: &str| match flag {
            Some(value) => Ok(Some(value.clone())),
            None => config.text(key),
        };
        let own_bucket = own(&overrides.bucket, "s3lfs.bucket")?;
        let own_prefix = own(&overrides.repo_prefix, "s3lfs.repoprefix")?;
        let own_endpoint = own_endpoint(overrides, config)?;
        // Several may be accepted; without a manifest, the last one is the store.
        let accepted = config.all("s3lfs.store");
        let jobs = jobs(overrides, config)?;
        let compression = compression(manifest)?;
        let access = access(overrides, config, manifest)?;
        let reading = reading(config)?;
        let urls: Vec<String> = reading.iter().map(Remote::to_string).collect();
        let is_read = |remote: &Remote| urls.contains(&remote.to_string());
        let same_store = config.bool("s3lfs.samestore")?.unwrap_or(false);
        let done = |remote: Remote, named: Option<Remote>, acceptance| {
            // The store itself needs not be asked twice. As URLs: of a directory, either may have a part
            // of the other's path as its prefix.
            let reading = reading.into_iter().filter(|other| other.to_string() != remote.to_string()).collect();
            let unaccepted = encryption::unaccepted(config, &remote, &access.encryption).is_some();
            let acceptance = match acceptance {
                Acceptance::Accepted if unaccepted => Acceptance::NotItsEncryption,
                other => other,
            };
            let instead_of = named.filter(|named| !same_store && !is_one_place(&remote, named));
            Ok(Settings { remote, instead_of, acceptance, jobs, compression, access, reading })
        };

        let bucket = own_bucket.as_deref().or(manifest.map(|m| m.bucket_name.as_str()));
        let Some(bucket) = bucket else {
            let url = config.text("s3lfs.store")?.ok_or(ConfigError::NoStore)?;
            let remote = Remote::from_url(&url);
            let place = Place::Key("s3lfs.store".to_owned());
            return done(remote.map_err(|source| ConfigError::Remote { place, source })?, None, Acceptance::Accepted);
        };
        if let (None, Some(manifest)) = (&own_prefix, manifest) {
            refuse_python_prefix(manifest)?;
        }
        let prefix = own_prefix.as_deref().or(manifest.map(|m| m.repo_prefix.as_str())).unwrap_or("");
        let named_endpoint = manifest.and_then(|m| m.endpoint_url.as_deref());
        let wrong = |e| names_none(overrides, config, e);
        let remote = Remote::new(bucket, prefix, own_endpoint.as_deref().or(named_endpoint)).map_err(wrong)?;
        let own_choice = own_bucket.is_some() && (own_endpoint.is_some() || remote.endpoint().is_none());
        // The user may have accepted what the manifest says, and chosen another endpoint since.
        let as_named = match manifest {
            Some(m) => Some(Remote::new(&m.bucket_name, &m.repo_prefix, named_endpoint).map_err(in_manifest)?),
            None => None,
        };
        let candidates = [Some(&remote), as_named.as_ref()];
        let mut covered = own_choice;
        for candidate in candidates.into_iter().flatten() {
            covered |= accepted.iter().any(|url| *url == candidate.to_string());
            for pattern in config.all("s3lfs.trust") {
                covered |= candidate.is_covered_by(&pattern.to_str_lossy()).map_err(wrong)?;
            }
        }
        let acceptance = match covered {
            true => Acceptance::Accepted,
            false if is_read(&remote) => Acceptance::ForReading,
            false => Acceptance::NotAccepted,
        };
        done(remote, as_named, acceptance)
    }
}

/// Also two paths of one directory.
pub fn is_one_place(one: &Remote, other: &Remote) -> bool {
    // As far as it is there: the first upload makes the rest.
    let real = |remote: &Remote| match remote.bucket() {
        Bucket::File(dir) => {
            let path = dir.join(remote.prefix());
            let there = path.ancestors().find_map(|dir| Some((dir, std::fs::canonicalize(dir).ok()?)));
            there.and_then(|(dir, real)| Some(real.join(path.strip_prefix(dir).ok()?)))
        }
        Bucket::S3(_) => None,
    };
    one.is_same_place(other) || real(one).is_some_and(|dir| real(other) == Some(dir))
}

/// What bucket, prefix or endpoint names no store, by the place where it stands.
pub fn names_none(overrides: &Overrides, config: &GitConfig, source: RemoteError) -> ConfigError {
    let place = match &source {
        RemoteError::Bucket(_) | RemoteError::File(_) => BUCKET.place(overrides.bucket.as_deref(), config),
        RemoteError::Prefix(_) => PREFIX.place(overrides.repo_prefix.as_deref(), config),
        RemoteError::Endpoint(_) | RemoteError::LinkLocal(_) => {
            ENDPOINT.place(overrides.endpoint_url.as_deref(), config)
        }
        RemoteError::Pattern(_) => Place::Key("s3lfs.trust".to_owned()),
    };
    ConfigError::Remote { place, source }
}

fn in_manifest(source: RemoteError) -> ConfigError {
    ConfigError::Remote { place: Place::Manifest, source }
}

/// The values of `s3lfs.readstore`, each once.
fn reading(config: &GitConfig) -> Result<Vec<Remote>, ConfigError> {
    let mut reading = Vec::new();
    for url in config.all("s3lfs.readstore") {
        let remote = url.to_str().ok().and_then(|url| Remote::from_url(url).ok());
        let remote =
            remote.ok_or_else(|| bad("s3lfs.readstore", url, "the URL of a store, like s3://bucket/prefix"))?;
        if !reading.contains(&remote) {
            reading.push(remote);
        }
    }
    Ok(reading)
}

/// The endpoint that the user chose, if any: flag, `S3LFS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`,
/// `AWS_ENDPOINT_URL`, git config. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` passes AWS's own over.
pub fn own_endpoint(overrides: &Overrides, config: &GitConfig) -> Result<Option<String>, ConfigError> {
    let own = overrides.endpoint_url.clone();
    let of_aws = || OF_AWS.into_iter().filter(|name| !is_passed_over(name)).find_map(env);
    match own.or_else(of_aws) {
        Some(url) => Ok(Some(url)),
        None => config.text("s3lfs.endpointurl"),
    }
}

/// AWS's own variables for an endpoint.
const OF_AWS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// Whether a variable does not count: AWS's own, where the user says so.
pub fn is_passed_over(name: &str) -> bool {
    let says_so = || env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    OF_AWS.contains(&name) && says_so()
}

fn jobs(overrides: &Overrides, config: &GitConfig) -> Result<Option<usize>, ConfigError> {
    if overrides.jobs.is_some() {
        return Ok(overrides.jobs);
    }
    let Some(text) = config.text("s3lfs.jobs")? else { return Ok(None) };
    let jobs = text.parse().ok().filter(|n| (1..=1024).contains(n));
    jobs.map(Some).ok_or_else(|| bad("s3lfs.jobs", text.as_bytes(), "1 to 1024"))
}

/// Region, credentials, encryption, signing and addressing.
pub fn access(overrides: &Overrides, config: &GitConfig, manifest: Option<&Manifest>) -> Result<Access, ConfigError> {
    let named = || overrides.region.clone().or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
    let region = match named() {
        Some(region) => Some(region),
        None => config.text("s3lfs.region")?.or_else(|| manifest?.region.clone()),
    };
    // It may come from a commit.
    if let Some(region) = region.as_ref().filter(|region| !is_region(region)) {
        let place = match REGION.place(overrides.region.as_deref(), config) {
            Place::Manifest => format!("region in {PATH}"),
            place => place.to_string(),
        };
        return Err(bad(&place, region.as_bytes(), "the name of a region, like eu-central-1"));
    }
    let signing = if overrides.no_sign_request { Signing::Anonymous } else { Signing::Signed };
    let addressing = match config.text("s3lfs.addressing")?.as_deref() {
        None | Some("auto") => Addressing::Auto,
        Some("path") => Addressing::Path,
        Some("virtual") => Addressing::Virtual,
        Some("accelerate") => Addressing::Accelerated,
        Some(other) => return Err(bad("s3lfs.addressing", other.as_bytes(), "auto, path, virtual or accelerate")),
    };
    // The names that the AWS CLI has for it.
    let says = |variable: &str| env(variable).map(|text| text.eq_ignore_ascii_case("true"));
    let dual = match says("AWS_USE_DUALSTACK_ENDPOINT") {
        Some(dual) => Some(dual),
        None => config.bool("s3lfs.dualstack")?,
    };
    let reach = dual.map(Reach::dual);
    let hosts = says("AWS_USE_FIPS_ENDPOINT").map(Hosts::fips);
    let payer = match config.bool("s3lfs.requesterpays")? {
        Some(true) => Payer::Requester,
        Some(false) | None => Payer::Owner,
    };
    let class = match config.text("s3lfs.storageclass")? {
        Some(text) => Some(text.parse().map_err(|expected| bad("s3lfs.storageclass", text.as_bytes(), expected))?),
        None => None,
    };
    let encryption = match manifest.and_then(|m| m.server_side_encryption.as_deref()) {
        None | Some("AES256") => Encryption::Aes256,
        Some("aws:kms") => Encryption::Kms(manifest.and_then(|m| m.kms_key_id.clone())),
        Some("none") => Encryption::None,
        Some(other) => {
            let key = "server_side_encryption in .s3_manifest.json";
            return Err(bad(key, other.as_bytes(), "AES256, aws:kms or none"));
        }
    };
    let profile = match &overrides.profile {
        Some(profile) => Some(Chosen::Flag(profile.clone())),
        // The environment's choice of credentials goes before git config, as everywhere.
        None if profile_of_environment().is_some() => None,
        None if env("AWS_ACCESS_KEY_ID").and(env("AWS_SECRET_ACCESS_KEY")).is_some() => None,
        None => config.text("s3lfs.profile")?.map(Chosen::Key),
    };
    Ok(Access { region, profile, encryption, signing, addressing, reach, hosts, payer, class })
}

fn compression(manifest: Option<&Manifest>) -> Result<Compression, ConfigError> {
    let Some(text) = manifest.and_then(|m| m.compression.as_deref()) else { return Ok(Compression::Auto) };
    text.parse().map_err(|_| bad("compression in .s3_manifest.json", text.as_bytes(), "auto, gzip or none"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    fn resolve(overrides: &Overrides, pairs: &[(&str, &str)], manifest: Option<&Manifest>) -> (String, Acceptance) {
        let settings = Settings::resolve(overrides, &config(pairs), manifest).unwrap();
        (settings.remote.to_string(), settings.acceptance)
    }

    #[test]
    fn a_store_named_by_a_commit_is_used_only_when_accepted() {
        let manifest = Manifest::new("team-bucket", "proj");
        let none = Overrides::default();
        let url = "s3://team-bucket/proj";
        let expect = |pairs: &[(&str, &str)], acceptance| {
            assert_eq!(resolve(&none, pairs, Some(&manifest)), (url.to_owned(), acceptance), "{pairs:?}");
        };
        expect(&[], Acceptance::NotAccepted);
        expect(&[("s3lfs.store", "s3://other/proj")], Acceptance::NotAccepted);
        expect(&[("s3lfs.store", url)], Acceptance::Accepted);
        expect(&[("s3lfs.store", url), ("s3lfs.store", "s3://other/proj")], Acceptance::Accepted);
        expect(&[("s3lfs.trust", "s3://x/*"), ("s3lfs.trust", "s3://team-bucket/*")], Acceptance::Accepted);
        let mut elsewhere = manifest.clone();
        elsewhere.endpoint_url = Some("https://evil.example".into());
        let (_, acceptance) = resolve(&none, &[("s3lfs.store", url)], Some(&elsewhere));
        assert_eq!(acceptance, Acceptance::NotAccepted, "another endpoint is another store");
        let chosen = Overrides { bucket: Some("mine".into()), ..Overrides::default() };
        assert_eq!(resolve(&chosen, &[], Some(&manifest)).1, Acceptance::Accepted, "a flag is the user's own choice");
        assert_eq!(resolve(&chosen, &[], Some(&elsewhere)).1, Acceptance::NotAccepted, "but not the commit's endpoint");
    }

    #[test]
    fn a_region_can_not_become_another_host() {
        let mut manifest = Manifest::new("team-bucket", "proj");
        for hostile in ["evil.example/", "a@evil", "x.y", "", "EU", "a/b", "#"] {
            manifest.region = Some(hostile.to_owned());
            let settings = Settings::resolve(&Overrides::default(), &config(&[]), Some(&manifest));
            assert!(
                settings.is_err() || std::env::var_os("AWS_REGION").is_some(),
                "region {hostile:?} must be refused"
            );
        }
    }

    #[test]
    fn the_manifests_store_is_told_where_the_users_own_is_another_place() {
        let manifest = Manifest::new("team-bucket", "proj");
        let instead = |pairs: &[(&str, &str)], overrides: Overrides| {
            let settings = Settings::resolve(&overrides, &config(pairs), Some(&manifest)).unwrap();
            settings.instead_of.map(|named| named.to_string())
        };
        let named = Some("s3://team-bucket/proj".to_owned());
        let none = Overrides::default;
        assert_eq!(instead(&[("s3lfs.repoprefix", "mine")], none()), named);
        assert_eq!(instead(&[("s3lfs.bucket", "mine")], none()), named);
        assert_eq!(instead(&[], Overrides { bucket: Some("mine".into()), ..none() }), named);
        assert_eq!(instead(&[], Overrides { repo_prefix: Some("".into()), ..none() }), named);
        assert_eq!(instead(&[("s3lfs.bucket", "mine"), ("s3lfs.samestore", "true")], none()), None, "the user said so");
        let ways = [
            ("s3lfs.bucket", "s3://team-bucket"),
            ("s3lfs.repoprefix", "/proj/"),
            ("s3lfs.endpointurl", "https://proxy.example"),
            ("s3lfs.region", "eu-west-1"),
            ("s3lfs.profile", "work"),
            ("s3lfs.addressing", "path"),
            ("s3lfs.store", "s3://other/proj"),
        ];
        for way in ways {
            assert_eq!(instead(&[way], none()), None, "{way:?} is another way to the same place");
        }
    }

    #[test]
    fn flags_win_over_git_config_over_the_manifest() {
        let manifest = Manifest::new("from-manifest", "m");
        let flag = Overrides { bucket: Some("from-flag".into()), ..Overrides::default() };
        let pairs = [("s3lfs.bucket", "from-config"), ("s3lfs.repoprefix", "c")];
        assert_eq!(resolve(&flag, &pairs, Some(&manifest)).0, "s3://from-flag/c");
        assert_eq!(resolve(&Overrides::default(), &pairs, Some(&manifest)).0, "s3://from-config/c");
        let accepted = [("s3lfs.store", "file:///srv/x")];
        assert_eq!(resolve(&Overrides::default(), &accepted, None), ("file:///srv/x".to_owned(), Acceptance::Accepted));
        let nothing = Settings::resolve(&Overrides::default(), &config(&[]), None);
        assert!(matches!(nothing, Err(ConfigError::NoStore)));
        assert!(Settings::resolve(&flag, &config(&[("s3lfs.jobs", "0")]), None).is_err());
    }
}
