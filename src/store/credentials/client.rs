//! The HTTP client by which STS, SSO and the rest are asked for credentials, where the user names authorities besides the
//! system's.
//!
//! Apart because the library's own client does not look at that: whoever has a proxy that opens TLS would reach
//! the store, and have no credentials for it. This one is built as the library builds its own, with more certificates.

use aws_config::provider_config::ProviderConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};

use super::missing::NoCredentials;
use crate::error::chain;
use crate::store::ca_bundle::{CaBundle, NoBundle};

impl From<NoBundle> for NoCredentials {
    fn from(NoBundle { why, mend }: NoBundle) -> Self {
        NoCredentials::new(why, [mend])
    }
}

/// Let whoever is asked by this configuration be trusted by the authorities of this bundle, too; the error says why not.
pub fn trusting(config: ProviderConfig, bundle: Option<&CaBundle>) -> Result<ProviderConfig, NoCredentials> {
    let Some(bundle) = bundle else { return Ok(config) };
    let trust = TrustStore::default().with_pem_certificate(bundle.pem()?);
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|e| bundle.refused(format!("can't be used: {}", chain(&e))))?;
    // As `default_https_client` of aws-smithy-runtime 1.10: the documented way has no proxies of the environment.
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let tls = Provider::Rustls(CryptoMode::AwsLc);
        let mut connector = ConnectorBuilder::default().tls_provider(tls).tls_context(context.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    Ok(config.with_http_client(client))
}
