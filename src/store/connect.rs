//! Connecting: from a [`Remote`] and the user's access settings to something that takes requests.
//!
//! Apart because credentials, encryption, time-outs and addressing are decided here and nowhere else.
//! Nothing is sent while connecting.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::client::HttpClient;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, RetryConfig};

use super::access::{Access, Addressing, Encryption, Hosts, Payer, Reach, Signing, is_region};
use super::ca_bundle::{CaBundle, NoBundle};
use super::credentials::{Chain, Origin, change_region, profile_region, profile_says, unusable};
use super::http_client::NoClient;
use super::line::{Line, LineConnector};
use super::{Kind, StoreError, http_client};
use crate::remote::{Bucket, Remote};

/// What every object is, to the service (design.md, section 3).
const CONTENT_TYPE: &str = "application/octet-stream";

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
    /// What the beginning of an upload in parts says in a storage class of its own; empty: it goes without.
    pub beginning: HeaderMap,
    /// How content is kept, as `writes` is told with each object.
    pub class: Attributes,
    /// How `writes` was built.
    builder: AmazonS3Builder,
}

impl S3 {
    /// A client that deletes key by key, for services without a request for many.
    pub fn single_deletes(&self) -> object_store::Result<AmazonS3> {
        self.builder.clone().with_disable_bulk_delete(true).build()
    }

    /// Whether somebody is being asked for credentials right now.
    pub fn asks_for_credentials(&self) -> bool {
        self.line.credentials.get().is_some_and(|chain| chain.is_asking())
    }

    /// Whose credentials sign requests, as far as that is known by now.
    pub fn signer(&self) -> Option<Origin> {
        if self.builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).as_deref() == Some("true") {
            return None;
        }
        self.line.credentials.get().map_or_else(|| Some(Origin::of_environment()), |chain| chain.origin())
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
            require_a_name(remote, access).map_err(unusable)?;
            let way = Way::of(remote, access);
            if !is_region(&way.region) {
                let why =
                    format!("the profile's region {:?} is not the name of a region, like eu-central-1", way.region);
                return Err(unusable(why).mended_by(&change_region(access.profile.as_ref())));
            }
            if (access.addressing, way.hosts) == (Addressing::Accelerated, Hosts::Fips) && remote.endpoint().is_none() {
                let why = "s3lfs.addressing is 'accelerate', and AWS has no FIPS endpoint (use_fips_endpoint) for that";
                let mend = "git config --unset-all s3lfs.addressing # or take use_fips_endpoint back";
                return Err(unusable(why.to_owned()).mended_by(mend));
            }
            let no_client = |why: NoClient| match why {
                NoClient::Bundle(NoBundle { why, mend }) => unusable(why).mended_by(&mend),
                NoClient::Other(why) => unusable(why),
            };
            let bundle = CaBundle::named(access.profile.as_ref());
            let client = |stall| http_client::build(bundle.as_ref(), stall).map_err(no_client);
            let connector = |stall| Ok(LineConnector::new(client(stall)?, &line));
            let reading = connector(Some(STALL))?;
            let builder = builder(remote, bucket, access, &way, &line);
            let reads = builder.clone().with_http_connector(reading.clone()).build().map_err(failed)?;
            let builder = builder.with_http_connector(connector(None)?);
            let writes = builder.clone().build().map_err(failed)?;
            let others = reading.into_client();
            let (beginning, class) = in_class(remote, access).map_err(unusable)?;
            Ok(Backend::S3(Arc::new(S3 { reads, writes, others, line, beginning, class, builder })))
        }
    }
}

/// Where AWS is asked, by what the user said and else by the profile.
struct Way {
    region: String,
    reach: Reach,
    hosts: Hosts,
}

impl Way {
    fn of(remote: &Remote, access: &Access) -> Self {
        let profile = access.profile.as_ref();
        let region = access.region.clone().or_else(|| profile_region(profile));
        // An endpoint that was named is used as it is.
        let says = |setting: &str| remote.endpoint().is_none() && profile_says(profile, setting).unwrap_or(false);
        Way {
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            reach: access.reach.unwrap_or_else(|| Reach::dual(says("use_dualstack_endpoint"))),
            hosts: access.hosts.unwrap_or_else(|| Hosts::fips(says("use_fips_endpoint"))),
        }
    }
}

fn builder(remote: &Remote, bucket: &str, access: &Access, way: &Way, line: &Line) -> AmazonS3Builder {
    // One retry layer, and it is ours (`transfer::retry`): each attempt is signed anew there.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    // How the client is made, `http_client` says; this is about the requests.
    let options = ClientOptions::new().with_allow_http(true).with_default_content_type(CONTENT_TYPE);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(retry)
        .with_disable_tagging(true);
    let region = &way.region;
    builder = builder.with_region(region).with_request_payer(access.payer == Payer::Requester);
    let virtual_hosted = match access.addressing {
        Addressing::Auto => remote.endpoint().is_none() && !bucket.contains('.'),
        Addressing::Path => false,
        Addressing::Virtual | Addressing::Accelerated => true,
    };
    builder = builder.with_virtual_hosted_style_request(virtual_hosted);
    // An endpoint that was accepted is used as it is.
    if let (None, Some(host)) = (remote.endpoint(), host_at_aws(access.addressing, way)) {
        builder = builder.with_endpoint(match virtual_hosted {
            true => format!("https://{bucket}.{host}"),
            false => format!("https://{host}"),
        });
    }
    if let Some(endpoint) = remote.endpoint() {
        let named = match endpoint.split_once("://") {
            Some((scheme, host)) if virtual_hosted => format!("{scheme}://{bucket}.{host}"),
            _ => endpoint.to_owned(),
        };
        if has_checksums(remote.endpoint()) {
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
        Signing::Signed => {
            // The names of regions are AWS's own only where AWS is asked.
            let of_sts = if remote.endpoint().is_none() { region } else { "us-east-1" };
            credentials(builder, access, of_sts, line)
        }
    }
}

/// The headers that `object_store` can't be told to begin an upload in parts with, all that it would send by itself
/// among them ("CreateMultipartUpload" in the S3 API reference), and what it can be told for a whole object.
fn in_class(remote: &Remote, access: &Access) -> Result<(HeaderMap, Attributes), String> {
    let (mut headers, mut attributes) = (HeaderMap::new(), Attributes::new());
    let Some(class) = &access.class else { return Ok((headers, attributes)) };
    attributes.insert(Attribute::StorageClass, class.to_string().into());
    let mut header = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).map_err(|_| format!("{value:?} is no value of a header"))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, String>(())
    };
    header("x-amz-storage-class", &class.to_string())?;
    header("content-type", CONTENT_TYPE)?;
    let sse = "x-amz-server-side-encryption";
    match &access.encryption {
        Encryption::None => {}
        Encryption::Aes256 => header(sse, "AES256")?,
        Encryption::Kms(key) => {
            header(sse, "aws:kms")?;
            if let Some(key) = key {
                header("x-amz-server-side-encryption-aws-kms-key-id", key)?;
            }
        }
    }
    if has_checksums(remote.endpoint()) {
        header("x-amz-checksum-algorithm", "SHA256")?;
    }
    Ok((headers, attributes))
}

/// On a line without TLS nobody else notices a flipped bit: not every service checks the hash that is signed
/// (SeaweedFS checks this one, Ceph RGW the other). Over TLS it would only cost.
fn has_checksums(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

/// A bucket can't be named before an address, and only AWS accelerates.
fn require_a_name(remote: &Remote, access: &Access) -> Result<(), String> {
    let Some(endpoint) = remote.endpoint() else { return Ok(()) };
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    let without_port = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_address = host.starts_with('[') || without_port.parse::<std::net::Ipv4Addr>().is_ok();
    match access.addressing {
        Addressing::Accelerated => {
            Err(format!("s3lfs.addressing is 'accelerate', which only AWS has, and the endpoint is {endpoint}"))
        }
        Addressing::Virtual if is_address => Err(format!(
            "s3lfs.addressing is 'virtual', and a bucket has no name before an address ({host}): set it to 'path'"
        )),
        _ => Ok(()),
    }
}

/// The host of AWS that is asked, where it is not the ordinary one ("Request endpoints" in the S3 user guide).
fn host_at_aws(addressing: Addressing, way: &Way) -> Option<String> {
    const DOMAIN: &str = "amazonaws.com";
    let region = &way.region;
    // "Amazon S3 endpoints" in the documentation of AWS China.
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { DOMAIN };
    match (addressing, way.reach, way.hosts) {
        (Addressing::Accelerated, Reach::Ipv4, _) => Some("s3-accelerate.amazonaws.com".to_owned()),
        (Addressing::Accelerated, Reach::DualStack, _) => Some("s3-accelerate.dualstack.amazonaws.com".to_owned()),
        (_, Reach::DualStack, Hosts::Fips) => Some(format!("s3-fips.dualstack.{region}.{domain}")),
        (_, Reach::Ipv4, Hosts::Fips) => Some(format!("s3-fips.{region}.{domain}")),
        (_, Reach::DualStack, Hosts::Ordinary) => Some(format!("s3.dualstack.{region}.{domain}")),
        (_, Reach::Ipv4, Hosts::Ordinary) if domain == DOMAIN => None,
        (_, Reach::Ipv4, Hosts::Ordinary) => Some(format!("s3.{region}.{domain}")),
    }
}

/// The environment's credentials, which need no library to be read; without them, the whole chain. A
/// profile that was named here goes first, as with the AWS CLI's `--profile`.
fn credentials(builder: AmazonS3Builder, access: &Access, region: &str, line: &Line) -> AmazonS3Builder {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let token = env("AWS_SESSION_TOKEN");
    let keys = match (&access.profile, env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        // What can't be sent is left to the chain, which says so.
        (None, Some(id), Some(secret)) if unusable(&id, &secret, token.as_deref()).is_none() => Some((id, secret)),
        _ => None,
    };
    let Some((id, secret)) = keys else {
        let chain = Arc::new(Chain::new(access.profile.clone(), region.to_owned()));
        // It knows when credentials end; the line hears when they have ended.
        let _ = line.credentials.set(Arc::clone(&chain));
        return builder.with_credentials(chain);
    };
    let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    match token {
        Some(token) => builder.with_token(token),
        None => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where requests go ("Request endpoints" in the S3 user guide's chapters on each).
    fn endpoint(remote: &str, addressing: Addressing, reach: Reach, hosts: Hosts) -> Option<String> {
        endpoint_in("eu-west-1", remote, addressing, reach, hosts)
    }

    fn endpoint_in(region: &str, remote: &str, addressing: Addressing, reach: Reach, hosts: Hosts) -> Option<String> {
        let remote = Remote::from_url(remote).unwrap();
        let Bucket::S3(bucket) = remote.bucket() else { panic!("a bucket") };
        let region = Some(region.to_owned());
        let (reach, hosts, signing) = (Some(reach), Some(hosts), Signing::Anonymous);
        let access = Access { region, addressing, reach, hosts, signing, ..Access::default() };
        let way = Way::of(&remote, &access);
        builder(&remote, bucket, &access, &way, &Line::new()).get_config_value(&AmazonS3ConfigKey::Endpoint)
    }

    #[test]
    fn hosts_of_aws_are_those_of_its_guide() {
        use Addressing::{Accelerated, Auto, Path};
        use Hosts::{Fips, Ordinary};
        let at = |addressing, reach, hosts| endpoint("s3://my-bucket/p", addressing, reach, hosts);
        assert_eq!(at(Auto, Reach::Ipv4, Ordinary), None, "object_store's own");
        for (addressing, reach, hosts, url) in [
            (Auto, Reach::DualStack, Ordinary, "https://my-bucket.s3.dualstack.eu-west-1.amazonaws.com"),
            (Path, Reach::DualStack, Ordinary, "https://s3.dualstack.eu-west-1.amazonaws.com"),
            (Auto, Reach::Ipv4, Fips, "https://my-bucket.s3-fips.eu-west-1.amazonaws.com"),
            (Path, Reach::DualStack, Fips, "https://s3-fips.dualstack.eu-west-1.amazonaws.com"),
            (Accelerated, Reach::Ipv4, Ordinary, "https://my-bucket.s3-accelerate.amazonaws.com"),
            (Accelerated, Reach::DualStack, Ordinary, "https://my-bucket.s3-accelerate.dualstack.amazonaws.com"),
        ] {
            assert_eq!(at(addressing, reach, hosts).as_deref(), Some(url), "{addressing:?}, {reach:?}, {hosts:?}");
        }
    }

    #[test]
    fn regions_in_china_have_a_domain_of_their_own() {
        let at = |region, reach| endpoint_in(region, "s3://my-bucket/p", Addressing::Auto, reach, Hosts::Ordinary);
        for (region, reach, url) in [
            ("cn-north-1", Reach::Ipv4, Some("https://my-bucket.s3.cn-north-1.amazonaws.com.cn")),
            ("cn-north-1", Reach::DualStack, Some("https://my-bucket.s3.dualstack.cn-north-1.amazonaws.com.cn")),
            ("us-gov-west-1", Reach::Ipv4, None),
        ] {
            assert_eq!(at(region, reach).as_deref(), url, "{region}");
        }
    }

    #[test]
    fn an_endpoint_that_was_accepted_is_used_as_it_is() {
        let other = "s3://my-bucket/p?endpoint=https://s3.example.org";
        let at = endpoint(other, Addressing::Path, Reach::DualStack, Hosts::Fips);
        assert_eq!(at.as_deref(), Some("https://s3.example.org"), "nothing of AWS is in it");
    }
}
