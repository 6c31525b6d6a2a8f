//! A real service behind the front, where the environment names one: then every test of this
//! directory that does not look into the service's own files runs against it.
//!
//! `S3LFS_TEST_ENDPOINT=http://127.0.0.1:9000`, with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
//! Each test makes a bucket of its own there; what the service does not remove stays behind.
//! Requests are passed on as they are, the `Host` header included, so their signatures stay valid; each
//! connection of a client has one of its own to the service, whose oddities reach the client.

use std::io::{Read, Write};
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ClientOptions, ObjectStoreExt};
use s3s::{Body, StdError};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// The service, with a new bucket in it.
pub struct Upstream {
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
    address: String,
    client: AmazonS3,
}

/// One connection to the service.
#[derive(Default)]
pub struct Line(Mutex<Option<SendRequest<Body>>>);

/// Whether the tests run against a service that the environment names.
pub fn is_named() -> bool {
    std::env::var_os("S3LFS_TEST_ENDPOINT").is_some()
}

impl Upstream {
    /// The service that the environment names, if it does.
    pub fn named() -> Option<Self> {
        let endpoint = std::env::var("S3LFS_TEST_ENDPOINT").ok()?;
        let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} goes with S3LFS_TEST_ENDPOINT"));
        let (access_key, secret_key) = (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY"));
        let address = endpoint.strip_prefix("http://").expect("plain HTTP: the front passes it on").to_owned();
        let bucket = format!("s3lfs-{}", uuid::Uuid::new_v4());
        let client = AmazonS3Builder::new().with_endpoint(&endpoint).with_bucket_name(&bucket).with_region("us-east-1");
        let client = client.with_access_key_id(&access_key).with_secret_access_key(&secret_key);
        let client = client.with_client_options(ClientOptions::new().with_allow_http(true)).build().unwrap();
        Some(Upstream { bucket, access_key, secret_key, address, client })
    }

    /// Make the bucket.
    pub async fn make_bucket(&self) {
        let answer = self.ask_of_bucket(Method::PUT).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "the bucket {} is made: {answer}", self.bucket);
    }

    /// Throw it away with all that is in it, if the service does that (SeaweedFS does, and would run out
    /// of volumes).
    pub async fn remove_bucket(&self) {
        let _ = self.ask_of_bucket(Method::DELETE).await;
    }

    /// "CreateBucket" and "DeleteBucket" in the S3 API reference; object_store has no calls for them.
    async fn ask_of_bucket(&self, method: Method) -> std::io::Result<String> {
        let url = self.client.signed_url(method.clone(), &Path::ROOT, Duration::from_secs(300)).await.unwrap();
        let (url, address) = (url.to_string(), &self.address);
        let target = url.split_once(address).expect("the URL is one of the service").1;
        let mut socket = std::net::TcpStream::connect(address)?;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n");
        socket.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// An object's bytes, past the front.
    pub async fn read(&self, key: &str) -> Option<Vec<u8>> {
        match self.client.get(&Path::parse(key).unwrap()).await {
            Ok(found) => Some(found.bytes().await.unwrap().to_vec()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(e) => panic!("{key}: {e}"),
        }
    }

    /// Put an object there, past the front.
    pub async fn write(&self, key: &str, bytes: &[u8]) {
        self.client.put(&Path::parse(key).unwrap(), bytes.to_vec().into()).await.unwrap();
    }

    /// Take an object away, past the front.
    pub async fn delete(&self, key: &str) {
        self.client.delete(&Path::parse(key).unwrap()).await.unwrap();
    }

    /// Throw a multipart upload away.
    pub async fn forget(&self, key: &str, upload_id: &str) {
        self.client.abort_multipart(&Path::parse(key).unwrap(), &upload_id.to_owned()).await.unwrap();
    }

    /// Ask the service, and nobody else.
    pub async fn pass(&self, line: &Line, mut request: Request<Body>) -> Result<Response<Body>, StdError> {
        let mut held = line.0.lock().await;
        if held.as_ref().is_none_or(SendRequest::is_closed) {
            let socket = TcpStream::connect(&self.address).await?;
            let (sender, connection) = handshake(TokioIo::new(socket)).await?;
            tokio::spawn(connection);
            *held = Some(sender);
        }
        let sender = held.as_mut().expect("it was just put there");
        sender.ready().await?;
        request.extensions_mut().clear();
        let answer: Response<Incoming> = match sender.send_request(request).await {
            Ok(answer) => answer,
            Err(e) => {
                *held = None;
                return Err(e.into());
            }
        };
        Ok(answer.map(Body::from))
    }
}
