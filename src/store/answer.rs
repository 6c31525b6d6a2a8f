//! Answers that are no content: listings, results, error documents. They are read whole, and so they
//! are bounded in bytes, in time and in depth before anything is made of them.
//!
//! Apart because whoever answers may lie (design.md, invariant 6): here its words become a few facts,
//! or an error, and never more memory or time than a real service needs.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};

/// A page of a listing: 1,000 keys of at most 1,024 bytes, each of which XML may write as six.
pub const PAGE: usize = 16 << 20;
/// What a service says of one request.
pub const RESULT: usize = 1 << 20;
/// Of an error document the beginning says enough.
const REFUSAL: usize = 64 << 10;
/// The end of an error document is waited for this long.
const REFUSAL_TIME: Duration = Duration::from_secs(10);
/// S3's documents are four elements deep.
const DEPTH: usize = 32;

/// An answer that is not believed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unreadable {
    /// It does not end where it should.
    #[error("its answer goes on after {0} bytes")]
    TooLong(usize),
    /// It does not end in time.
    #[error("it did not answer within {} seconds", .0.as_secs())]
    TooLate(Duration),
    /// XML that no S3 service sends.
    #[error("its answer is XML that no S3 service sends: {0}")]
    Hostile(&'static str),
    /// A range of bytes that is none.
    #[error("the range that it says it sends is none")]
    Range,
}

impl From<Unreadable> for HttpError {
    fn from(why: Unreadable) -> Self {
        // What comes late may come in time the next time.
        let kind = match why {
            Unreadable::TooLate(_) => HttpErrorKind::Timeout,
            _ => HttpErrorKind::Unknown,
        };
        HttpError::new(kind, why)
    }
}

/// All of a body, which has at most `limit` bytes.
pub async fn whole(body: HttpResponseBody, limit: usize) -> Result<Bytes, HttpError> {
    let (bytes, ended) = up_to(body, limit).await?;
    if ended { Ok(bytes) } else { Err(Unreadable::TooLong(limit).into()) }
}

/// The beginning of a body that explains a refusal.
pub async fn refusal(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    match tokio::time::timeout(REFUSAL_TIME, up_to(body, REFUSAL)).await {
        Ok(read) => read.map(|(bytes, _)| bytes),
        Err(_) => Err(Unreadable::TooLate(REFUSAL_TIME).into()),
    }
}

async fn up_to(body: HttpResponseBody, limit: usize) -> Result<(Bytes, bool), HttpError> {
    let mut read = BytesMut::new();
    let mut pieces = body.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let room = limit - read.len();
        read.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((read.freeze(), false));
        }
    }
    Ok((read.freeze(), true))
}

/// The name of an XML document's outermost element; `None`: it has none.
pub fn root(body: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut root = None;
    let mut depth = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                root.get_or_insert_with(|| tag.local_name().as_ref().to_vec());
                depth += 1;
                if depth > DEPTH {
                    return Err(Unreadable::Hostile("its elements are too deep"));
                }
            }
            Ok(Event::Empty(tag)) => drop(root.get_or_insert_with(|| tag.local_name().as_ref().to_vec())),
            Ok(Event::End(_)) => depth -= 1,
            // Where entities are declared, they can be bombs. (They would not be resolved.) HTML has one too.
            Ok(Event::DocType(text)) if text.contains(&b'[') => {
                return Err(Unreadable::Hostile("it declares entities"));
            }
            // Whoever makes something of a document that is cut short finds that out.
            Ok(Event::Eof) | Err(_) => return Ok(root),
            Ok(_) => {}
        }
    }
}

/// The text of `<Error><Code>`. A body that is no such document has none.
pub fn code(body: &[u8]) -> Option<String> {
    element(body, b"Code")
}

/// The text of `<Error><Message>`, on one line, if it says more than the code. The service made it, and it goes into
/// messages: no more of it than a line or two, and no word that could be a key or a token which it was sent.
pub fn message(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 400;
    const LONGEST_WORD: usize = 36;
    let text = text_of(body, b"Message")?;
    let is_said = |word: &str| word.chars().count() <= LONGEST_WORD || word.contains("arn:");
    let words: Vec<&str> = text.split_whitespace().map(|word| if is_said(word) { word } else { "..." }).collect();
    let words: String = words.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let words = words.trim_end_matches('.');
    let is_news = !words.is_empty() && Some(letters(words)) != code(body).map(|code| letters(&code));
    is_news.then(|| words.to_owned())
}

/// Where the bucket is: S3 names it in a header, and for a wrong signature's scope in the document.
pub fn region(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let named = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok().map(str::to_owned));
    let region = named.or_else(|| element(body, b"Region"))?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ((1..=64).contains(&region.len()) && region.chars().all(legal)).then_some(region)
}

/// Scheme and host that an answer sends us to. The rest of the URL may hold a signature.
pub fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(http::header::LOCATION)?.to_str().ok()?;
    let uri: http::Uri = location.parse().ok()?;
    let host = uri.host().filter(|host| host.len() <= 255)?;
    Some(format!("{}://{host}", uri.scheme_str()?))
}

/// The text of the first element of this name. It goes into messages: only what a code or a region can be.
fn element(body: &[u8], name: &[u8]) -> Option<String> {
    let text = text_of(body, name)?;
    Some(text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect())
}

/// All text of the first element of this name that has any.
fn text_of(body: &[u8], name: &[u8]) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(&body[..body.len().min(REFUSAL)]);
    let mut within = Vec::new();
    let mut found = String::new();
    loop {
        let is_it = within.last().is_some_and(|tag| tag == name);
        match reader.read_event().ok()? {
            Event::Start(tag) if within.len() < DEPTH => within.push(tag.local_name().as_ref().to_vec()),
            Event::Start(_) => return None,
            Event::End(_) if is_it && !found.is_empty() => return Some(found),
            Event::End(_) => drop(within.pop()),
            Event::Text(text) if is_it => found.push_str(&text.decode().ok()?),
            // `&quot;` and its like; others would have to be declared.
            Event::GeneralRef(reference) if is_it => {
                let reference = reference.decode().ok()?;
                found.push_str(quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Whether this is a web server's page. S3 answers in XML; an object that was copied in by hand may be
/// HTML, but comes with S3's own headers ("Common response headers" in the S3 API reference), or with those of
/// AWS's other services (`x-amzn-requestid`), as moto says them.
pub fn is_page(headers: &HeaderMap) -> bool {
    let html = |kind: &HeaderValue| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
    headers.get(http::header::CONTENT_TYPE).is_some_and(html)
        && !headers.keys().any(|name| name.as_str().starts_with("x-amz"))
}

/// RFC 9110, 10.2.3: seconds, or a date. Never more than two minutes, whatever the service asks.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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

/// RFC 9110, 14.4: `bytes 0-4/10`. `object_store` counts one beyond the last number, whatever that is.
pub fn range_is_sane(headers: &HeaderMap) -> bool {
    let sane = |text: &str| {
        let (range, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| text.parse::<u64>().ok();
        Some(number(first)? <= number(last)? && number(last)? < number(whole)?)
    };
    let said = headers.get(http::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    said.and_then(sane).unwrap_or(false)
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
        assert_eq!(message(body).as_deref(), Some("x"));
        let said = |text: &str| message(format!("<Error><Code>AccessDenied</Code>{text}</Error>").as_bytes());
        assert_eq!(said("<Message>Access Denied.</Message>"), None, "the code says so");
        assert_eq!(said("<Message></Message>"), None);
        let why =
            "<Message>User: arn:aws:iam::1:user/x is\n not \x1b[31mauthorized: &quot;s3:PutObject&quot;.</Message>";
        assert_eq!(said(why).as_deref(), Some("User: arn:aws:iam::1:user/x is not [31mauthorized: \"s3:PutObject\""));
        assert_eq!(said(&format!("<Message>{}</Message>", "xyz ".repeat(1000))).map(|text| text.len()), Some(400));
        let token = "FwoGZXIvYXdzEBYaDHqa0AP1J0PYHZbCBCKCAWPTGd3J7";
        assert_eq!(
            said(&format!("<Message>The token {token} is not here</Message>")).unwrap(),
            "The token ... is not here"
        );
        let name = |body: &[u8]| root(body).unwrap().map(|name| String::from_utf8(name).unwrap());
        assert_eq!(name(body).as_deref(), Some("Error"));
        assert_eq!(name(b"<DeleteResult><Error><Code>x</Code></Error></DeleteResult>").unwrap(), "DeleteResult");
        assert_eq!(name(b"<x:ListBucketResult xmlns:x='u'/>").unwrap(), "ListBucketResult");
        assert_eq!(name(b"<a><b>").as_deref(), Some("a"), "what is cut short is found out later");
        assert_eq!((name(b""), name(b"no document")), (None, None));
    }

    #[test]
    fn bombs_are_no_documents() {
        let deep = b"<a>".repeat(100_000);
        assert!(root(&deep).is_err() && code(&deep).is_none());
        let declares = br#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>"#;
        assert!(root(declares).is_err());
        assert_eq!(code(b"<Error><Code>&b;</Code></Error>"), None, "nothing is resolved");
    }

    #[test]
    fn waiting_is_as_long_as_asked_within_reason() {
        let headers = |value: &str| HeaderMap::from_iter([(http::header::RETRY_AFTER, value.parse().unwrap())]);
        assert_eq!(retry_after(&headers("3")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&headers("999999")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO), "a past date is now");
        assert_eq!(retry_after(&headers("soon")), None);
    }

    #[test]
    fn a_range_that_is_none_is_seen() {
        let headers = |value: &str| HeaderMap::from_iter([(http::header::CONTENT_RANGE, value.parse().unwrap())]);
        assert!(range_is_sane(&headers("bytes 0-4/5")));
        for wrong in ["bytes 0-18446744073709551615/5", "bytes 5-4/9", "bytes 0-5/5", "bytes */5", "x", "bytes 0-4/*"] {
            assert!(!range_is_sane(&headers(wrong)), "{wrong}");
        }
    }
}
