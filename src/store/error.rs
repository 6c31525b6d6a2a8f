//! What a store answers when it does not do as asked, told by what the caller can do about it.
//!
//! Apart because `object_store`'s own texts repeat their sources and the server's body: they are
//! never printed.

use std::error::Error;
use std::io;

use object_store::path::Path;

/// A request to a store that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {key} in {store}: {}", kind.text(why))]
pub struct StoreError {
    action: &'static str,
    key: String,
    store: String,
    kind: Kind,
    why: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// There is no such object.
    NotFound,
    /// Something is there already, where nothing was expected.
    AlreadyExists,
    /// The credentials, or this machine's permissions, do not allow it.
    Denied,
    /// The store itself is not there: directory or bucket.
    NoStore,
    /// Anything else.
    Failed,
}

impl Kind {
    fn text(self, why: &str) -> String {
        match self {
            Kind::NotFound => "there is no such object".to_owned(),
            Kind::AlreadyExists => "it exists already".to_owned(),
            Kind::Denied => format!("permission denied ({why})"),
            Kind::NoStore | Kind::Failed => why.to_owned(),
        }
    }
}

impl StoreError {
    /// Translate an error of `object_store`.
    pub(super) fn new(action: &'static str, key: &Path, store: &str, error: &object_store::Error) -> Self {
        let io_kind = io_kind(error);
        let kind = match (error, io_kind) {
            (object_store::Error::NotFound { .. }, _) => Kind::NotFound,
            (object_store::Error::AlreadyExists { .. }, _) => Kind::AlreadyExists,
            (object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }, _) => {
                Kind::Denied
            }
            (_, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)) => Kind::Denied,
            _ => Kind::Failed,
        };
        StoreError { action, key: key.to_string(), store: store.to_owned(), kind, why: root_cause(error) }
    }

    /// An error of our own making about a whole store.
    pub(super) fn about_store(action: &'static str, store: &str, kind: Kind, why: impl Into<String>) -> Self {
        StoreError { action, key: "objects".to_owned(), store: store.to_owned(), kind, why: why.into() }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return Some(io.kind());
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
