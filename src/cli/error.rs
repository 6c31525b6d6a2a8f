//! What a command ends with when it does not end well: a message, hints, an exit code.
//!
//! Apart because every hint of the program is here: what to do next depends on the kind of failure,
//! not on the command that met it.

use std::error::Error;

use bstr::ByteSlice;

use crate::cache::CacheError;
use crate::cli::{place, proxy};
use crate::config::{ConfigError, Place};
use crate::error::{advice, chain};
use crate::git::GitError;
use crate::manifest::{ManifestError, ProjectionError};
use crate::remote::{Bucket, Remote, RemoteError};
use crate::shell_word::quoted;
use crate::store::{Kind, StoreError};
use crate::transfer::TransferError;

/// What mends a pointer that somebody edited.
pub const MEND_POINTER: &str = "put the content itself in the place of a file whose pointer has a wrong size, and 'git add' it; \
    or take the pointer of a good commit: git checkout <commit> -- <file>";

/// How a command failed, which is its exit code (design.md, section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A user's or a set-up error.
    User = 1,
    /// What was typed means nothing.
    Usage = 2,
    /// Some of many files failed.
    Partial = 3,
}

/// The end of a command that failed. Everything that can be said of single files was said before.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub failure: Failure,
    /// What was attempted, on what, and why it failed.
    pub message: String,
    /// What to do next, a line each.
    pub hints: Vec<String>,
}

impl CliError {
    /// A user's error.
    pub fn user(message: impl Into<String>) -> Self {
        CliError { failure: Failure::User, message: message.into(), hints: Vec::new() }
    }

    /// What was typed means nothing: clap did not know.
    pub fn usage(message: impl Into<String>) -> Self {
        CliError { failure: Failure::Usage, ..Self::user(message) }
    }

    /// Some of many files failed.
    pub fn partial(message: impl Into<String>) -> Self {
        CliError { failure: Failure::Partial, message: message.into(), hints: Vec::new() }
    }

    /// Add a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The message, with what to do next: where it stands beside others.
    pub fn in_one_line(&self) -> String {
        let CliError { message, hints, .. } = self;
        if hints.is_empty() { message.clone() } else { format!("{message} ({})", hints.join("; ")) }
    }
}

/// `CliError` is no `Error` itself, so that `?` turns every error into one here.
impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        let mut hints: Vec<String> = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(e) = next {
            match store_mend(e) {
                [] => hints.extend(hint_for(e)),
                mend => hints.extend_from_slice(mend),
            }
            next = e.source();
        }
        hints.dedup();
        if hints.is_empty() {
            hints.extend(advice(&error).map(str::to_owned));
        }
        CliError { failure: Failure::User, message: chain(&error), hints }
    }
}

/// The error as one line, with what to do next.
pub fn one_line(error: impl Error + 'static) -> String {
    CliError::from(error).in_one_line()
}

/// What the store itself knows to help.
fn store_mend<'a>(error: &'a (dyn Error + 'static)) -> &'a [String] {
    match (error.downcast_ref::<StoreError>(), error.downcast_ref::<TransferError>()) {
        (Some(e), _) => e.mend(),
        // As below: these two keep the store's error from the walk along the sources.
        (_, Some(TransferError::Store(e))) => e.mend(),
        (_, Some(TransferError::Unasked { source, .. })) => store_mend(source.as_ref()),
        _ => &[],
    }
}

/// Where this store is asked: its endpoint, or AWS.
fn endpoint(store: &str) -> String {
    let remote = Remote::from_url(store).ok();
    remote
        .and_then(|remote| remote.endpoint().map(str::to_owned))
        .unwrap_or_else(|| "https://s3.amazonaws.com".to_owned())
}

/// The command that has this machine's clock set from the network.
pub const SET_CLOCK: &str = if cfg!(windows) {
    "w32tm /resync"
} else if cfg!(target_os = "macos") {
    "sudo sntp -sS time.apple.com"
} else {
    "timedatectl set-ntp true"
};

/// What says which permission lacks, and what grants it.
fn permissions(store: &str) -> String {
    let remote = Remote::from_url(store).ok();
    match remote.as_ref().map(|remote| (remote.bucket(), remote.prefix())) {
        Some((Bucket::File(dir), _)) => {
            format!("check who may do that there: ls -ld {}", quoted(&dir.to_string_lossy()))
        }
        Some((Bucket::S3(bucket), prefix)) => format!(
            "check which one lacks: 's3lfs doctor' tries each, and 's3lfs init --print-policy write {} {}' prints what is needed",
            quoted(bucket),
            quoted(prefix)
        ),
        None => "check which one lacks: 's3lfs doctor' tries each".to_owned(),
    }
}

/// What stands between us and a service that can't be reached.
fn unreachable(error: &StoreError) -> String {
    if let Some(name) = proxy::before(&endpoint(error.store())) {
        return format!(
            "{name} names a proxy that is asked first: look whether that one answers, or go past it: export \
             NO_PROXY=\"${{NO_PROXY:-$no_proxy}}\",{}",
            quoted(proxy::host(&endpoint(error.store())).unwrap_or_default())
        );
    }
    let text = error.to_string();
    let says = |what: &[&str]| what.iter().any(|what| text.contains(what));
    // The words of rustls, which checks certificates.
    let hint = if says(&["UnknownIssuer", "CaUsedAsEndEntity", "BadSignature"]) {
        "nobody whom this machine trusts signed its certificate: export AWS_CA_BUNDLE=<file.pem> with the authority that did"
    } else if says(&["InvalidContentType"]) {
        "nobody speaks TLS there: give the endpoint with http://, if that is meant"
    } else {
        "look whether the endpoint is right and the network there; then run the command again"
    };
    hint.to_owned()
}

fn hint_for(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(e) = error.downcast_ref::<StoreError>() {
        return match e.kind() {
            Kind::NoStore => Some("make the store available, or name another one with 's3lfs init'".to_owned()),
            Kind::Denied => Some(permissions(e.store())),
            Kind::NotFound => Some(
                "whoever has the content sends it with 's3lfs upload <file>', or with 's3lfs verify --all --deep --fix' that \
                 of older commits; S3LFS_SKIP_DOWNLOAD_ERRORS=1 leaves such files as pointers"
                    .to_owned(),
            ),
            Kind::Credentials => Some(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones), or name a \
                 profile with AWS_PROFILE or 'git config s3lfs.profile'"
                    .to_owned(),
            ),
            Kind::Clock => Some(SET_CLOCK.to_owned()),
            Kind::Region => {
                Some("give the bucket's region with --region, AWS_REGION or 'git config s3lfs.region'".to_owned())
            }
            Kind::Redirected => Some(
                "name the endpoint that holds the bucket itself: --endpoint-url, AWS_ENDPOINT_URL, or endpoint_url in \
                 .s3_manifest.json"
                    .to_owned(),
            ),
            Kind::Encryption => Some(
                "if the service has no server-side encryption, turn it off: 's3lfs init <bucket> <prefix> --sse none'"
                    .to_owned(),
            ),
            Kind::Key => Some(
                "have the key enabled, or another one named in the manifest's kms_key_id: aws kms describe-key --key-id <key>"
                    .to_owned(),
            ),
            Kind::NotS3 => Some(
                "check the endpoint: --endpoint-url, AWS_ENDPOINT_URL, or endpoint_url in .s3_manifest.json".to_owned(),
            ),
            Kind::Unreachable => Some(unreachable(e)),
            Kind::Busy | Kind::LostPart => Some("run the command again when the service answers".to_owned()),
            Kind::Archived => Some("have it restored ('aws s3api restore-object'), wait, and run the command again".to_owned()),
            Kind::Full => Some("make room in the store".to_owned()),
            Kind::Quota => Some("make room in the store, or have your quota there raised".to_owned()),
            Kind::Swept => Some("push or commit again when it has ended".to_owned()),
            Kind::NoSuchUpload | Kind::Precondition | Kind::NotPartial | Kind::Failed => None,
        };
    }
    if let Some(e) = error.downcast_ref::<TransferError>() {
        return match e {
            TransferError::Nowhere { .. } => {
                Some("its content may be in another clone: run 's3lfs verify --all --deep --fix' there".to_owned())
            }
            TransferError::DamagedCache { .. } => {
                Some("if the file is still in a worktree, 'git add --renormalize' it to cache it anew".to_owned())
            }
            TransferError::WrongContent { .. } => Some(
                "the object was changed after it was written: whoever has a good copy puts it back with 's3lfs verify --deep --fix' (and --all, if it is of another commit)".to_owned(),
            ),
            TransferError::WrongSize { .. } => Some(MEND_POINTER.to_owned()),
            // It stands for the store's error (transparent), so the walk along the sources passes that one over.
            TransferError::Store(e) => hint_for(e),
            // Boxed, it is not recognized on the walk along the sources.
            TransferError::Unasked { source, .. } => hint_for(source.as_ref()),
            TransferError::Cache(_) | TransferError::BrokenOff { .. } => None,
        };
    }
    if let Some(e) = error.downcast_ref::<ConfigError>() {
        return match e {
            ConfigError::NoStore => Some("name a store with 's3lfs init <bucket> <repo-prefix>'".to_owned()),
            ConfigError::PythonPrefix(prefix) => Some(format!(
                "copy the objects to a prefix without slash at either end \
                 ('aws s3 cp --recursive s3://BUCKET/{prefix}/assets s3://BUCKET/NEW/assets'), then \
                 's3lfs init --force BUCKET NEW'"
            )),
            ConfigError::Value { key, .. } => Some(place::take_back(&Place::named(key))),
            ConfigError::Remote { place, .. } => Some(place::take_back(place)),
            ConfigError::Git(_) => None,
        };
    }
    if let Some(e) = error.downcast_ref::<ProjectionError>() {
        let ProjectionError::DropsTooMuch { .. } = e;
        let hint = "check that .gitattributes still has its filter=s3lfs lines ('s3lfs track' lists them); \
             if the files are meant to go, 'git rm --cached' them";
        return Some(hint.to_owned());
    }
    if error.is::<ManifestError>() {
        return Some(
            "mend .s3_manifest.json, or take it back with 'git checkout HEAD -- .s3_manifest.json'".to_owned(),
        );
    }
    if error.is::<RemoteError>() || error.is::<CacheError>() {
        return None;
    }
    match error.downcast_ref::<GitError>()? {
        GitError::NoRepository => Some("go into one, or make one with 'git init'".to_owned()),
        // Git tells it in the system's words (strerror(3); its children run in LC_ALL=C).
        e if [&b"No space left on device"[..], b"Disk quota exceeded"]
            .iter()
            .any(|why| e.stderr().contains_str(why)) =>
        {
            Some(MAKE_ROOM.to_owned())
        }
        _ => None,
    }
}

/// What [`advice`] has for our own files.
const MAKE_ROOM: &str = "make room on that disk, then run the same command again";

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::fs::PathError;

    #[test]
    fn a_full_disk_is_told_whoever_met_it() {
        use std::os::unix::process::ExitStatusExt;
        let git = |stderr: &str| GitError::Failed {
            command: "git update-index -z --index-info".to_owned(),
            status: std::process::ExitStatus::from_raw(128 << 8),
            stderr: stderr.into(),
        };
        let ours = |kind: ErrorKind| PathError::new("write", ".gitattributes", kind.into());
        let full = [
            CliError::from(git("fatal: unable to write new index file: No space left on device")),
            CliError::from(git("error: file write error: Disk quota exceeded")),
            CliError::from(ours(ErrorKind::StorageFull)),
        ];
        for error in full {
            assert_eq!(error.hints, [MAKE_ROOM], "{}", error.message);
        }
        for error in [CliError::from(git("fatal: bad object")), CliError::from(ours(ErrorKind::PermissionDenied))] {
            assert!(!error.hints.contains(&MAKE_ROOM.to_owned()), "{}", error.message);
        }
    }
}
