//! An S3 service for tests: `s3s` and `s3s-fs` in this process, HTTP over a socket on 127.0.0.1,
//! signatures checked; or a service that the environment names (`upstream`).
//!
//! In front of it stands a thin layer that writes down every request, provokes what `fault` scripts,
//! and answers as real services do where s3s-fs does not (NoSuchBucket, NoSuchUpload).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, StdError};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::fault::{Fault, Script, refusal};
use super::upstream::{Line, Upstream};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Key, secret and session token of credentials that end, which the service in this process knows, too. It takes any
/// token: tests look which one came.
pub const TEMPORARY: [(&str, &str, &str); 2] =
    [("ASIAFIRST", "the first secret", "the-first-token"), ("ASIASECOND", "the second secret", "the-second-token")];
/// Of the service in this process.
pub const BUCKET: &str = "team-bucket";

/// Who takes the service for his proxy finds it under this name, and each bucket under one of its own.
pub const DOMAIN: &str = "s3.example.test";

/// S3's operations, as far as s3lfs uses them. Those on objects mean keys below `assets/`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    ListParts,
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
    pub method: Method,
    /// With the bucket in its path, wherever the client named it.
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The object's key (without what a URL escapes: no test needs that).
    pub fn key(&self) -> &str {
        self.uri.path().splitn(3, '/').nth(2).unwrap_or_default()
    }

    /// One of the parameters in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut pairs =
            self.uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn new(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut seen = Seen { op: Op::Other, method: method.clone(), uri: uri.clone(), headers: headers.clone() };
        let upload = seen.query("uploadId").is_some();
        let key = uri.path().split('/').nth(2).is_some_and(|key| !key.is_empty());
        seen.op = match method.as_str() {
            "GET" if !key && seen.query("uploads").is_some() => Op::ListUploads,
            "GET" if !key => Op::List,
            "GET" | "PUT" if uri.path().contains("/repositories/") => Op::Registration,
            "GET" if upload => Op::ListParts,
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
    upstream: Option<Upstream>,
    pub script: Script,
    signed: S3Service,
    virtual_hosted: S3Service,
    anonymous: S3Service,
    public: Mutex<bool>,
    seen: Mutex<Vec<Seen>>,
    /// Bytes of bodies without an end.
    pub sent: Arc<AtomicUsize>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// Of each kind: how many are in flight, and the most that were.
    at_once: Mutex<BTreeMap<Op, (usize, usize)>>,
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
    /// With one bucket, empty.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let fs = || FileSystem::new(root.path()).unwrap();
        let mut signed = S3ServiceBuilder::new(fs());
        let mut known = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        for (id, secret, _) in TEMPORARY {
            known.register(id.into(), secret.into());
        }
        signed.set_auth(known);
        let mut virtual_hosted = S3ServiceBuilder::new(fs());
        virtual_hosted.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        virtual_hosted.set_host(SingleDomain::new(DOMAIN).unwrap());
        let state = Arc::new(State {
            root: root.path().to_owned(),
            upstream: Upstream::named(),
            script: Script::default(),
            signed: signed.build(),
            virtual_hosted: virtual_hosted.build(),
            anonymous: S3ServiceBuilder::new(fs()).build(),
            public: Mutex::new(false),
            seen: Mutex::default(),
            sent: Arc::default(),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            at_once: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        if let Some(upstream) = &state.upstream {
            runtime.block_on(upstream.make_bucket());
        }
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Some(runtime.spawn(accept(listener, Arc::clone(&state))));
        Server { state, address, accepting, parked: None, runtime, _root: root }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn bucket(&self) -> &str {
        self.state.upstream.as_ref().map_or(BUCKET, |upstream| upstream.bucket.as_str())
    }

    /// Access key and secret that the service knows.
    pub fn credentials(&self) -> (&str, &str) {
        self.state.upstream.as_ref().map_or((ACCESS_KEY, SECRET_KEY), |up| (&up.access_key, &up.secret_key))
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
        self.state.at_once.lock().unwrap().values_mut().for_each(|(now, most)| *most = *now);
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// Everything of one kind that arrived since the last [`Server::take`].
    pub fn seen(&self, op: Op) -> Vec<Seen> {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.op == op).cloned().collect()
    }

    pub fn count(&self, op: Op) -> usize {
        self.seen(op).len()
    }

    /// Bytes that were taken of bodies without an end.
    pub fn sent_without_end(&self) -> usize {
        self.state.sent.load(SeqCst)
    }

    /// Connections since it was started.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// The most requests that were ever in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(SeqCst)
    }

    /// The bytes of an object, asked of the service itself: no request is counted.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.runtime.block_on(self.state.stored(key))
    }

    /// Put an object into the bucket, past everything that is counted.
    pub fn place(&self, key: &str, bytes: &[u8]) {
        match &self.state.upstream {
            Some(upstream) => self.runtime.block_on(upstream.write(key, bytes)),
            None => {
                let path = self.file(key);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }

    /// Take an object away, in the same way.
    pub fn take_away(&self, key: &str) {
        match &self.state.upstream {
            Some(upstream) => self.runtime.block_on(upstream.delete(key)),
            None => std::fs::remove_file(self.file(key)).unwrap(),
        }
    }

    /// The most requests of one kind that were in flight at once since the last [`Server::take`].
    pub fn most_at_once(&self, op: Op) -> usize {
        self.state.at_once.lock().unwrap().get(&op).map_or(0, |(_, most)| *most)
    }

    /// Where an object lies on this machine.
    pub fn file(&self, key: &str) -> PathBuf {
        assert!(self.state.upstream.is_none(), "this test looks into the files of the service in this process");
        self.state.root.join(BUCKET).join(key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        if let Some(upstream) = &self.state.upstream {
            self.runtime.block_on(upstream.remove_bucket());
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        state.connections.fetch_add(1, SeqCst);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let line = Arc::new(Line::default());
            let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(Arc::clone(&line));
                answer(Arc::clone(&state), request)
            });
            // A client that was killed, or a fault that closes the connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// One request in flight. It counts until its answer begins: a client that sends another request
/// before would hold more than one.
struct InFlight(Arc<State>, Op);

impl InFlight {
    fn new(state: &Arc<State>, op: Op) -> Self {
        let now = state.in_flight.fetch_add(1, SeqCst) + 1;
        state.most_in_flight.fetch_max(now, SeqCst);
        let mut at_once = state.at_once.lock().unwrap();
        let (now, most) = at_once.entry(op).or_default();
        *now += 1;
        *most = *now.max(most);
        InFlight(Arc::clone(state), op)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
        self.0.at_once.lock().unwrap().entry(self.1).or_default().0 -= 1;
    }
}

/// What a client sends to a proxy names the host in its target (RFC 9112, 3.2.2): a service never sees
/// that.
fn without_authority<T>(mut request: http::Request<T>) -> http::Request<T> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().unwrap();
    request
}

/// `/key` at `bucket.DOMAIN` is `/bucket/key` ("Virtual hosting of buckets" in the S3 user guide).
fn with_bucket(uri: &Uri, headers: &HeaderMap) -> Uri {
    let host = headers.get("host").map_or("", |host| host.to_str().unwrap());
    match host.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('.')) {
        Some(bucket) => format!("/{bucket}{uri}").parse().unwrap(),
        None => uri.clone(),
    }
}

async fn answer(state: Arc<State>, request: http::Request<Incoming>) -> Result<Response<Body>, StdError> {
    let request = without_authority(request);
    let seen = Seen::new(request.method(), &with_bucket(request.uri(), request.headers()), request.headers());
    let _in_flight = InFlight::new(&state, seen.op);
    state.seen.lock().unwrap().push(seen.clone());
    match state.script.next(seen.op) {
        Some(fault) => fault.meet(&state, seen, request.map(Body::from)).await,
        None => state.serve(&seen, request.map(Body::from)).await,
    }
}

impl State {
    /// As a service does that is well.
    pub async fn serve(&self, seen: &Seen, request: http::Request<Body>) -> Result<Response<Body>, StdError> {
        if let Some(upstream) = &self.upstream {
            let line: Arc<Line> = request.extensions().get().cloned().expect("the connection put it there");
            return upstream.pass(&line, request).await;
        }
        let signed = seen.headers.contains_key("authorization");
        let service = match seen.header("host") {
            Some(host) if host.ends_with(DOMAIN) => &self.virtual_hosted,
            _ if !signed && *self.public.lock().unwrap() => &self.anonymous,
            _ => &self.signed,
        };
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

    /// The bytes of an object.
    pub async fn stored(&self, key: &str) -> Option<Vec<u8>> {
        match &self.upstream {
            Some(upstream) => upstream.read(key).await,
            None => std::fs::read(self.root.join(BUCKET).join(key)).ok(),
        }
    }

    /// Throw a multipart upload away.
    pub async fn forget(&self, key: &str, upload_id: &str) {
        match &self.upstream {
            Some(upstream) => upstream.forget(key, upload_id).await,
            None => std::fs::remove_file(self.root.join(format!(".upload-{upload_id}.json"))).unwrap(),
        }
    }
}

/// Read what the client sends, so that it reads the answer.
pub async fn drain(body: Body) -> Result<(), StdError> {
    http_body_util::BodyExt::collect(body).await.map(drop)
}
