//! What helps where a store can't be asked for anything: nobody answers, the bucket is not there, it is somewhere else.
//!
//! Apart from the permissions because here the address is wrong, and the mend is in whatever named it.

use std::path::Path;

use super::finding::Finding;
use crate::cli::error::SET_CLOCK;
use crate::cli::place::{change, take_back};
use crate::config::Place;
use crate::remote::{Bucket, Remote};
use crate::shell_word::quoted;
use crate::store::{Kind, StoreError};

/// Who named a store.
pub struct NamedBy {
    /// Its bucket, or its directory.
    pub bucket: Place,
    /// Where it is asked.
    pub endpoint: Place,
    /// Where everybody else asks it, if the manifest says so.
    pub endpoint_of_all: Option<String>,
}

/// Ask again: it was nobody's set-up.
const AGAIN: &str = "s3lfs doctor # again, when the service answers";

/// With the commands that name the store right, if it is that.
pub fn refused(check: &'static str, remote: &Remote, named_by: &NamedBy, error: StoreError) -> Finding {
    let kind = error.kind();
    let is_told = !error.mend().is_empty();
    let finding = Finding::refused(check, error, AGAIN);
    match remote.bucket() {
        _ if is_told => finding,
        Bucket::File(dir) => in_directory(finding, kind, dir, remote, named_by),
        Bucket::S3(bucket) => at_service(finding, kind, bucket, remote, named_by),
    }
}

fn in_directory(finding: Finding, kind: Kind, dir: &Path, remote: &Remote, named_by: &NamedBy) -> Finding {
    let quoted_dir = quoted(&dir.to_string_lossy());
    match kind {
        Kind::NoStore => {
            let init = format!("s3lfs init --force file:///<directory> {}", quoted(remote.prefix()));
            let another = change(&named_by.bucket, "file:///<directory>", init);
            finding.mend_instead(format!("mount {quoted_dir} # if a disk belongs there")).mend(another)
        }
        Kind::Full | Kind::Quota => finding.mend_instead(format!("df -h {quoted_dir}")),
        _ => finding.mend_instead(format!("ls -ld {quoted_dir}")),
    }
}

fn at_service(finding: Finding, kind: Kind, bucket: &str, remote: &Remote, named_by: &NamedBy) -> Finding {
    let by = remote.endpoint().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default();
    let init = |bucket: &str| format!("s3lfs init --force {bucket} {}{by}", quoted(remote.prefix()));
    match kind {
        Kind::NoStore => {
            let another = match &named_by.bucket {
                Place::Manifest => format!("{} # if it is another one", init("<bucket>")),
                place => format!("{} # or name another one there", take_back(place)),
            };
            let make = format!("aws s3 mb {}{by}", quoted(&format!("s3://{bucket}")));
            match named_by.bucket {
                Place::Manifest => finding.mend_instead(make).mend(another),
                _ => finding.mend_instead(another).mend(make),
            }
        }
        Kind::Unreachable if own_endpoint(remote, named_by).is_some() => {
            let curl = curl(remote.endpoint().unwrap_or_default());
            finding.mend_instead(rename(remote, named_by)).mend(curl)
        }
        Kind::Unreachable => {
            let url = remote.endpoint().unwrap_or("https://s3.amazonaws.com");
            let finding = finding.mend(curl(url));
            if remote.endpoint().is_some() { finding.mend(rename(remote, named_by)) } else { finding }
        }
        Kind::NotS3 | Kind::Redirected => finding.mend_instead(rename(remote, named_by)),
        Kind::Encryption => finding.mend_instead(format!("{} --sse none # if it has none", init(&quoted(bucket)))),
        Kind::Key => finding.mend_instead("aws kms describe-key --key-id <key> # is it enabled, and may you use it?"),
        Kind::Clock => finding.mend_instead(SET_CLOCK),
        Kind::Full | Kind::Quota => finding.mend_instead("s3lfs cleanup # deletes there what nothing names any more"),
        Kind::Busy => finding.mend_instead(AGAIN),
        _ => finding,
    }
}

fn curl(url: &str) -> String {
    format!("curl -sS -o /dev/null {} # does anything answer there?", quoted(url))
}

/// The manifest's endpoint, where something else goes before it.
fn own_endpoint<'a>(remote: &Remote, named_by: &'a NamedBy) -> Option<&'a str> {
    let of_all = named_by.endpoint_of_all.as_deref();
    of_all.filter(|url| named_by.endpoint != Place::Manifest && remote.endpoint() != Some(*url))
}

/// The command that names another endpoint, in the place where this one is named.
fn rename(remote: &Remote, named_by: &NamedBy) -> String {
    let Bucket::S3(bucket) = remote.bucket() else { return AGAIN.to_owned() };
    if named_by.endpoint == Place::Manifest && named_by.bucket != Place::Manifest {
        // Everybody else's bucket is another one, and so may be its endpoint.
        return take_back(&named_by.bucket);
    }
    if let Some(url) = own_endpoint(remote, named_by) {
        return format!("{} # the manifest names {url}", take_back(&named_by.endpoint));
    }
    let init = format!("s3lfs init --force {} {} --endpoint-url <url>", quoted(bucket), quoted(remote.prefix()));
    format!("{} # another endpoint", change(&named_by.endpoint, "<url>", init))
}
