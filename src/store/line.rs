//! The line to an S3 service: an HTTP connector that counts requests, keeps the service's clock, and
//! turns refusals into errors that can be told apart.
//!
//! Apart because `object_store` hides what the service said: its error types are private, a missing
//! bucket and a missing key look alike, and `Retry-After` is lost. What this connector returns as an
//! error travels unchanged through the chain of sources.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use http::{HeaderMap, Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use tracing::field::Empty;

use super::answer::{self, Unreadable, is_page};
use super::credentials::Chain;

/// What the service said when it refused a request.
#[derive(Clone, Default, Debug, thiserror::Error)]
#[error("the service answered {status}{}", if code.is_empty() { String::new() } else { format!(" {code}") })]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// S3's `<Code>`, if the answer has one ("Error responses" in the S3 API reference).
    pub code: String,
    /// S3's `<Message>`, where it says more than the code. Of a permission that lacks it names who lacks which; of
    /// anything else nobody shows it.
    pub message: Option<String>,
    /// How long the service asks us to wait.
    pub retry_after: Option<Duration>,
    /// The body was not S3's XML although a body came.
    pub foreign: bool,
    /// The bucket's region, if the service names it: it goes into messages.
    pub region: Option<String>,
    /// Where a redirect leads: scheme and host. Nobody goes there; it goes into messages.
    pub location: Option<String>,
    /// The credentials were over, and others can be had.
    pub renewable: bool,
}

impl Refused {
    fn new(status: StatusCode, code: &str) -> Self {
        Refused { status: status.as_u16(), code: code.to_owned(), ..Refused::default() }
    }
}

/// S3's code for a request that was signed too long ago, or too far ahead.
pub const SKEWED: &str = "RequestTimeTooSkewed";

/// The code of our own for a whole object in answer to a range.
pub const NOT_PARTIAL: &str = "NotPartial";

/// A service that was never reached is tried for this long.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// What is known of one service, shared by all clients of it.
#[derive(Debug)]
pub struct Line {
    requests: AtomicU64,
    /// Seconds by which the service's clock is ahead of ours.
    ahead: AtomicI64,
    answered: AtomicBool,
    first_failure: OnceLock<Instant>,
    /// Where credentials come from, if they can be renewed.
    pub credentials: OnceLock<Arc<Chain>>,
}

impl Line {
    /// Nothing asked yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Line {
            requests: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            answered: AtomicBool::new(false),
            first_failure: OnceLock::new(),
            credentials: OnceLock::new(),
        })
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Now, by the service's clock (its last `Date` header; ours before the first answer).
    pub fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
    }

    /// Seconds by which the service's clock is ahead of ours, if it has answered.
    pub fn ahead(&self) -> Option<i64> {
        self.answered.load(Ordering::Relaxed).then(|| self.ahead.load(Ordering::Relaxed))
    }

    /// Whether there was never an answer, although it was tried for a while: then it is no outage, but
    /// no network, or an endpoint where nobody is.
    pub fn is_dead(&self) -> bool {
        !self.answered.load(Ordering::Relaxed) && self.first_failure.get().is_some_and(|at| at.elapsed() > FIRST_ANSWER)
    }

    /// Whether the service's clock and ours differ by more than S3 accepts ("Signing and authenticating
    /// REST requests" in the S3 user guide).
    fn is_skewed(&self) -> bool {
        self.ahead.load(Ordering::Relaxed).unsigned_abs() > 15 * 60
    }

    fn note_date(&self, headers: &HeaderMap) {
        let date =
            headers.get(http::header::DATE).and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        if let Some(date) = date {
            let own = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
            self.ahead.store(date.timestamp() - own, Ordering::Relaxed);
        }
    }
}

/// Gives out the one client that it was made with, watched by a line.
#[derive(Clone, Debug)]
pub struct LineConnector(HttpClient);

impl LineConnector {
    /// What `client` is asked, `line` hears of.
    pub fn new(client: HttpClient, line: &Arc<Line>) -> Self {
        LineConnector(HttpClient::new(Watched { client, line: Arc::clone(line) }))
    }

    /// The client itself.
    pub fn into_client(self) -> HttpClient {
        self.0
    }
}

impl HttpConnector for LineConnector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    line: Arc<Line>,
}

/// How long the answer to a request may take, as far as it is not content. A small write has its
/// deadline from its caller, by its length; the head of a read is under the client's own.
fn deadline(method: &Method, query: &str) -> Option<Duration> {
    let seconds = match *method {
        Method::GET if is_listing(query) => 120,
        Method::GET | Method::PUT => return None,
        // S3 may take minutes to put thousands of parts together ("CompleteMultipartUpload").
        Method::POST if query.contains("uploadId=") => 300,
        Method::POST if query.contains("delete") => 120,
        _ => 60,
    };
    Some(Duration::from_secs(seconds))
}

/// ListObjectsV2 or ListMultipartUploads.
fn is_listing(query: &str) -> bool {
    query.contains("list-type=2") || query.split('&').any(|pair| pair == "uploads" || pair == "uploads=")
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match deadline(request.method(), request.uri().query().unwrap_or_default()) {
            None => self.exchange(request).await,
            Some(limit) => match tokio::time::timeout(limit, self.exchange(request)).await {
                Ok(answered) => answered,
                Err(_) => Err(Unreadable::TooLate(limit).into()),
            },
        }
    }
}

impl Watched {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.line.requests.fetch_add(1, Ordering::Relaxed);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let ranged = request.headers().contains_key(http::header::RANGE);
        let listing = method == Method::GET && is_listing(request.uri().query().unwrap_or_default());
        let signed_by = credential(request.headers());
        // The path alone: neither query nor headers, in which credentials are.
        let (title, sent) = (method.as_str(), request.body().content_length() as u64);
        let span = tracing::debug_span!("request", title, path, sent, status = Empty, received = Empty);
        let response = self.client.execute(request).await.inspect_err(|_| {
            self.line.first_failure.get_or_init(Instant::now);
        })?;
        self.line.answered.store(true, Ordering::Relaxed);
        tracing::debug!("{method} {path}: {}", response.status());
        span.record("status", u64::from(response.status().as_u16()));
        if let Some(received) = content_length(response.headers()).filter(|_| method != Method::HEAD) {
            span.record("received", received);
        }
        self.line.note_date(response.headers());
        let status = response.status();
        // Where there is no body, its type says nothing: moto answers a missing key and an abort so.
        let empty = status == StatusCode::NO_CONTENT || (method == Method::HEAD && !status.is_success());
        let page = is_page(response.headers()) && !empty;
        if status.is_success() && page {
            let refused = Refused { foreign: true, ..Refused::new(status, "") };
            return Err(HttpError::new(HttpErrorKind::Unknown, refused));
        }
        if ranged && status == StatusCode::OK {
            // object_store would only say "Generic error" (s3-servers.md: rclone answers ranges so).
            return Err(HttpError::new(HttpErrorKind::Unknown, Refused::new(status, NOT_PARTIAL)));
        }
        if status == StatusCode::PARTIAL_CONTENT && !answer::range_is_sane(response.headers()) {
            return Err(Unreadable::Range.into());
        }
        if status == StatusCode::OK && (listing || method == Method::POST) {
            return document(listing, response).await;
        }
        if status.is_success() || status == StatusCode::NOT_MODIFIED || status == StatusCode::PRECONDITION_FAILED {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = if method == Method::HEAD { Bytes::new() } else { answer::refusal(body).await? };
        let code = answer::code(&body);
        let foreign = code.is_none() && (page || !body.is_empty());
        // A missing key is an ordinary answer, which object_store knows; a missing bucket or upload is not.
        let special = foreign || matches!(code.as_deref(), Some("NoSuchBucket" | "NoSuchUpload"));
        if status == StatusCode::NOT_FOUND && !special {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let mut refused = Refused::new(status, code.as_deref().unwrap_or_default());
        if status == StatusCode::FORBIDDEN && code.is_none() && !foreign && self.line.is_skewed() {
            // To HEAD no code can be told.
            refused.code = SKEWED.to_owned();
        }
        refused.message = answer::message(&body);
        refused.retry_after = answer::retry_after(&parts.headers);
        refused.foreign = foreign;
        refused.region = answer::region(&parts.headers, &body);
        refused.location = answer::location(&parts.headers).filter(|_| status.is_redirection());
        // A token that is revoked, or that ends before it should by a clock that is off.
        if matches!(refused.code.as_str(), "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")
            && let (Some(chain), Some(name)) = (self.line.credentials.get(), signed_by)
        {
            refused.renewable = chain.reject(&name).await;
        }
        Err(HttpError::new(HttpErrorKind::Unknown, refused))
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// By what the credential of a signed request is known: its session token, else its key id.
fn credential(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = || text("authorization")?.split_once("Credential=")?.1.split_once('/').map(|(key, _)| key);
    text("x-amz-security-token").or_else(key).map(str::to_owned)
}

/// S3 says 200 before it knows, and may report a failure in the body (CompleteMultipartUpload). And
/// object_store would take any document that is no list for an empty one.
async fn document(listing: bool, response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let body = answer::whole(body, if listing { answer::PAGE } else { answer::RESULT }).await?;
    let root = answer::root(&body)?;
    let is_list = matches!(root.as_deref(), Some(b"ListBucketResult" | b"ListMultipartUploadsResult"));
    // A DeleteResult names a code for each key that it refuses: that is no failure of the request.
    if root.as_deref() == Some(b"Error") || (listing && !is_list) {
        let code = answer::code(&body);
        let foreign = listing && code.is_none();
        let message = answer::message(&body);
        let refused = Refused { foreign, message, ..Refused::new(status, &code.unwrap_or_default()) };
        return Err(HttpError::new(HttpErrorKind::Unknown, refused));
    }
    Ok(HttpResponse::from_parts(parts, body.into()))
}
