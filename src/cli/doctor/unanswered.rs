//! What helps where a store can't be asked for anything: nobody answers, the bucket is not there, it is somewhere else.
//!
//! Apart from the permissions because here the address is wrong, and the mend is in whatever named it.

use bstr::ByteSlice;

use super::finding::Finding;
use crate::config::GitConfig;
use crate::remote::{Bucket, Remote};
use crate::shell_word::quoted;
use crate::store::{Kind, StoreError};

/// With the commands that name the store right, if it is that.
pub fn refused(check: &'static str, remote: &Remote, error: StoreError) -> Finding {
    let kind = error.kind();
    let named = !error.mend().is_empty();
    let finding = Finding::refused(check, error);
    let Bucket::S3(bucket) = remote.bucket() else { return finding };
    let by = remote.endpoint().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default();
    let found = finding.clone().without_mend();
    match (kind, remote.endpoint()) {
        _ if named => finding,
        (Kind::NoStore, _) => {
            let another = format!("s3lfs init --force <bucket> {}{by} # if it is another one", quoted(remote.prefix()));
            found.mend(format!("aws s3 mb {}{by}", quoted(&format!("s3://{bucket}")))).mend(another)
        }
        (Kind::Unreachable, Some(url)) => finding
            .mend(format!("curl -sS -o /dev/null {} # does anything answer there?", quoted(url)))
            .mend(rename(remote)),
        (Kind::NotS3 | Kind::Redirected, _) => found.mend(rename(remote)),
        _ => finding,
    }
}

/// The command that names another endpoint, in the place where this one is named.
fn rename(remote: &Remote) -> String {
    let is_this =
        |value: &str| Some(value.trim_end_matches('/')) == remote.endpoint().map(|url| url.trim_end_matches('/'));
    let variables = ["S3LFS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    if let Some(name) = variables.into_iter().find(|name| std::env::var(name).is_ok_and(|value| is_this(&value))) {
        return format!("export {name}=<url> # another endpoint");
    }
    let config = GitConfig::load().unwrap_or_default();
    if config.get("s3lfs.endpointurl").is_some_and(|value| is_this(&value.to_str_lossy())) {
        return "git config s3lfs.endpointurl <url> # another endpoint".to_owned();
    }
    let Bucket::S3(bucket) = remote.bucket() else { return String::new() };
    format!("s3lfs init --force {} {} --endpoint-url <url> # another endpoint", quoted(bucket), quoted(remote.prefix()))
}
