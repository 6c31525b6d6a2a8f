//! An S3 service for tests: `s3s` and `s3s-fs` in this process, HTTP over a socket on 127.0.0.1,
//! signatures checked.
//!
//! In front of it stands a thin layer that writes down every request, provokes what `fault` scripts,
//! and answers as real services do where s3s-fs does not (NoSuchBucket, NoSuchUpload).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, StdError};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::fault::{Fault, Script, refusal};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const BUCKET: &str = "team-bucket";

/// S3's operations, as far as s3lfs uses them. Those on objects mean keys below `assets/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Get,
    Head,
    Put,
    /// CreateMultipartUpload.
    Begin,
    UploadPart,
    Complete,
    Abort,
    List,
    /// ListMultipartUploads.
    ListUploads,
    /// DeleteObjects.
    DeleteMany,
    /// DeleteObject.
    Delete,
    /// Reading and writing registrations.
    Registration,
    Other,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub op: Op,
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// One of the parameters in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut pairs =
            self.uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn new(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut seen = Seen { op: Op::Other, uri: uri.clone(), headers: headers.clone() };
        let upload = seen.query("uploadId").is_some();
        let key = uri.path().split('/').nth(2).is_some_and(|key| !key.is_empty());
        seen.op = match method.as_str() {
            "GET" if !key && seen.query("uploads").is_some() => Op::ListUploads,
            "GET" if !key => Op::List,
            "GET" | "PUT" if uri.path().contains("/repositories/") => Op::Registration,
            "GET" => Op::Get,
            "HEAD" => Op::Head,
            "PUT" if upload => Op::UploadPart,
            "PUT" => Op::Put,
            "POST" if upload => Op::Complete,
            "POST" if seen.query("uploads").is_some() => Op::Begin,
            "POST" if seen.query("delete").is_some() => Op::DeleteMany,
            "DELETE" if upload => Op::Abort,
            "DELETE" => Op::Delete,
            _ => Op::Other,
        };
        seen
    }
}

/// What all connections share.
pub struct State {
    pub root: PathBuf,
    pub script: Script,
    signed: S3Service,
    anonymous: S3Service,
    public: Mutex<bool>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// The service, until it is dropped.
pub struct Server {
    state: Arc<State>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
    /// Keeps the port while nobody listens there.
    parked: Option<TcpSocket>,
    runtime: Runtime,
    _root: tempfile::TempDir,
}

impl Server {
    /// With the bucket [`BUCKET`], empty.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let fs = || FileSystem::new(root.path()).unwrap();
        let mut signed = S3ServiceBuilder::new(fs());
        signed.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let state = Arc::new(State {
            root: root.path().to_owned(),
            script: Script::default(),
            signed: signed.build(),
            anonymous: S3ServiceBuilder::new(fs()).build(),
            public: Mutex::new(false),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Some(runtime.spawn(accept(listener, Arc::clone(&state))));
        Server { state, address, accepting, parked: None, runtime, _root: root }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nobody listens any more: connections are refused.
    pub fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = self.runtime.block_on(accepting);
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            // A child of another test holds the listener, too, between its fork and its exec.
            let bound = (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                socket.bind(self.address).is_ok()
            });
            assert!(bound, "the port of the stopped service stays ours");
            self.parked = Some(socket);
        }
    }

    /// And somebody does again, at the same address.
    pub fn resume(&mut self) {
        let socket = self.parked.take().expect("it was stopped");
        let state = Arc::clone(&self.state);
        let _within = self.runtime.enter();
        let listener = socket.listen(1024).unwrap();
        self.accepting = Some(tokio::spawn(accept(listener, state)));
    }

    /// The next `times` requests of this operation meet `fault`.
    pub fn fault(&self, op: Op, times: usize, fault: Fault) {
        self.state.script.add(op, times, fault);
    }

    /// From now on everything is as it should be.
    pub fn mend(&self) {
        self.state.script.clear();
    }

    /// Requests without a signature are served, too.
    pub fn make_public(&self) {
        *self.state.public.lock().unwrap() = true;
    }

    /// Everything that arrived since the last call of this.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// Everything of one kind that arrived since the last [`Server::take`].
    pub fn seen(&self, op: Op) -> Vec<Seen> {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.op == op).cloned().collect()
    }

    pub fn count(&self, op: Op) -> usize {
        self.seen(op).len()
    }

    /// Connections since it was started.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// The most requests that were ever in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(SeqCst)
    }

    /// Where an object lies on this machine.
    pub fn file(&self, key: &str) -> PathBuf {
        self.state.root.join(BUCKET).join(key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        state.connections.fetch_add(1, SeqCst);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(Arc::clone(&state), request));
            // A client that was killed, or a fault that closes the connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// One request in flight. It counts until its answer begins: a client that sends another request
/// before would hold more than one.
struct InFlight(Arc<State>);

impl InFlight {
    fn new(state: &Arc<State>) -> Self {
        let now = state.in_flight.fetch_add(1, SeqCst) + 1;
        state.most_in_flight.fetch_max(now, SeqCst);
        InFlight(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

async fn answer(state: Arc<State>, request: http::Request<Incoming>) -> Result<Response<Body>, StdError> {
    let _in_flight = InFlight::new(&state);
    let seen = Seen::new(request.method(), request.uri(), request.headers());
    state.seen.lock().unwrap().push(seen.clone());
    match state.script.next(seen.op) {
        Some(fault) => fault.meet(&state, seen, request.map(Body::from)).await,
        None => state.serve(&seen, request.map(Body::from)).await,
    }
}

impl State {
    /// As a service does that is well.
    pub async fn serve(&self, seen: &Seen, request: http::Request<Body>) -> Result<Response<Body>, StdError> {
        let signed = seen.headers.contains_key("authorization");
        let service = if !signed && *self.public.lock().unwrap() { &self.anonymous } else { &self.signed };
        let bucket = seen.uri.path().split('/').nth(1).unwrap_or_default();
        if signed && !bucket.is_empty() && !self.root.join(bucket).is_dir() {
            drain(request.into_body()).await?;
            return Ok(refusal(404, "NoSuchBucket"));
        }
        if let Some(id) = seen.query("uploadId")
            && !self.root.join(format!(".upload-{id}.json")).exists()
        {
            drain(request.into_body()).await?;
            return Ok(refusal(404, "NoSuchUpload"));
        }
        Ok(service.call(request).await?)
    }
}

/// Read what the client sends, so that it reads the answer.
pub async fn drain(body: Body) -> Result<(), StdError> {
    http_body_util::BodyExt::collect(body).await.map(drop)
}
