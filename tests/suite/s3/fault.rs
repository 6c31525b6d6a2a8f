//! What can go wrong with a service, on purpose.
//!
//! Apart from `server` because this is the list to read when asking what the tests provoke.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use s3s::{Body, StdError};
use tokio::sync::Barrier;

use super::server::{BUCKET, Op, Seen, State, drain};

/// What a request meets instead of its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and S3's code, and nothing is done.
    Refuse(u16, &'static str),
    /// As [`Fault::Refuse`], and the region of the bucket is named, in a header and in the document.
    Elsewhere(u16, &'static str, &'static str),
    /// This status, which sends the request to another host.
    Redirect(u16, String),
    /// 403, since the service's clock is an hour ahead.
    Skewed,
    /// 503 SlowDown that asks to wait so many seconds.
    SlowDown(u32),
    /// A web server answers with its page.
    Html(u16),
    /// The connection is closed without an answer, and nothing is done.
    Drop,
    /// It is done, but the connection is closed without an answer.
    LoseAnswer,
    /// The body of the answer ends half way.
    Truncate,
    /// The body of the answer ends behind so many bytes.
    BreakOff(usize),
    /// This much of the body of the answer comes, and then nothing any more.
    Stall(usize),
    /// The body of the answer begins as it should, and goes on (for 512 MiB, which is as good as for ever).
    Endless,
    /// This status, and a body of no sense that goes on as long.
    EndlessRefusal(u16),
    /// The answer is about another object, whose key is given.
    Swapped(String),
    /// It says that it sends another range (`Content-Range`), or names no version (`ETag`).
    Header(&'static str, Option<&'static str>),
    /// There is never an answer.
    Hang,
    /// None: it lets the first requests pass, before the next rule.
    Nothing,
    /// It takes longer.
    Delay(Duration),
    /// 200, with an `<Error>` document, and nothing is done.
    ErrorIn200(&'static str),
    /// A range is answered with the whole object.
    WholeObject,
    /// One byte in the middle of the answer is another one.
    WrongByte,
    /// One byte in the middle of the request is another one.
    DamagedOnTheWay,
    /// 200 with this body, and nothing is done.
    Answer(String),
    /// Something happens in the bucket (whose directory is given) just before.
    Meanwhile(fn(&Path)),
    /// It is not looked at until this file is in the bucket's directory.
    Until(&'static str),
    /// It waits until as many requests have come as the barrier wants; alone, it gets no answer in the end.
    Together(Arc<Barrier>),
    /// The multipart upload is thrown away just before.
    ForgetUpload,
    /// This part is gone, which is said when all are to be put together.
    LosePart(usize),
}

/// Which requests meet which faults: the first rule for an operation that is not used up.
#[derive(Default)]
pub struct Script(Mutex<Vec<(Op, usize, Fault)>>);

impl Script {
    pub fn add(&self, op: Op, times: usize, fault: Fault) {
        self.0.lock().unwrap().push((op, times, fault));
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub fn next(&self, op: Op) -> Option<Fault> {
        let mut rules = self.0.lock().unwrap();
        let (_, times, fault) = rules.iter_mut().find(|(of, times, _)| *of == op && *times > 0)?;
        *times -= 1;
        Some(fault.clone())
    }
}

/// S3's `<Error>` document ("Error responses" in the S3 API reference).
fn document(code: &str) -> String {
    let message = match code {
        "AccessDenied" => {
            "User: arn:aws:iam::123456789012:user/me is not authorized to perform: s3:Some&quot;Action".to_owned()
        }
        code => format!("The secret body of {code}"),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
}

/// A refusal as S3 words it.
pub fn refusal(status: u16, code: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(document(code)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    response
}

/// These bytes, and then spaces, which XML allows; what was taken is counted.
fn endless(first: Bytes, sent: &Arc<AtomicUsize>) -> Body {
    const PIECE: usize = 64 << 10;
    let sent = Arc::clone(sent);
    let spaces = Bytes::from(vec![b' '; PIECE]);
    let pieces = std::iter::once(first).chain(std::iter::repeat_n(spaces, (512 << 20) / PIECE));
    let pieces = pieces.map(move |piece| {
        sent.fetch_add(piece.len(), SeqCst);
        Ok::<_, StdError>(Frame::data(piece))
    });
    Body::http_body_unsync(StreamBody::new(stream::iter(pieces)))
}

impl Fault {
    pub async fn meet(
        self,
        state: &State,
        seen: Seen,
        request: http::Request<Body>,
    ) -> Result<Response<Body>, StdError> {
        let without_service = matches!(
            self,
            Fault::Refuse(..)
                | Fault::Elsewhere(..)
                | Fault::Redirect(..)
                | Fault::Skewed
                | Fault::SlowDown(_)
                | Fault::Html(_)
                | Fault::Answer(_)
                | Fault::ErrorIn200(_)
                | Fault::EndlessRefusal(_)
        );
        if without_service {
            drain(request.into_body()).await?;
            return Ok(self.answer(seen.op, &state.sent));
        }
        match self {
            Fault::Swapped(key) => {
                let (mut parts, _) = state.serve(&seen, request).await?.into_parts();
                let other = Bytes::from(state.stored(&key).await.unwrap());
                if let Some(range) = parts.headers.get_mut(CONTENT_RANGE) {
                    *range = format!("bytes 0-{}/{}", other.len() - 1, other.len()).parse().unwrap();
                }
                parts.headers.insert(CONTENT_LENGTH, other.len().into());
                Ok(Response::from_parts(parts, other.into()))
            }
            Fault::Header(name, value) => {
                let mut response = state.serve(&seen, request).await?;
                match value {
                    Some(value) => drop(response.headers_mut().insert(name, HeaderValue::from_static(value))),
                    None => drop(response.headers_mut().remove(name)),
                }
                Ok(response)
            }
            Fault::Endless => {
                let (mut parts, body) = state.serve(&seen, request).await?.into_parts();
                let bytes = body.collect().await?.to_bytes();
                parts.headers.remove(CONTENT_LENGTH);
                if matches!(seen.op, Op::Get | Op::Registration) {
                    // Where it has to be told, it is a lie.
                    parts.headers.insert(CONTENT_LENGTH, (1_u64 << 40).into());
                }
                Ok(Response::from_parts(parts, endless(bytes, &state.sent)))
            }
            Fault::Drop => Err("the connection is closed".into()),
            Fault::Hang => std::future::pending().await,
            Fault::Nothing => state.serve(&seen, request).await,
            Fault::Delay(by) => {
                tokio::time::sleep(by).await;
                state.serve(&seen, request).await
            }
            Fault::Meanwhile(happens) => {
                happens(&state.root.join(BUCKET));
                state.serve(&seen, request).await
            }
            Fault::Until(file) => {
                while !state.root.join(BUCKET).join(file).exists() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                state.serve(&seen, request).await
            }
            Fault::Together(barrier) => {
                let all = tokio::time::timeout(Duration::from_secs(60), barrier.wait()).await;
                all.map_err(|_| "it stayed alone")?;
                // Long enough for one that should not be on its way to arrive.
                tokio::time::sleep(Duration::from_millis(100)).await;
                state.serve(&seen, request).await
            }
            Fault::ForgetUpload => {
                let id = seen.query("uploadId").expect("an operation on an upload");
                let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
                state.forget(seen.key(), &id).await;
                state.serve(&seen, request).await
            }
            Fault::LosePart(number) => {
                let id = seen.query("uploadId").expect("an operation on an upload");
                let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
                std::fs::remove_file(state.root.join(format!(".upload_id-{id}.part-{number}"))).unwrap();
                drain(request.into_body()).await?;
                Ok(refusal(400, "InvalidPart"))
            }
            Fault::DamagedOnTheWay => {
                let (parts, body) = request.into_parts();
                let mut wrong = body.collect().await?.to_bytes().to_vec();
                let middle = wrong.len() / 2;
                wrong[middle] ^= 0x20;
                state.serve(&seen, http::Request::from_parts(parts, wrong.into())).await
            }
            _ => {
                let (mut parts, body) = state.serve(&seen, request).await?.into_parts();
                let bytes = body.collect().await?.to_bytes();
                match self {
                    Fault::LoseAnswer => Err("the answer is lost".into()),
                    Fault::Truncate | Fault::BreakOff(_) => {
                        let end = if let Fault::BreakOff(end) = self { end.min(bytes.len()) } else { bytes.len() / 2 };
                        parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
                        let first = Ok(Frame::data(bytes.slice(..end)));
                        let pieces = stream::iter([first, Err(StdError::from("the body ends here"))]);
                        Ok(Response::from_parts(parts, Body::http_body_unsync(StreamBody::new(pieces))))
                    }
                    Fault::Stall(after) => {
                        parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
                        let first =
                            stream::iter([Ok::<_, StdError>(Frame::data(bytes.slice(..after.min(bytes.len()))))]);
                        Ok(Response::from_parts(
                            parts,
                            Body::http_body_unsync(StreamBody::new(stream::StreamExt::chain(first, stream::pending()))),
                        ))
                    }
                    Fault::WrongByte => {
                        let mut wrong = bytes.to_vec();
                        let middle = wrong.len() / 2;
                        wrong[middle] ^= 0x20;
                        Ok(Response::from_parts(parts, wrong.into()))
                    }
                    Fault::WholeObject => {
                        let whole = Bytes::from(state.stored(seen.key()).await.unwrap());
                        if parts.status == StatusCode::PARTIAL_CONTENT {
                            parts.status = StatusCode::OK;
                            parts.headers.remove(CONTENT_RANGE);
                            parts.headers.insert(CONTENT_LENGTH, whole.len().into());
                        }
                        Ok(Response::from_parts(parts, whole.into()))
                    }
                    _ => unreachable!("the others were met before"),
                }
            }
        }
    }

    /// Without asking the service.
    fn answer(&self, op: Op, sent: &Arc<AtomicUsize>) -> Response<Body> {
        let mut response = match self {
            Fault::EndlessRefusal(status) => {
                let mut response = Response::new(endless(Bytes::from_static(b"<Error>"), sent));
                *response.status_mut() = StatusCode::from_u16(*status).unwrap();
                response
            }
            Fault::SlowDown(seconds) => {
                let mut response = refusal(503, "SlowDown");
                response.headers_mut().insert(RETRY_AFTER, (*seconds).into());
                response
            }
            Fault::Html(status) => {
                let page = "<!DOCTYPE html><html><head><title>It works!</title></head><body><p>It works!</body></html>";
                let mut response = Response::new(Body::from(page.to_owned()));
                *response.status_mut() = StatusCode::from_u16(*status).unwrap();
                response.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
                response
            }
            Fault::Elsewhere(status, code, region) => {
                let mut response = refusal(*status, code);
                response.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_static(region));
                let document = document(code).replace("</Error>", &format!("<Region>{region}</Region></Error>"));
                *response.body_mut() = Body::from(document);
                response
            }
            Fault::Redirect(status, to) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::from_u16(*status).unwrap();
                response.headers_mut().insert("location", to.parse().unwrap());
                response
            }
            Fault::Skewed => {
                let mut response = refusal(403, "RequestTimeTooSkewed");
                let date = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%a, %d %b %Y %H:%M:%S GMT");
                response.headers_mut().insert("date", date.to_string().parse().unwrap());
                response
            }
            Fault::Answer(body) => Response::new(Body::from(body.clone())),
            Fault::ErrorIn200(code) => refusal(200, code),
            Fault::Refuse(status, code) => refusal(*status, code),
            other => unreachable!("{other:?} needs the service"),
        };
        if op == Op::Head {
            // RFC 9110, 9.3.2: no body, so the code is not told.
            *response.body_mut() = Body::empty();
        }
        response
    }
}
