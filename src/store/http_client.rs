//! The HTTP client under an S3 service's requests.
//!
//! Apart because `object_store` would make one that follows redirects, and has no option against it: a
//! redirect sends signed requests and content to a host that nobody accepted, or plain where TLS was
//! asked for. S3 redirects nobody who names the bucket's region, so here an answer is an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use object_store::client::HttpClient;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, redirect};

use super::ca_bundle::{CaBundle, NoBundle};

/// Connecting gives up after this long: a commit without the network must not be held up.
const CONNECT: Duration = Duration::from_secs(3);

/// Addresses of one family that are tried.
const TRIED: usize = 2;

/// Why there is no client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NoClient {
    /// What the user trusts can't be read.
    Bundle(NoBundle),
    /// For this reason.
    Other(String),
}

/// A client that trusts `bundle` as well. `stall`: a read that brings no byte for so long has failed.
pub(super) fn build(bundle: Option<&CaBundle>, stall: Option<Duration>) -> Result<HttpClient, NoClient> {
    let trusted = bundle.map_or(Ok(Vec::new()), certificates).map_err(NoClient::Bundle)?;
    // Without it, a proxy on the way might pack or unpack what is packed already (RFC 9110, 12.5.3).
    let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    let mut builder = Client::builder()
        .user_agent(concat!("s3lfs/", env!("CARGO_PKG_VERSION")))
        .default_headers(identity)
        .redirect(redirect::Policy::none())
        .tls_certs_merge(trusted)
        .dns_resolver(Arc::new(InTurn::default()))
        // Many connections carry more than many streams in one (as object_store and the AWS CLI do).
        .http1_only()
        .connect_timeout(CONNECT);
    if let Some(stall) = stall {
        builder = builder.read_timeout(stall);
    }
    builder.build().map(HttpClient::new).map_err(|e| NoClient::Other(format!("there is no HTTP client: {e}")))
}

/// Certificates that are trusted besides the system's.
fn certificates(bundle: &CaBundle) -> Result<Vec<Certificate>, NoBundle> {
    let certificates = Certificate::from_pem_bundle(&bundle.pem()?).ok();
    certificates.filter(|certificates| !certificates.is_empty()).ok_or_else(|| bundle.empty())
}

/// A service has many addresses: each connection begins with another ("Performance guidelines" in the S3
/// user guide).
#[derive(Default)]
struct InTurn(Arc<AtomicUsize>);

impl Resolve for InTurn {
    fn resolve(&self, name: Name) -> Resolving {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !found.is_empty() {
                let by = turn % found.len();
                found.rotate_left(by);
            }
            // The time to connect is divided by the addresses: a few of each family get enough of it.
            let (mut four, mut six) = (0, 0);
            found.retain(|address| {
                let count = if address.is_ipv4() { &mut four } else { &mut six };
                *count += 1;
                *count <= TRIED
            });
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
