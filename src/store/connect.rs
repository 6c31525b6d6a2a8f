//! Connecting: from a [`Remote`] and the user's access settings to something that takes requests.
//!
//! Apart because credentials, encryption, time-outs and addressing are decided here and nowhere else.
//! Nothing is sent while connecting.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::client::HttpClient;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};

use super::credentials::{Chain, profile_region};
use super::line::{Line, LineConnector};
use super::{Kind, StoreError, http_client};
use crate::remote::{Bucket, Remote};

/// How a store is to be used; what does not matter for a directory is ignored there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// The bucket's region; if nothing is said, the profile's, else `us-east-1`.
    pub region: Option<String>,
    /// The profile in `~/.aws` that credentials come from, if the user named one here.
    pub profile: Option<String>,
    /// Encryption of new objects on the server.
    pub encryption: Encryption,
    /// Whether requests are signed.
    pub signing: Signing,
    /// How the bucket is named in URLs.
    pub addressing: Addressing,
}

/// Encryption of new objects on the server (design.md: AES-256 unless told otherwise).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Encryption {
    /// SSE-S3.
    #[default]
    Aes256,
    /// SSE-KMS, with a key, or with the account's own.
    Kms(Option<String>),
    /// No header: what the bucket does by itself.
    None,
}

/// Whether requests are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signing {
    /// With the user's credentials.
    #[default]
    Signed,
    /// Not at all: public buckets.
    Anonymous,
}

/// How the bucket is named in URLs ("Virtual hosting of buckets" in the S3 user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// `https://bucket.host/key` on AWS, `https://host/bucket/key` elsewhere and for names with dots.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`.
    Virtual,
}

/// A read that brings no byte for this long has failed.
const STALL: Duration = Duration::from_secs(30);

/// A connected backend.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A directory.
    Local(Arc<LocalFileSystem>),
    /// A bucket of an S3 service.
    S3(Arc<S3>),
}

/// The clients of an S3 service.
#[derive(Debug)]
pub struct S3 {
    /// GET, HEAD and LIST: however long a body takes, it must not stall.
    pub reads: AmazonS3,
    /// PUT and POST: a stall can't be seen while sending, so callers set a deadline by length.
    pub writes: AmazonS3,
    /// Requests that `object_store` does not have, signed by `reads`.
    pub others: HttpClient,
    /// What is known of the service.
    pub line: Arc<Line>,
    /// How `writes` was built.
    builder: AmazonS3Builder,
}

impl S3 {
    /// A client that deletes key by key, for services without a request for many.
    pub fn single_deletes(&self) -> object_store::Result<AmazonS3> {
        self.builder.clone().with_disable_bulk_delete(true).build()
    }
}

/// Connect. For a directory this looks whether it is there: it is never made here, since an unmounted
/// disk must not turn into an empty store.
pub fn connect(remote: &Remote, access: &Access) -> Result<Backend, StoreError> {
    let url = remote.to_string();
    let failed = |e: object_store::Error| StoreError::new("open", &Path::ROOT, &url, &e);
    match remote.bucket() {
        Bucket::File(dir) => {
            if !dir.is_dir() {
                let why = format!("the directory {} does not exist; is a disk not mounted?", dir.display());
                return Err(StoreError::about_store("open", &url, Kind::NoStore, why));
            }
            let local = LocalFileSystem::new_with_prefix(dir).map_err(failed)?;
            Ok(Backend::Local(Arc::new(local.with_fsync(true))))
        }
        Bucket::S3(bucket) => {
            let line = Line::new();
            let unusable = |why: String| StoreError::about_store("open", &url, Kind::Failed, why);
            let connector = |stall| Ok(LineConnector::new(http_client::build(stall).map_err(unusable)?, &line));
            let reading = connector(Some(STALL))?;
            let builder = builder(remote, bucket, access, &line);
            let reads = builder.clone().with_http_connector(reading.clone()).build().map_err(failed)?;
            let builder = builder.with_http_connector(connector(None)?);
            let writes = builder.clone().build().map_err(failed)?;
            Ok(Backend::S3(Arc::new(S3 { reads, writes, others: reading.into_client(), line, builder })))
        }
    }
}

fn builder(remote: &Remote, bucket: &str, access: &Access, line: &Line) -> AmazonS3Builder {
    // One retry layer, and it is ours (`transfer::retry`): each attempt is signed anew there.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    // How the client is made, `http_client` says; this is about the requests.
    let options = ClientOptions::new().with_allow_http(true).with_default_content_type("application/octet-stream");
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(retry)
        .with_disable_tagging(true);
    let region = access.region.clone().or_else(|| profile_region(access.profile.as_deref()));
    builder = builder.with_region(region.as_deref().unwrap_or("us-east-1"));
    let virtual_hosted = match access.addressing {
        Addressing::Auto => remote.endpoint().is_none() && !bucket.contains('.'),
        Addressing::Path => false,
        Addressing::Virtual => true,
    };
    builder = builder.with_virtual_hosted_style_request(virtual_hosted);
    if let Some(endpoint) = remote.endpoint() {
        let named = match endpoint.split_once("://") {
            Some((scheme, host)) if virtual_hosted => format!("{scheme}://{bucket}.{host}"),
            _ => endpoint.to_owned(),
        };
        // On a line without TLS nobody else notices a flipped bit: not every service checks the hash that
        // is signed (SeaweedFS checks this one, Ceph RGW the other). Over TLS it would only cost.
        if named.starts_with("http://") {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        builder = builder.with_endpoint(named);
    }
    let sse: AmazonS3ConfigKey = "aws_server_side_encryption".parse().expect("object_store documents this key");
    builder = match &access.encryption {
        Encryption::None => builder,
        Encryption::Aes256 => builder.with_config(sse, "AES256"),
        Encryption::Kms(None) => builder.with_config(sse, "aws:kms"),
        Encryption::Kms(Some(key)) => builder.with_sse_kms_encryption(key),
    };
    match access.signing {
        Signing::Anonymous => builder.with_skip_signature(true),
        Signing::Signed => credentials(builder, access, line),
    }
}

/// The environment's credentials, which need no library to be read; without them, the whole chain. A
/// profile that was named here goes first, as with the AWS CLI's `--profile`.
fn credentials(builder: AmazonS3Builder, access: &Access, line: &Line) -> AmazonS3Builder {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (None, Some(id), Some(secret)) = (&access.profile, env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"))
    else {
        let chain = Arc::new(Chain::new(access.profile.clone()));
        // It knows when credentials end; the line hears when they have ended.
        let _ = line.credentials.set(Arc::clone(&chain));
        return builder.with_credentials(chain);
    };
    let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    match env("AWS_SESSION_TOKEN") {
        Some(token) => builder.with_token(token),
        None => builder,
    }
}
