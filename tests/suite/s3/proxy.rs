//! A proxy on the way to a service that speaks TLS: `HTTPS_PROXY`, `NO_PROXY`, and both in lower case.
//!
//! Apart from `tls` because a proxy sees no request: it is asked for a tunnel ("CONNECT" in RFC 9110, 9.3.6), and who
//! asked is written down.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::bench::Bench;
use super::tls::Front;
use crate::world::Place;

/// A proxy that makes tunnels, until it is dropped.
pub struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

/// What becomes of those that are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tunnels {
    Made,
    Refused,
}

impl Proxy {
    pub fn start() -> Self {
        Self::serving(Tunnels::Made)
    }

    /// It writes down who wants to go where, and lets nobody out.
    pub fn refusing() -> Self {
        Self::serving(Tunnels::Refused)
    }

    fn serving(tunnels: Tunnels) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(tunnel(socket, Arc::clone(&log), tunnels));
            }
        });
        Proxy { port, asked, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of what was asked since the last call of this.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn tunnel(socket: TcpStream, log: Arc<Mutex<Vec<String>>>, tunnels: Tunnels) {
    let mut client = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let is_tunnel = head.starts_with("CONNECT ") && tunnels == Tunnels::Made;
    log.lock().unwrap().push(head);
    if !is_tunnel {
        let _ = client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
        return;
    }
    let mut service = TcpStream::connect(target).await.unwrap();
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut service).await;
    }
}

/// A directory whose store speaks TLS at `front`, without any word about proxies.
fn before<'a>(bench: &'a Bench, front: &Front) -> Place<'a> {
    let bundle = bench.world.path("authority.pem");
    std::fs::write(&bundle, &front.authority).unwrap();
    let (id, secret) = bench.server.credentials();
    let bare = bench.world.at("work").env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    bare.env("AWS_CA_BUNDLE", bundle.to_str().unwrap())
}

#[test]
fn content_goes_and_comes_through_the_tunnel() {
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let bench = Bench::new();
        let (front, proxy) = (Front::before(&bench.server.url(), "localhost"), Proxy::start());
        let target = format!("CONNECT localhost:{} HTTP/1.1\r\n", front.port);
        let work = before(&bench, &front).env(name, proxy.url().replace("://", "://user:word@"));
        work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).ok();
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        proxy.take();
        work.commit("a.bin", b"content");
        assert!(bench.has(b"content"), "{name}: the hook uploads");
        work.git(&["push", "-qu", "origin", "main"]).ok();
        let asked = proxy.take();
        assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&target)), "{name}: {asked:?}");
        let authorized = |head: &String| head.to_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk\r\n");
        assert!(asked.iter().all(authorized), "{name}: the proxy is told who asks: {asked:?}");
        work.leave_pointer("a.bin");
        work.remove("a.bin");
        work.git(&["checkout", "-q", "--", "a.bin"]).ok();
        assert_eq!(work.read("a.bin"), b"content", "{name}: and the filter fetches");
        assert!(!proxy.take().is_empty(), "{name}: through the proxy");
    }
}

#[test]
fn who_is_named_in_no_proxy_is_asked_directly() {
    for (https, no) in [("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy")] {
        let bench = Bench::new();
        let (front, proxy) = (Front::before(&bench.server.url(), "localhost"), Proxy::start());
        let work = before(&bench, &front).env(https, proxy.url());
        let init = ["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"];
        work.env(no, "elsewhere.example,localhost").s3lfs(&init).ok();
        assert!(!bench.server.take().is_empty() && proxy.take().is_empty(), "{no}: nothing went to the proxy");
        work.env(no, "elsewhere.example").s3lfs(&[&init[..], &["--force"]].concat()).ok();
        assert!(!proxy.take().is_empty(), "{no}: of another host it says nothing");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_an_error_at_once() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "localhost");
    let gone = { Proxy::start().url() };
    let work = before(&bench, &front).env("HTTPS_PROXY", &gone);
    let ran = work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).fails(1);
    ran.says(&["HTTPS_PROXY"]);
    assert!(bench.server.take().is_empty(), "nothing goes past the proxy");
}

#[test]
fn a_proxy_that_was_not_asked_is_not_blamed() {
    let bench = Bench::new();
    let init = |url: &'static str| ["init", "--endpoint-url", url, "team-bucket", "proj"];
    let work = bench.work().env("HTTPS_PROXY", "http://127.0.0.1:9");
    work.s3lfs(&init("https://127.0.0.1:9")).fails(1).says(&["can't be reached"]).never_says(&["PROXY"]);
    let work = bench.work().env("NO_PROXY", "elsewhere.example").env("https_proxy", "http://127.0.0.1:9");
    work.s3lfs(&init("http://127.0.0.1:9")).fails(1).says(&["can't be reached"]).never_says(&["proxy"]);
    work.s3lfs(&init("https://127.0.0.1:9")).fails(1).says(&["https_proxy names a proxy"]);
}
