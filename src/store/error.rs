//! What a store answers when it does not do as asked, told by what the caller can do about it.
//!
//! Apart because `object_store`'s own texts repeat their sources and the server's body: they are
//! never printed.

use std::error::Error;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;

use super::credentials::{NoCredentials, Origin};
use super::line::{NOT_PARTIAL, Refused, SKEWED};
use crate::shell_word::quoted;

/// A request to a store that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {action} {}: {}", place(key, store), kind.text(why))]
pub struct StoreError {
    action: &'static str,
    key: String,
    store: String,
    kind: Kind,
    why: String,
    retry_after: Option<Duration>,
    /// The service was never reached, and not for want of trying.
    hopeless: bool,
    /// The service got the request, and never said what became of it.
    unanswered: bool,
    /// What is known to help, a command each where there is one.
    mend: Option<Box<Mend>>,
}

#[derive(Clone, Debug)]
struct Mend(Vec<String>);

/// A key in a store; without a key, the store itself.
fn place(key: &str, store: &str) -> String {
    if key.is_empty() { store.to_owned() } else { format!("{key} in {store}") }
}

/// What kind of failure it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// There is no such object.
    NotFound,
    /// The multipart upload is no longer known there.
    NoSuchUpload,
    /// The service confirmed a part of an upload, and now it has it not.
    LostPart,
    /// The object is another one than when we began to read it, or it exists where none was expected.
    Precondition,
    /// The credentials, or this machine's permissions, do not allow it.
    Denied,
    /// There are no credentials, or the service does not know them, or they have expired.
    Credentials,
    /// The service refuses because this machine's clock is off.
    Clock,
    /// The object is in a class that has to be thawed first.
    Archived,
    /// The store itself is not there: directory or bucket.
    NoStore,
    /// The request is sent elsewhere, and s3lfs does not go there.
    Redirected,
    /// The bucket is in another region.
    Region,
    /// The service does not do the encryption that was asked for.
    Encryption,
    /// The key of KMS that encrypts can't be used: it is disabled, gone, or somebody else's.
    Key,
    /// What answers is no S3 service.
    NotS3,
    /// The service can't be reached.
    Unreachable,
    /// The service is busy, or failed for the moment.
    Busy,
    /// The service answered a range with the whole object.
    NotPartial,
    /// There is no room, for anybody.
    Full,
    /// There is no room for this user.
    Quota,
    /// A cleanup is deleting there.
    Swept,
    /// Anything else.
    Failed,
}

impl Kind {
    fn text(self, why: &str) -> String {
        match self {
            Kind::NotFound => "there is no such object".to_owned(),
            Kind::NoSuchUpload => "the unfinished upload is no longer known there".to_owned(),
            Kind::LostPart => format!("the service has lost a part that it confirmed ({why})"),
            Kind::Precondition => "it was changed meanwhile".to_owned(),
            Kind::Denied => format!("permission denied ({why})"),
            Kind::Credentials => format!("the credentials are missing or not accepted ({why})"),
            Kind::Clock => format!("this machine's clock is off ({why})"),
            Kind::Archived => format!("it is archived, and can't be read before it is restored ({why})"),
            Kind::Region => format!("the bucket is in another region ({why})"),
            Kind::Redirected => format!("the request is sent elsewhere, and s3lfs follows no redirects ({why})"),
            Kind::Encryption => {
                format!("the service does not do the server-side encryption that was asked for ({why})")
            }
            Kind::Key => format!("the key that encrypts there can't be used ({why})"),
            Kind::NotS3 => format!("what answers there is no S3 service ({why})"),
            Kind::Unreachable => format!("the service can't be reached ({why})"),
            Kind::NotPartial => "the service does not answer ranges".to_owned(),
            Kind::NoStore | Kind::Busy | Kind::Full | Kind::Quota | Kind::Swept | Kind::Failed => why.to_owned(),
        }
    }
}

impl StoreError {
    /// Translate an error of `object_store`.
    pub(super) fn new(action: &'static str, key: &Path, store: &str, error: &object_store::Error) -> Self {
        let refused = find::<Refused>(error);
        let kind = match refused {
            Some(refused) => kind_of_refusal(refused),
            None => kind_of(error),
        };
        let why = match refused {
            Some(Refused { region: Some(region), .. }) if kind == Kind::Region => {
                format!("it is in {region}: {}", refused.map(ToString::to_string).unwrap_or_default())
            }
            Some(Refused { location: Some(location), .. }) if kind == Kind::Redirected => {
                format!("{}, to {location}", refused.map(ToString::to_string).unwrap_or_default())
            }
            Some(refused) => match refused.message.as_ref().filter(|_| matches!(kind, Kind::Denied | Kind::Key)) {
                Some(message) => format!("{refused}: {message}"),
                None => refused.to_string(),
            },
            None => root_cause(error),
        };
        let retry_after = refused.and_then(|refused| refused.retry_after);
        let unanswered = refused.is_none() && kind == Kind::Busy;
        let (key, store) = (key.to_string(), store.to_owned());
        let mend = match (find::<NoCredentials>(error), refused.and_then(|refused| refused.region.as_deref())) {
            (Some(why), _) => Some(why.mend().to_vec()),
            (None, Some(region)) if kind == Kind::Region => Some(vec![in_region(region)]),
            _ => None,
        };
        let mend = mend.map(|mend| Box::new(Mend(mend)));
        StoreError { action, key, store, kind, why, retry_after, hopeless: false, unanswered, mend }
    }

    /// An error of our own making about a whole store.
    pub(super) fn about_store(action: &'static str, store: &str, kind: Kind, why: impl Into<String>) -> Self {
        let key = "objects".to_owned();
        let (store, why, unanswered) = (store.to_owned(), why.into(), kind == Kind::Swept);
        StoreError { action, key, store, kind, why, retry_after: None, hopeless: false, unanswered, mend: None }
    }

    /// An error of our own making about one key.
    pub(super) fn about_key(action: &'static str, key: &Path, store: &str, kind: Kind, why: impl Into<String>) -> Self {
        StoreError { key: key.to_string(), ..StoreError::about_store(action, store, kind, why) }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::Unreachable) && !self.hopeless
    }

    /// Whether the service may do yet what it was asked for: it was asked, and did not say.
    pub fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// The store that was asked, as a URL.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What is known to help, a command each where there is one.
    pub fn mend(&self) -> &[String] {
        self.mend.as_ref().map_or(&[], |mend| &mend.0)
    }

    /// With the command that helps.
    pub(super) fn mended_by(self, command: &str) -> Self {
        StoreError { mend: Some(Box::new(Mend(vec![command.to_owned()]))), ..self }
    }

    /// With whose credentials it was, if the service did not take them: where there were none, that is said already.
    pub(super) fn by(self, origin: Option<Origin>) -> Self {
        let (None, Some(Origin { from, key, renewal, .. })) = (&self.mend, origin) else { return self };
        let why = format!("{}; access key {key} from {from}", self.why);
        StoreError { why, mend: Some(Box::new(Mend(vec![renewal]))), ..self }
    }

    /// With the note that the service was never reached.
    pub(super) fn hopeless(self, hopeless: bool) -> Self {
        StoreError { hopeless, ..self }
    }

    /// How long the service asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// The command that has the bucket asked in its own region.
fn in_region(region: &str) -> String {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match ["S3LFS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find(is_set) {
        // The first of them decides, and all go before git config.
        Some(name) => format!("export {name}={}", quoted(region)),
        None => format!("git config s3lfs.region {0} # or --region {0}", quoted(region)),
    }
}

/// S3's codes: "Error responses" in the S3 API reference; other services use the same words.
fn kind_of_refusal(refused: &Refused) -> Kind {
    if refused.renewable {
        return Kind::Busy;
    }
    match (refused.code.as_str(), refused.status) {
        (NOT_PARTIAL, _) => Kind::NotPartial,
        // Nobody asks for anything behind an object's end: it is empty, and so it is none (`Store::head`).
        ("InvalidRange", _) | (_, 416) => Kind::NotFound,
        ("NoSuchBucket", _) => Kind::NoStore,
        ("InvalidObjectState", _) => Kind::Archived,
        ("NoSuchUpload", _) => Kind::NoSuchUpload,
        ("InvalidPart" | "InvalidPartOrder", _) => Kind::LostPart,
        (SKEWED, _) => Kind::Clock,
        // MinIO's, and the quota of Ceph RGW (which says 403).
        ("XMinioStorageFull", _) | (_, 507) => Kind::Full,
        ("QuotaExceeded", _) => Kind::Quota,
        (
            "InvalidAccessKeyId"
            | "NotSignedUp"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired",
            _,
        )
        | (_, 401) => Kind::Credentials,
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) => {
            Kind::Region
        }
        (_, 300..=399) if refused.region.is_some() => Kind::Region,
        (_, 300..=399) => Kind::Redirected,
        ("SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable" | "OperationAborted", _) => Kind::Busy,
        ("ConditionalRequestConflict", _) | (_, 409) => Kind::Busy,
        // What arrived is not what was sent: it was cut off or damaged on the way.
        (
            "BadDigest"
            | "IncompleteBody"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch",
            _,
        ) => Kind::Busy,
        (
            "NotImplemented" | "ServerSideEncryptionConfigurationNotFoundError" | "InvalidEncryptionAlgorithmError",
            _,
        )
        | (_, 501) => Kind::Encryption,
        (code, _) if code.starts_with("KMS") => Kind::Key,
        (_, 403) if refused.foreign => Kind::NotS3,
        (_, 403) => Kind::Denied,
        (_, 408 | 429 | 500 | 502 | 503 | 504) => Kind::Busy,
        _ if refused.foreign => Kind::NotS3,
        _ => Kind::Failed,
    }
}

fn kind_of(error: &object_store::Error) -> Kind {
    match error {
        object_store::Error::NotFound { .. } => return Kind::NotFound,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            return Kind::Precondition;
        }
        object_store::Error::PermissionDenied { .. } => return Kind::Denied,
        object_store::Error::Unauthenticated { .. } => return Kind::Credentials,
        _ => {}
    }
    if find::<NoCredentials>(error).is_some() {
        return Kind::Credentials;
    }
    if let Some(http) = find::<HttpError>(error) {
        return match http.kind() {
            HttpErrorKind::Connect => Kind::Unreachable,
            HttpErrorKind::Request | HttpErrorKind::Timeout | HttpErrorKind::Interrupted | HttpErrorKind::Decode => {
                Kind::Busy
            }
            _ => Kind::Failed,
        };
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => Kind::Denied,
        Some(io::ErrorKind::StorageFull) => Kind::Full,
        Some(io::ErrorKind::QuotaExceeded) => Kind::Quota,
        _ => Kind::Failed,
    }
}

/// The first error of this type among an error and its sources.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        next = e.source();
    }
    None
}

/// The innermost error's text: what really happened.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(e) = innermost.source() {
        innermost = e;
    }
    innermost.to_string()
}
