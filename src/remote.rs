//! Which store: bucket, prefix and endpoint, written as one URL.
//!
//! Apart because this is what a user accepts before any byte or signed request goes there
//! (design.md, invariant 6 and section 4, "the accepted store"): one spelling for git config,
//! messages, patterns and `--json`. Pure: nothing is looked up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use percent_encoding::percent_decode_str;

use crate::repo_path::deceives;

/// Why a bucket, prefix, endpoint or URL does not name a store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoteError {
    /// The bucket is neither a name nor a URL of a known scheme.
    #[error("{:?} is no bucket: give a bucket's name, s3://bucket, or file:///absolute/directory", shown(.0))]
    Bucket(String),
    /// A `file://` URL names a host or a relative path.
    #[error("{0:?} is no directory on this machine: give file:///absolute/directory, without '..'")]
    File(String),
    /// The prefix has an empty or a dot part, or a control character.
    #[error(
        "{0:?} is no repository prefix: its parts between slashes must not be empty, '.' or '..', nor hold control characters or '?endpoint='"
    )]
    Prefix(String),
    /// The endpoint is no http(s) URL.
    #[error("{:?} is no endpoint: give {}", shown(.0), with_scheme(.0))]
    Endpoint(String),
    /// The endpoint is a link-local address.
    #[error("{:?} is no endpoint: at a link-local address machines get their own credentials, and no store is there", shown(.0))]
    LinkLocal(String),
    /// A trust pattern does not parse.
    #[error("{:?} is no pattern for a store", shown(.0))]
    Pattern(String),
}

/// The place that holds objects, before the prefix.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Bucket {
    /// A bucket of an S3 service.
    S3(String),
    /// A directory of this machine: the embedded store.
    File(PathBuf),
}

/// A store: where one repository's objects are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Remote {
    bucket: Bucket,
    prefix: String,
    endpoint: Option<String>,
}

impl Remote {
    /// From the manifest's three values. `bucket_name` is a bucket's name or a URL; `repo_prefix` may
    /// have outer slashes, which are dropped, and may be empty.
    pub fn new(bucket_name: &str, repo_prefix: &str, endpoint: Option<&str>) -> Result<Self, RemoteError> {
        let bucket = parse_bucket(bucket_name)?;
        let prefix = parse_prefix(repo_prefix)?;
        // A directory has no endpoint: one from the environment (AWS_ENDPOINT_URL) is not meant for it.
        let endpoint = match (&bucket, endpoint) {
            (Bucket::S3(_), Some(url)) if !url.is_empty() => Some(parse_endpoint(url)?),
            _ => None,
        };
        Ok(Remote { bucket, prefix, endpoint })
    }

    /// From the URL that [`Display`](fmt::Display) writes.
    pub fn from_url(url: &str) -> Result<Self, RemoteError> {
        if url.starts_with("file:") {
            return Remote::new(url, "", None);
        }
        let (base, endpoint) = split_endpoint(url);
        let rest = base.strip_prefix("s3://").ok_or_else(|| RemoteError::Bucket(url.to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Remote::new(bucket, prefix, endpoint)
    }

    /// Where the objects are, before the prefix.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The repository's prefix without outer slashes; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The endpoint without a slash at its end, if it is not the default of AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether both are the same bucket and prefix, by whatever endpoint they are reached.
    pub fn is_same_place(&self, other: &Remote) -> bool {
        self.base() == other.base()
    }

    /// Whether `pattern` (of `s3lfs.trust`) covers this store: a glob over the URL in which `*` does
    /// not cross `/` and `**` does. Without `?endpoint=` it covers only stores without an endpoint of
    /// their own, so that `s3://my-team/*` never sends signed requests to a stranger's server.
    pub fn is_covered_by(&self, pattern: &str) -> Result<bool, RemoteError> {
        let (base, endpoint) = split_endpoint(pattern);
        let glob = |text: &str, value: &str| {
            let built = GlobBuilder::new(text).literal_separator(true).build();
            built.map(|g| g.compile_matcher().is_match(value)).map_err(|_| RemoteError::Pattern(pattern.to_owned()))
        };
        let same_endpoint = match (endpoint, &self.endpoint) {
            (None, None) => true,
            (Some(wanted), Some(own)) => glob(wanted, own)?,
            _ => false,
        };
        Ok(glob(base, &self.base())? && same_endpoint)
    }

    fn base(&self) -> String {
        let (mut url, rest) = match &self.bucket {
            Bucket::S3(name) => (format!("s3://{name}"), self.prefix.clone()),
            // The one character that would be read as something else (`parse_file`).
            Bucket::File(dir) => {
                let encoded = |text: &str| text.replace('%', "%25");
                let dir = encoded(&dir.display().to_string());
                (format!("file://{}", dir.trim_end_matches('/')), encoded(&self.prefix))
            }
        };
        if !rest.is_empty() || url == "file://" {
            url.push('/');
            url.push_str(&rest);
        }
        url
    }
}

/// The store's URL: `s3://bucket/prefix`, `s3://bucket/prefix?endpoint=https://...`, `file:///dir/prefix`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base())?;
        match &self.endpoint {
            Some(endpoint) => write!(f, "?endpoint={endpoint}"),
            None => Ok(()),
        }
    }
}

/// An endpoint that lacks nothing but its scheme, with it; for all else, how one looks.
fn with_scheme(text: &str) -> String {
    let (https, http) = (format!("https://{text}"), format!("http://{text}"));
    match text.contains("://") || parse_endpoint(&https).is_err() {
        true => "http://host:port or https://host".to_owned(),
        false => format!("{https}, or {http} if nobody speaks TLS there"),
    }
}

/// A URL as it may be shown: whoever put a password into it does not read it in a log.
fn shown(url: &str) -> String {
    let mut shown = String::new();
    for (n, part) in url.split("://").enumerate() {
        let authority = part.split('/').next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((secret, _)) if n > 0 => shown.extend(["://***", &part[secret.len()..]]),
            _ if n > 0 => shown.extend(["://", part]),
            _ => shown.push_str(part),
        }
    }
    shown
}

fn split_endpoint(url: &str) -> (&str, Option<&str>) {
    match url.split_once("?endpoint=") {
        Some((base, endpoint)) => (base, Some(endpoint)),
        None => (url, None),
    }
}

fn parse_bucket(name: &str) -> Result<Bucket, RemoteError> {
    if name.starts_with("file:") {
        return parse_file(name);
    }
    let bare = name.strip_prefix("s3://").unwrap_or(name);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    // Wider than today's rules for new buckets: old ones have capitals and underscores.
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if (3..=255).contains(&bare.len()) && bare.chars().all(legal) && !bare.starts_with('.') && !bare.contains("..") {
        Ok(Bucket::S3(bare.to_owned()))
    } else {
        Err(RemoteError::Bucket(name.to_owned()))
    }
}

/// As in Git's own `file://` URLs, `%20` stands for a blank and a blank may stand for itself.
fn parse_file(url: &str) -> Result<Bucket, RemoteError> {
    let wrong = || RemoteError::File(url.to_owned());
    let path = url.strip_prefix("file://").ok_or_else(wrong)?;
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| wrong())?.into_owned();
    let trimmed = decoded.trim_end_matches('/');
    let path = Path::new(if trimmed.is_empty() { decoded.as_str() } else { trimmed });
    let dots = path.components().any(|c| matches!(c, std::path::Component::ParentDir));
    if !path.is_absolute() || dots || decoded.contains(misleads) {
        return Err(wrong());
    }
    Ok(Bucket::File(path.to_owned()))
}

fn parse_prefix(prefix: &str) -> Result<String, RemoteError> {
    let inner = prefix.strip_prefix('/').unwrap_or(prefix);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let good = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(misleads);
    // It would be read as an endpoint, and one URL would name two stores.
    let readable = !inner.contains("?endpoint=");
    if inner.is_empty() && prefix.len() <= 1 || readable && !inner.is_empty() && inner.split('/').all(good) {
        Ok(inner.to_owned())
    } else {
        Err(RemoteError::Prefix(prefix.to_owned()))
    }
}

fn parse_endpoint(url: &str) -> Result<String, RemoteError> {
    let trimmed = url.trim_end_matches('/');
    let host = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
    let good = |rest: &str| {
        let host = host_of(rest);
        let bad = |c: char| misleads(c) || " ?#@\\%".contains(c);
        let is_address = reqwest::Url::parse(trimmed).is_ok() && trimmed.parse::<http::Uri>().is_ok();
        !host.is_empty() && host.is_ascii() && !rest.contains(bad) && !is_disguised(host) && is_address
    };
    match host.filter(|rest| good(rest)) {
        Some(rest) if is_link_local(host_of(rest)) => Err(RemoteError::LinkLocal(url.to_owned())),
        Some(_) => Ok(trimmed.to_owned()),
        None => Err(RemoteError::Endpoint(url.to_owned())),
    }
}

/// What a user can't see, or sees as something else, while he is asked whether he accepts a store.
fn misleads(c: char) -> bool {
    c.is_control() || deceives(c)
}

/// The host of what follows `://`, without port, brackets and a dot at its end.
fn host_of(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.strip_suffix('.').unwrap_or(host)
}

/// An IPv4 address in a form that only resolvers know: `0xa9.254.43518` (URL Standard, "ends in a number").
fn is_disguised(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.starts_with(|c: char| c.is_ascii_digit());
    number && !host.contains(':') && host.parse::<Ipv4Addr>().is_err()
}

/// Where machines of a cloud are given their credentials, and printers answer; no store is there (RFC 3927, RFC 4291,
/// "Use IMDS" in the EC2 user guide).
fn is_link_local(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            let ec2 = [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
            ip.to_ipv4().is_some_and(|ip| ip.is_link_local()) || ip.is_unicast_link_local() || ip.segments() == ec2
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (url, expected) in [
            ("https://me:pass@host:9000/x@y", "https://***@host:9000/x@y"),
            ("s3://key:secret@bucket/p?endpoint=https://a:b@h", "s3://***@bucket/p?endpoint=https://***@h"),
            ("https://host", "https://host"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(shown(url), expected);
        }
        let error = Remote::new("bucket", "p", Some("https://me:pass@host")).unwrap_err().to_string();
        assert!(error.contains("***@host") && !error.contains("pass"), "{error}");
    }

    fn url(bucket: &str, prefix: &str, endpoint: Option<&str>) -> String {
        Remote::new(bucket, prefix, endpoint).unwrap().to_string()
    }

    #[test]
    fn a_store_has_one_spelling_and_it_parses_back() {
        for (bucket, prefix, endpoint, expected) in [
            ("my-bucket", "/proj/", None, "s3://my-bucket/proj"),
            ("s3://my-bucket", "a/b", None, "s3://my-bucket/a/b"),
            (
                "my-bucket",
                "",
                Some("https://minio.example:9000/"),
                "s3://my-bucket?endpoint=https://minio.example:9000",
            ),
            ("file:///srv/store/", "proj", None, "file:///srv/store/proj"),
            ("file:///srv/my%20store", "", Some("http://ignored"), "file:///srv/my store"),
            ("file:///srv/50%25", "", None, "file:///srv/50%25"),
            ("file:///", "", None, "file:///"),
            ("file:///", "p", None, "file:///p"),
        ] {
            assert_eq!(url(bucket, prefix, endpoint), expected);
            assert_eq!(Remote::from_url(expected).unwrap().to_string(), expected, "the URL parses back");
        }
    }

    #[test]
    fn what_a_commit_must_not_choose_is_refused() {
        for bad in [
            "",
            "a b",
            "b",
            "../x",
            "https://evil",
            "file://host/share",
            "file://relative",
            "file:rel",
            "file:///a/../b",
            "gs://x",
            "a/b",
        ] {
            assert!(Remote::new(bad, "p", None).is_err(), "bucket {bad:?}");
        }
        for bad in [
            "..",
            "a/../b",
            "a//b",
            ".",
            "//",
            "a/./b",
            "a\nb",
            "//a",
            "a\u{202e}b",
            "\u{1b}[2J",
            "p?endpoint=https://h",
            "p?endpoint=h",
        ] {
            assert!(Remote::new("bucket", bad, None).is_err(), "prefix {bad:?}");
        }
        for bad in [
            "ftp://x",
            "https://",
            "https://:9000",
            "http://user:pass@host",
            "nonsense",
            "http://169.254.169.254",
            "http://169.254.169.254:80/x",
            "http://169.254.169.254./latest",
            "http://2852039166",
            "http://0xa9.254.43518",
            "http://0251.0376.0251.0376",
            "http://%31%36%39.254.169.254",
            "http://１６９.254.169.254",
            "http://[fe80::1]:9000",
            "http://[::ffff:169.254.169.254]",
            "http://[fd00:ec2::254]",
            "https://a\u{202e}b",
            "https://a\r\nHost: b",
        ] {
            assert!(Remote::new("bucket", "p", Some(bad)).is_err(), "endpoint {bad:?}");
        }
    }

    #[test]
    fn patterns_cover_stores_but_not_strangers_endpoints() {
        let team = Remote::new("my-team", "proj", None).unwrap();
        let deep = Remote::new("my-team", "a/b", None).unwrap();
        let elsewhere = Remote::new("my-team", "proj", Some("https://evil.example")).unwrap();
        assert!(team.is_covered_by("s3://my-team/*").unwrap());
        assert!(!deep.is_covered_by("s3://my-team/*").unwrap() && deep.is_covered_by("s3://my-team/**").unwrap());
        assert!(!elsewhere.is_covered_by("s3://my-team/*").unwrap(), "an endpoint must be covered too");
        assert!(elsewhere.is_covered_by("s3://my-team/*?endpoint=https://evil.example").unwrap());
        assert!(!team.is_covered_by("s3://my-team/*?endpoint=**").unwrap());
    }
}
