//! Requests that `object_store` does not have: signed as a URL by its `Signer`, and the XML of their answers.
//!
//! Apart because the questions differ (unfinished uploads, the parts of one) and the way of asking does not.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};

use super::connect::S3;
use super::{Kind, Store, StoreError};

/// A request without a body.
pub(super) struct Question<'a> {
    pub method: Method,
    pub at: &'a Path,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
}

impl<'a> Question<'a> {
    /// A GET of `at` with this query.
    pub fn get(at: &'a Path, query: Vec<(String, String)>) -> Self {
        Self { method: Method::GET, at, query, headers: HeaderMap::new() }
    }
}

impl Store {
    /// The body of the answer; `what` is for messages: what is attempted, on which key.
    pub(super) async fn ask_by_url(
        &self,
        s3: &S3,
        question: Question<'_>,
        what: (&'static str, &Path),
    ) -> Result<Bytes, StoreError> {
        let (action, key) = what;
        let failed = |e: object_store::Error| match self.error(action, key, &e) {
            // 501 means the request itself here.
            e if e.kind() == Kind::Encryption => {
                StoreError::about_key(action, key, &self.url, Kind::Failed, "the service has no such request")
            }
            e => e,
        };
        let mut options = SignedUrlOptions::default();
        options.extra_query = question.query;
        options.signed_headers = question.headers.clone();
        let (valid, method) = (Duration::from_secs(300), question.method.clone());
        let url = s3.reads.signed_url_opts(method, question.at, valid, &options).await.map_err(failed)?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = question.method;
        *request.headers_mut() = question.headers;
        *request.uri_mut() = url.as_str().parse().expect("a signed URL is a URI");
        let generic = |e: object_store::client::HttpError| {
            failed(object_store::Error::Generic { store: "S3", source: Box::new(e) })
        };
        let response = s3.others.execute(request).await.map_err(generic)?;
        if !response.status().is_success() {
            let why = format!("the service answered {}", response.status());
            return Err(StoreError::about_key(action, key, &self.url, Kind::Failed, why));
        }
        // It was read and measured by the line.
        response.into_body().bytes().await.map_err(generic)
    }
}

/// Read a document whose outermost element is `root`: `visit` gets the way to each element beneath it, when it begins
/// (`None`), and when it ends, with its text. `None`: it is another document, or none.
pub(super) fn read_xml(body: &[u8], root: &[u8], mut visit: impl FnMut(&[&[u8]], Option<&str>)) -> Option<()> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut within: Vec<Vec<u8>> = Vec::new();
    let mut is_such = false;
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                within.push(tag.local_name().as_ref().to_vec());
                if within.len() > 8 {
                    return None;
                }
                is_such |= within == [root.to_vec()];
                visit(&way(&within), None);
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode().ok()?),
            Event::GeneralRef(entity) => {
                text.push_str(quick_xml::escape::resolve_predefined_entity(&entity.decode().ok()?)?)
            }
            Event::End(_) => {
                visit(&way(&within), Some(&text));
                within.pop();
            }
            Event::Eof => return (is_such && within.is_empty()).then_some(()),
            _ => {}
        }
    }
}

fn way(within: &[Vec<u8>]) -> Vec<&[u8]> {
    within.iter().skip(1).map(Vec::as_slice).collect()
}
