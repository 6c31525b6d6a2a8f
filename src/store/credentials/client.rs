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

use super::missing::NoCredentials;
use crate::error::chain;
use crate::store::http_client::ca_pem;

/// Let whoever is asked by this configuration be trusted by those authorities, too; the error says why they can't be.
pub fn trust_ca_bundle(config: ProviderConfig) -> Result<ProviderConfig, NoCredentials> {
    trust(config, ca_pem())
}

fn trust(config: ProviderConfig, bundle: Result<Option<Vec<u8>>, String>) -> Result<ProviderConfig, NoCredentials> {
    let refused = |why: String| NoCredentials::new(why, ["unset AWS_CA_BUNDLE # or name a file in PEM".to_owned()]);
    let Some(pem) = bundle.map_err(refused)? else { return Ok(config) };
    let trust = TrustStore::default().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|e| refused(format!("AWS_CA_BUNDLE can't be used: {}", chain(&e))))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_that_can_not_be_had_are_an_error_and_none_are_none() {
        let config = ProviderConfig::without_region;
        assert!(trust(config(), Ok(None)).is_ok());
        let why = trust(config(), Err("it is gone".to_owned())).err().map(|e| e.to_string());
        assert_eq!(why.as_deref(), Some("it is gone"), "nobody goes on without what the user named");
    }
}
