//! TLS: the service's certificate is checked, and one of an authority of the user's own is taken when
//! `AWS_CA_BUNDLE` names it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::bench::{Bench, random};
use crate::world::Place;

/// TLS in front of a service; it ends with this value.
pub struct Front {
    pub port: u16,
    /// The authority's certificate, in PEM.
    pub authority: String,
    _runtime: Runtime,
}

impl Front {
    /// Before `service`, with a certificate for `name`.
    pub fn before(service: &str, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = service.trim_start_matches("http://").to_owned();
        runtime.spawn(async move {
            while let Ok((plain, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    // A client that does not trust us goes away here.
                    let Ok(mut inside) = acceptor.accept(plain).await else { return };
                    let mut outside = TcpStream::connect(service).await.unwrap();
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        });
        Front { port, authority: authority.pem(), _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

/// The place of work, where the authority's certificate is named.
pub fn with_bundle<'a>(bench: &'a Bench, pem: &str) -> Place<'a> {
    let file = bench.world.path("authority.pem");
    std::fs::write(&file, pem).unwrap();
    bench.work().env("AWS_CA_BUNDLE", file.to_str().unwrap()).env("NO_PROXY", "localhost,127.0.0.1")
}

#[test]
fn an_authority_of_ones_own_is_taken_when_it_is_named() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "localhost");
    let work = with_bundle(&bench, &front.authority);
    work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let large = random(20 << 20, 170);
    work.commit("large.bin", &large);
    work.commit("a.bin", b"content");
    work.git(&["push", "-qu", "origin", "main"]).ok();
    assert!(bench.has(b"content") && bench.has(&large), "both went through TLS");
    work.leave_pointer("a.bin");
    work.leave_pointer("large.bin");
    work.s3lfs(&["download-all"]).ok();
    assert!(work.text("a.bin") == "content" && work.read("large.bin") == large, "and came back");
    work.s3lfs(&["cleanup", "--force"]).ok();
}

#[test]
fn a_profile_names_an_authority_as_well() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "localhost");
    std::fs::write(bench.world.path("authority.pem"), &front.authority).unwrap();
    let away = bench.world.at("").sub(".aws");
    away.write("config", "[profile team]\nca_bundle = ~/authority.pem\n");
    let work = bench.work().env("AWS_PROFILE", "team").env("NO_PROXY", "localhost,127.0.0.1");
    work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).ok();
    away.write("config", "[profile team]\nca_bundle = /nowhere/ca.pem\n");
    let ran = work.s3lfs(&["init", "--force", "--endpoint-url", &front.url(), bench.server.bucket(), "other"]).fails(1);
    ran.says(&[
        "ca_bundle of the profile team: cannot read /nowhere/ca.pem",
        "aws configure set ca_bundle <file.pem> --profile team",
    ]);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "localhost");
    let other = Front::before(&bench.server.url(), "localhost");
    for work in [bench.work().env("NO_PROXY", "localhost"), with_bundle(&bench, &other.authority)] {
        let ran = work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).fails(1);
        ran.says(&["certificate", "export AWS_CA_BUNDLE=<file.pem>"]);
    }
    assert!(bench.server.take().is_empty(), "no request went there");
}

#[test]
fn a_service_without_tls_is_told_from_one_that_is_not_there() {
    let bench = Bench::new();
    let url = bench.server.url().replace("http://", "https://");
    let ran = bench.work().s3lfs(&["init", "--endpoint-url", &url, bench.server.bucket(), "proj"]).fails(1);
    ran.says(&["can't be reached", "nobody speaks TLS there: give the endpoint with http://"]);
}

#[test]
fn a_certificate_of_another_host_is_refused() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "elsewhere.example");
    let work = with_bundle(&bench, &front.authority);
    let ran = work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).fails(1);
    ran.says(&["certificate"]);
    assert!(bench.server.take().is_empty(), "no request went there");
}

#[test]
fn a_bundle_that_can_not_be_read_is_named() {
    let bench = Bench::with(b"content");
    for (pem, says) in [(Some("no certificate"), "holds no certificates"), (None, "cannot read")] {
        let file = bench.world.path("bundle.pem");
        let _ = std::fs::remove_file(&file);
        if let Some(pem) = pem {
            std::fs::write(&file, pem).unwrap();
        }
        let work = bench.work().env("AWS_CA_BUNDLE", file.to_str().unwrap());
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&["AWS_CA_BUNDLE", "bundle.pem", says]);
    }
}
