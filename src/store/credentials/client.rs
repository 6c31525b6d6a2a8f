//! The HTTP client by which STS, SSO and the rest are asked for credentials, where `AWS_CA_BUNDLE` names authorities
//! besides the system's.
//!
//! Apart because the library's own client does not look at that variable: whoever has a proxy that opens TLS would reach
//! the store, and have no credentials for it. This one is built as the library builds its own, with more certificates.

use aws_config::provider_config::ProviderConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};

use crate::store::http_client::ca_pem;

/// Let whoever is asked by this configuration be trusted by those authorities, too.
pub fn trust_ca_bundle(config: ProviderConfig) -> ProviderConfig {
    // A bundle that is none was an error when the store's client was made.
    let Ok(Some(pem)) = ca_pem() else { return config };
    let trust = TrustStore::default().with_pem_certificate(pem);
    let Ok(context) = TlsContext::builder().with_trust_store(trust).build() else { return config };
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
    config.with_http_client(client)
}
