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
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What the service said when it refused a request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the service answered {status}{}", if code.is_empty() { String::new() } else { format!(" {code}") })]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// S3's `<Code>`, if the answer has one ("Error responses" in the S3 API reference).
    pub code: String,
    /// How long the service asks us to wait.
    pub retry_after: Option<Duration>,
    /// The body was not S3's XML although a body came.
    pub foreign: bool,
    /// The bucket's region, if the service names it: it goes into messages.
    pub region: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, code: &str) -> Self {
        let (status, code) = (status.as_u16(), code.to_owned());
        Refused { status, code, retry_after: None, foreign: false, region: None }
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
}

impl Line {
    /// Nothing asked yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Line {
            requests: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            answered: AtomicBool::new(false),
            first_failure: OnceLock::new(),
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

/// Makes the clients of one line.
#[derive(Debug)]
pub struct LineConnector(pub Arc<Line>);

impl HttpConnector for LineConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { client, line: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    line: Arc<Line>,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.line.requests.fetch_add(1, Ordering::Relaxed);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let ranged = request.headers().contains_key(http::header::RANGE);
        let listing = method == Method::GET && request.uri().query().is_some_and(|q| q.contains("list-type=2"));
        let response = self.client.execute(request).await.inspect_err(|_| {
            self.line.first_failure.get_or_init(Instant::now);
        })?;
        self.line.answered.store(true, Ordering::Relaxed);
        tracing::debug!("{method} {path}: {}", response.status());
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
        // S3 completes with 200 and may report a failure in the body (CompleteMultipartUpload).
        if status == StatusCode::OK && method == Method::POST {
            let (parts, body) = response.into_parts();
            let body = body.bytes().await?;
            // A DeleteResult names a code for each key that it refuses: that is no failure of the request.
            if root(&body).as_deref() == Some(b"Error") {
                let code = code(&body).unwrap_or_default();
                return Err(HttpError::new(HttpErrorKind::Unknown, Refused::new(status, &code)));
            }
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        // object_store would take any other document for an empty listing.
        if status == StatusCode::OK && listing {
            let (parts, body) = response.into_parts();
            let body = body.bytes().await?;
            if root(&body).as_deref() != Some(b"ListBucketResult") {
                let code = code(&body);
                let foreign = code.is_none();
                let refused = Refused { foreign, ..Refused::new(status, &code.unwrap_or_default()) };
                return Err(HttpError::new(HttpErrorKind::Unknown, refused));
            }
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        if status.is_success() || status == StatusCode::NOT_MODIFIED || status == StatusCode::PRECONDITION_FAILED {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = if method == Method::HEAD { Bytes::new() } else { body.bytes().await? };
        let code = code(&body);
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
        refused.retry_after = retry_after(&parts.headers);
        refused.foreign = foreign;
        refused.region = region(&parts.headers, &body);
        Err(HttpError::new(HttpErrorKind::Unknown, refused))
    }
}

/// Whether this is a web server's page. S3 answers in XML; an object that was copied in by hand may be
/// HTML, but comes with S3's own headers ("Common response headers" in the S3 API reference).
fn is_page(headers: &HeaderMap) -> bool {
    let html = |kind: &HeaderValue| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
    headers.get(http::header::CONTENT_TYPE).is_some_and(html)
        && !headers.keys().any(|name| name.as_str().starts_with("x-amz-"))
}

/// The name of an XML document's outermost element.
fn root(body: &[u8]) -> Option<Vec<u8>> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(body);
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) => return Some(tag.local_name().as_ref().to_vec()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// The text of `<Error><Code>`. A body that is no such document has none.
fn code(body: &[u8]) -> Option<String> {
    element(body, b"Code")
}

/// Where the bucket is: S3 names it in a header, and for a wrong signature's scope in the document.
fn region(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let named = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok().map(str::to_owned));
    let region = named.or_else(|| element(body, b"Region"))?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ((1..=64).contains(&region.len()) && region.chars().all(legal)).then_some(region)
}

/// The text of the first element of this name.
fn element(body: &[u8], name: &[u8]) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(&body[..body.len().min(64 << 10)]);
    let mut within = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => within.push(tag.local_name().as_ref().to_vec()),
            Event::End(_) => drop(within.pop()),
            Event::Text(text) if within.last().is_some_and(|tag| tag == name) => {
                let text = text.decode().ok()?;
                // It goes into messages: only what a code or a region can be.
                return Some(text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// RFC 9110, 10.2.3: seconds, or a date. Never more than two minutes, whatever the service asks.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(120);
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(text).ok()?;
            Duration::from_secs((at.timestamp() - chrono::Utc::now().timestamp()).max(0).unsigned_abs())
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_s3s_document_and_nowhere_else() {
        let body = br#"<?xml version="1.0"?><Error><Code>NoSuchBucket</Code><Message>x</Message></Error>"#;
        assert_eq!(code(body).as_deref(), Some("NoSuchBucket"));
        assert_eq!(code(b"<html><body>Code</body></html>"), None);
        assert_eq!(
            code(b"<Error><Code>a\x1b[31mb</Code></Error>").as_deref(),
            Some("a31mb"),
            "no escapes reach a terminal"
        );
        assert_eq!(code(b"not xml at all <<<"), None);
        assert_eq!(root(body).as_deref(), Some(&b"Error"[..]));
        assert_eq!(root(b"<DeleteResult><Error><Code>x</Code></Error></DeleteResult>").unwrap(), b"DeleteResult");
        assert_eq!(root(b"<x:ListBucketResult xmlns:x='u'/>").unwrap(), b"ListBucketResult");
        assert_eq!((root(b""), root(b"no document")), (None, None));
    }

    #[test]
    fn waiting_is_as_long_as_asked_within_reason() {
        let headers = |value: &str| HeaderMap::from_iter([(http::header::RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers("3")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&headers("999999")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO), "a past date is now");
        assert_eq!(retry_after(&headers("soon")), None);
    }
}
