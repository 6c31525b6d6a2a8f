//! What the store permits, one request after another, with a probe that is deleted again.
//!
//! Apart because each permission is refused by itself (an IAM policy names them one by one), and whatever is
//! refused, the probe must go.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Use;
use super::finding::{Finding, Findings, Level};
use super::store::register_again;
use super::unanswered::{self, NamedBy};
use crate::cli::error::{CliError, SET_CLOCK};
use crate::cli::ui;
use crate::oid::Oid;
use crate::remote::{Bucket, Remote};
use crate::shell_word::quoted;
use crate::store::listing::Shard;
use crate::store::{Access, Encryption, Key, Kind, ProbeMode, Put, Store, StoreError};
use crate::transfer::Transfer;

/// A store that is asked, and what asks it.
pub struct Probing {
    /// Tries again what fails for the moment.
    pub transfer: Transfer,
    /// The store.
    pub store: Store,
    /// Who named it.
    pub named_by: NamedBy,
}

/// What is written to see what is permitted.
const PROBE: &[u8] = b"s3lfs doctor was here, and deletes this again\n";
/// What is written to see how fast that goes.
const LARGE: usize = 1 << 20;
/// S3 refuses requests of a clock that is off by this ("Signing and authenticating REST requests").
const REFUSED: u64 = 15 * 60;
/// Off by this, somebody should look at it.
const SUSPICIOUS: u64 = 60;

/// Whether it is worth while to ask for more.
type Answers = bool;

/// Ask for each permission. `false`: the store does not answer, whatever it is asked.
pub fn examine(probing: &mut Probing, access: &Access, way: Use, findings: &mut Findings) -> Result<Answers, CliError> {
    let store = probing.store.clone();
    let listed = probing.transfer.ask(|| store.list_page(Shard::Of(0), None)).map(|_| "permitted".to_owned());
    clock(&store, findings)?;
    if !told(probing, "list", "s3:ListBucket", Level::Stops, listed, findings)? {
        return Ok(false);
    }
    let probe = store.probe();
    // No content has this name.
    let nowhere = store.key(&Oid::of(probe.as_ref().as_bytes()));
    match way {
        Use::Reading => read(probing, &nowhere, None, findings),
        Use::Writing => {
            let mut may_be_there = false;
            let answers = write(probing, access, &probe, &mut may_be_there, findings);
            // Whatever else failed.
            if may_be_there {
                delete(probing, &probe, findings)?;
            }
            answers
        }
    }
}

/// Everything that leaves something in the store.
fn write(
    probing: &mut Probing,
    access: &Access,
    probe: &Key,
    may_be_there: &mut bool,
    findings: &mut Findings,
) -> Result<Answers, CliError> {
    let store = probing.store.clone();
    sweep(probing);
    let bytes = Bytes::from_static(PROBE);
    let put = probing.transfer.ask(|| store.put_probe(probe, bytes.clone(), ProbeMode::Always));
    *may_be_there = put.as_ref().map_or_else(StoreError::is_unanswered, |_| true);
    let is_denied = put.as_ref().is_err_and(|e| e.kind() == Kind::Denied);
    let sent = format!("permitted{}", with_encryption(&store, &access.encryption));
    if !told(probing, "put", "s3:PutObject", Level::Stops, put.map(|_| sent), findings)? {
        return Ok(false);
    }
    if is_denied {
        let written = without_encryption(probing, access, probe, may_be_there, findings)?;
        read(probing, probe, written, findings)?;
        return Ok(true);
    }
    let again = probing.transfer.ask(|| store.put_probe(probe, bytes.clone(), ProbeMode::IfAbsent));
    conditional(probing, again, findings)?;
    if !read(probing, probe, Some(PROBE.len() as u64), findings)? || !multipart(probing, access, probe, findings)? {
        return Ok(false);
    }
    speed(probing, probe, findings)?;
    Ok(true)
}

/// The encryption that uploads ask for, where it means anything.
fn with_encryption(store: &Store, encryption: &Encryption) -> String {
    match encryption {
        _ if !store.is_service() => String::new(),
        Encryption::None => ", encrypted as the bucket does by itself".to_owned(),
        Encryption::Aes256 => ", encrypted with AES256".to_owned(),
        Encryption::Kms(None) => ", encrypted with aws:kms".to_owned(),
        Encryption::Kms(Some(key)) => format!(", encrypted with aws:kms, key {key}"),
    }
}

/// A write that is denied may be denied for its encryption alone. How many bytes were written.
fn without_encryption(
    probing: &mut Probing,
    access: &Access,
    probe: &Key,
    may_be_there: &mut bool,
    findings: &mut Findings,
) -> Result<Option<u64>, CliError> {
    if !probing.store.is_service() || access.encryption == Encryption::None {
        return Ok(None);
    }
    let plain = Access { encryption: Encryption::None, ..access.clone() };
    let Ok(store) = Store::open(probing.store.remote(), &plain) else { return Ok(None) };
    let bytes = Bytes::from_static(PROBE);
    let put = probing.transfer.ask(|| store.put_probe(probe, bytes.clone(), ProbeMode::Always));
    *may_be_there |= put.as_ref().map_or_else(StoreError::is_unanswered, |_| true);
    if put.is_err() {
        return Ok(None);
    }
    let asked = with_encryption(&store, &access.encryption);
    let found = format!("a write is permitted without encryption, and denied{asked}: the key has to permit it");
    let key = match &access.encryption {
        Encryption::Kms(Some(key)) => format!(" --sse aws:kms --kms-key-id {}", quoted(key)),
        _ => String::new(),
    };
    let init = format!("{} --sse none", register_again(store.remote()));
    findings.add(Finding::stops("encryption", found, policy(&store) + &key).mend(init))?;
    Ok(Some(PROBE.len() as u64))
}

/// A service that does not keep the condition is told from one that does.
fn conditional(probing: &Probing, put: Result<Put, StoreError>, findings: &mut Findings) -> Result<(), CliError> {
    const CHECK: &str = "put if absent";
    let ignored = "an old object may be deleted by a cleanup while it is uploaded anew: run cleanup when nobody pushes";
    findings.add(match put {
        Ok(Put::Existed) => Finding::fine(CHECK, "an object that is there is left as it is"),
        Ok(Put::Written) => Finding::note(CHECK, format!("the service ignores If-None-Match; {ignored}")),
        Ok(Put::NoCondition) => Finding::note(CHECK, format!("the service does not know If-None-Match; {ignored}")),
        Err(e) if e.kind() == Kind::Encryption => {
            Finding::note(CHECK, format!("the service does not know If-None-Match; {ignored}"))
        }
        Err(e) => denied(probing, CHECK, "s3:PutObject", Level::Stops, e),
    })
}

/// Get and head: of the probe, if it has been written with `len` bytes; else of a key where nothing is, which
/// who may read and list is told.
fn read(probing: &mut Probing, probe: &Key, len: Option<u64>, findings: &mut Findings) -> Result<Answers, CliError> {
    let store = probing.store.clone();
    let bytes = |len: Option<u64>| len.map_or("nothing".to_owned(), |len| format!("{len} bytes"));
    let mut as_sent = |probing: &Probing, check, found: Result<Option<u64>, StoreError>| match found {
        Ok(found) if found != len => {
            let lost = format!("permitted, but {} were written, and {} came back", bytes(len), bytes(found));
            findings.add(Finding::stops(check, lost, "s3lfs verify --deep")).map(|()| true)
        }
        found => {
            let found = found.map(|_| "permitted".to_owned());
            told(probing, check, "s3:GetObject", Level::Stops, found, findings)
        }
    };
    let head = probing.transfer.ask(|| store.head_probe(probe));
    if !as_sent(probing, "head", head)? {
        return Ok(false);
    }
    let got = probing.transfer.ask(|| store.get_probe(probe));
    as_sent(probing, "get", got.map(|got| got.map(|bytes| bytes.len() as u64)))
}

/// An upload in parts that is made to its end, and one that is given up.
fn multipart(
    probing: &mut Probing,
    access: &Access,
    probe: &Key,
    findings: &mut Findings,
) -> Result<Answers, CliError> {
    const CHECK: &str = "multipart";
    let store = probing.store.clone();
    let permission = match access.encryption {
        Encryption::Kms(_) => "s3:PutObject, and kms:Decrypt for its key",
        _ => "s3:PutObject",
    };
    let begin = || store.begin_probe(probe);
    let id = match probing.transfer.ask(begin) {
        Ok(None) => return Ok(true),
        Ok(Some(id)) => id,
        Err(e) => return told(probing, CHECK, permission, Level::Stops, Err(e), findings),
    };
    let part = Bytes::from_static(PROBE);
    let made = probing.transfer.ask(|| store.complete_probe(probe, &id, part.clone()));
    let refused = made.is_err();
    let mut answers = match made {
        Ok(()) => true,
        Err(e) => told(probing, CHECK, permission, Level::Stops, Err(e), findings)?,
    };
    let second = if refused { Ok(Some(id)) } else { probing.transfer.ask(begin) };
    let id = match second {
        Ok(None) => return Ok(answers),
        Ok(Some(id)) => id,
        Err(e) => return told(probing, CHECK, permission, Level::Stops, Err(e), findings),
    };
    let aborted = probing.transfer.ask(|| store.abort_probe(probe, &id));
    let left = aborted.is_err();
    if left || !refused {
        let aborted = aborted.map(|()| "an upload is made of a part, and another one given up".to_owned());
        answers &= told(probing, CHECK, "s3:AbortMultipartUpload", Level::Warning, aborted, findings)?;
    }
    if left {
        let found = format!("an unfinished upload remains: {probe}, {id}");
        findings.add(Finding::warning(CHECK, found, "s3lfs cleanup # by somebody who may"))?;
    }
    Ok(answers)
}

/// Latency and throughput, in a line.
fn speed(probing: &mut Probing, probe: &Key, findings: &mut Findings) -> Result<(), CliError> {
    const CHECK: &str = "speed";
    let store = probing.store.clone();
    let mut latency = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        if probing.transfer.ask(|| store.head_probe(probe)).is_ok() {
            latency = latency.min(begun.elapsed());
        }
    }
    let bytes = Bytes::from(vec![b's'; LARGE]);
    let begun = Instant::now();
    let put = probing.transfer.ask(|| store.put_probe(probe, bytes.clone(), ProbeMode::Always));
    let (up, begun) = (begun.elapsed(), Instant::now());
    let got = probing.transfer.ask(|| store.get_probe(probe));
    let down = begun.elapsed();
    let rate = |took: Duration| format!("{}/s", ui::bytes((LARGE as f64 / took.as_secs_f64().max(1e-6)) as u64));
    findings.add(match put.and(got) {
        Ok(_) => Finding::fine(
            CHECK,
            format!(
                "latency {:.1} ms; {} up, {} down in one request of 1 MiB",
                latency.as_secs_f64() * 1e3,
                rate(up),
                rate(down)
            ),
        ),
        // The probe before had room yet: what is added and pushed will not.
        Err(e) if matches!(e.kind(), Kind::Full | Kind::Quota) => {
            unanswered::refused(CHECK, store.remote(), &probing.named_by, e)
        }
        Err(e) => Finding::warning(CHECK, format!("1 MiB did not go there and back: {e}"), "s3lfs doctor # again"),
    })
}

fn clock(store: &Store, findings: &mut Findings) -> Result<(), CliError> {
    let Some(ahead) = store.clock_ahead() else { return Ok(()) };
    let off = ahead.unsigned_abs();
    let way = if ahead > 0 { "behind" } else { "ahead of" };
    let text = format!("this machine's clock is {off} s {way} the service's");
    findings.add(match off {
        0..=SUSPICIOUS => Finding::fine("clock", format!("within {SUSPICIOUS} s of the service's")),
        REFUSED.. => Finding::stops("clock", format!("{text}, which refuses requests from {REFUSED} s on"), SET_CLOCK),
        _ => Finding::warning("clock", text, SET_CLOCK),
    })
}

/// What an earlier doctor was killed over. That it can't be had or deleted is told by what comes next.
fn sweep(probing: &mut Probing) {
    let store = probing.store.clone();
    for left in probing.transfer.ask(|| store.left_probes()).unwrap_or_default() {
        let _ = probing.transfer.ask(|| store.delete_probe(&left));
    }
}

fn delete(probing: &mut Probing, probe: &Key, findings: &mut Findings) -> Result<(), CliError> {
    const CHECK: &str = "delete";
    let store = probing.store.clone();
    let deleted = probing.transfer.ask(|| store.delete_probe(probe));
    let there = matches!(probing.transfer.ask(|| store.head_probe(probe)), Ok(Some(_)));
    let why = match deleted {
        Ok(()) if !there => return findings.add(Finding::fine(CHECK, "permitted; the probe is gone")),
        Ok(()) => "the service says that it deleted the probe, and it is still there".to_owned(),
        Err(e) => e.to_string(),
    };
    let remote = store.remote();
    let command = removal(remote, probe.as_ref());
    // Nobody but cleanup deletes, so work goes on.
    let found = format!("{why}; this key remains: {probe}");
    findings.add(Finding::warning(CHECK, found, command).mend(policy(&store)))
}

/// Add what came of one request. `false`: whatever else is asked would fail likewise.
fn told(
    probing: &Probing,
    check: &'static str,
    permission: &'static str,
    level: Level,
    result: Result<String, StoreError>,
    findings: &mut Findings,
) -> Result<Answers, CliError> {
    match result {
        Ok(text) => findings.add(Finding::fine(check, text)).map(|()| true),
        Err(e) => {
            let answers = e.kind() == Kind::Denied;
            findings.add(denied(probing, check, permission, level, e)).map(|()| answers)
        }
    }
}

fn denied(
    probing: &Probing,
    check: &'static str,
    permission: &'static str,
    level: Level,
    error: StoreError,
) -> Finding {
    let store = &probing.store;
    if error.kind() != Kind::Denied {
        return unanswered::refused(check, store.remote(), &probing.named_by, error);
    }
    match store.remote().bucket() {
        Bucket::S3(_) => Finding::new(check, level, format!("{error}; it needs {permission}"), policy(store)),
        Bucket::File(dir) => Finding::new(check, level, error.to_string(), list(dir)),
    }
}

/// What came of asking who is registered.
pub fn registration_refused(probing: &Probing, error: StoreError) -> Finding {
    denied(probing, "registration", "s3:GetObject and s3:ListBucket", Level::Stops, error)
}

fn list(dir: &std::path::Path) -> String {
    format!("ls -ld {}", quoted(&dir.to_string_lossy()))
}

/// The command that prints what permits everything.
fn policy(store: &Store) -> String {
    let remote = store.remote();
    match remote.bucket() {
        Bucket::S3(bucket) => {
            format!("s3lfs init --print-policy write {} {}", quoted(bucket), quoted(remote.prefix()))
        }
        Bucket::File(dir) => list(dir),
    }
}

/// The command that deletes an object.
pub fn removal(remote: &Remote, key: &str) -> String {
    match remote.bucket() {
        Bucket::File(dir) => format!("rm {}", quoted(&dir.join(key).to_string_lossy())),
        Bucket::S3(bucket) => {
            let endpoint = remote.endpoint().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default();
            format!("aws s3 rm {}{endpoint}", quoted(&format!("s3://{bucket}/{key}")))
        }
    }
}
