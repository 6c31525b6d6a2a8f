//! The sweep's state: whether a cleanup is deleting right now, in `<prefix>/cleanup/sweep`.
//!
//! Apart because it is what keeps a cleanup and a renewal (an old object that is written again so that
//! it counts again) from missing each other. A cleanup writes it (running, and a new number) BEFORE it
//! lists a batch, deletes nothing of a batch later than [`DELETES`] after that, and writes it again
//! (not running) after the last. A renewal reads it, writes the object and reads it again; it counts
//! only if both were the same and not running.
//!
//! Why nothing is lost: a batch deletes the object only if it was listed before it was renewed, and so
//! its state was written before the second read. That read found no sweep running: this one had ended
//! by then. The first read found the same state: it had ended even before the object was written, and
//! with it its deletions. A state older than [`STALE`] is that of a cleanup that was killed or deletes
//! nothing any more; nor does one that has not had every answer say that it has ended. A second cleanup
//! takes the state over; the first one sees that before it deletes, and until its last deletion can have
//! been sent the state stays one that runs. That holds for every cleanup before it because a state is
//! written only in the place of the one that was read ([`Store::put_sweep`]).

use std::fs::File;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::{PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::{Kind, Put, Store, StoreError, key};
use crate::remote::Bucket;

/// After this time a cleanup that runs is taken for one that was killed.
pub const STALE: Duration = Duration::from_secs(15 * 60);

/// A batch is given up so long after its state was written.
pub const DELETES: Duration = Duration::from_secs(10 * 60);

/// What a cleanup says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sweep {
    format: u64,
    /// Of the cleanup.
    id: String,
    /// Counted anew by each cleanup.
    batch: u64,
    running: bool,
}

impl Sweep {
    /// The first batch of the cleanup `id`.
    pub fn new(id: String) -> Self {
        Sweep { format: 1, id, batch: 1, running: true }
    }

    /// The batch after this.
    pub fn next(&self) -> Self {
        Sweep { batch: self.batch + 1, ..self.clone() }
    }

    /// After the last batch.
    pub fn ended(&self) -> Self {
        Sweep { running: false, ..self.clone() }
    }
}

/// What was found there. Two are equal if the same was written.
#[derive(Clone, Debug)]
pub struct SweepState {
    bytes: Bytes,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
    /// The service's name for this version of it.
    etag: Option<String>,
}

impl PartialEq for SweepState {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl SweepState {
    /// What it says. What is damaged, or of a later format, says nothing.
    fn sweep(&self) -> Option<Sweep> {
        serde_json::from_slice(&self.bytes).ok().filter(|sweep: &Sweep| sweep.format == 1)
    }

    /// Whether it is exactly this.
    pub fn is(&self, sweep: &Sweep) -> bool {
        self.sweep().as_ref() == Some(sweep)
    }

    /// Whether a cleanup may be deleting. What can't be understood is one, until it is stale.
    pub fn is_running(&self, now: SystemTime) -> bool {
        let stale = now.duration_since(self.modified).is_ok_and(|age| age > STALE);
        !stale && self.sweep().is_none_or(|sweep| sweep.running)
    }
}

impl Store {
    /// The state that the last cleanup wrote, if there was any.
    pub async fn sweep_state(&self) -> Result<Option<SweepState>, StoreError> {
        let found = self.get_small_with_meta(&key::sweep(self.remote.prefix())).await?;
        Ok(found.map(|(bytes, meta)| SweepState { bytes, modified: meta.last_modified.into(), etag: meta.e_tag }))
    }

    /// Write a state in the place of `found`, the one that was read. [`Kind::Precondition`]: it is no longer
    /// there. A service that ignores conditions (s3-servers.md: Garage, rclone) or refuses them does not tell.
    pub async fn put_sweep(&self, sweep: &Sweep, found: Option<&SweepState>) -> Result<(), StoreError> {
        let key = key::sweep(self.remote.prefix());
        let json: Bytes = serde_json::to_vec(sweep).expect("strings and numbers always serialize").into();
        let mode = match (self.remote.bucket(), found) {
            // A directory knows no condition but that nothing is there: it is looked at under a lock.
            (Bucket::File(_), _) => PutMode::Overwrite,
            (_, None) => PutMode::Create,
            (_, Some(SweepState { etag: None, .. })) => PutMode::Overwrite,
            (_, Some(SweepState { etag, .. })) => PutMode::Update(UpdateVersion { e_tag: etag.clone(), version: None }),
        };
        let replaced = || StoreError::about_key("write", &key, &self.url, Kind::Precondition, "another was written");
        let _lock = match self.remote.bucket() {
            Bucket::File(dir) => {
                let lock = lock_dir_of(&dir.join(key.as_ref()));
                if self.sweep_state().await?.as_ref() != found {
                    return Err(replaced());
                }
                lock
            }
            Bucket::S3(_) => None,
        };
        match self.put_at(&key, json.clone(), mode).await {
            Ok(Put::Existed) => Err(replaced()),
            Err(e) if e.kind() == Kind::NotFound => Err(replaced()),
            Err(e) if e.kind() == Kind::Encryption => self.put_at(&key, json, PutMode::Overwrite).await.map(drop),
            done => done.map(drop),
        }
    }

    /// The error of a renewal that a cleanup stands in the way of.
    pub fn being_swept(&self) -> StoreError {
        let why = "a cleanup is running there, or was killed less than 15 minutes ago";
        StoreError::about_store("renew", &self.url, Kind::Swept, why)
    }

    /// The error of a deletion that would come too late after its state.
    pub fn sweep_too_slow(&self) -> StoreError {
        let why = format!("this batch took more than {} minutes", DELETES.as_secs() / 60);
        StoreError::about_store("delete", &self.url, Kind::Swept, why)
    }
}

/// The directory of a file, locked until this is dropped: it leaves nothing behind. A filesystem without locks
/// keeps nobody apart.
fn lock_dir_of(path: &std::path::Path) -> Option<File> {
    let dir = path.parent()?;
    std::fs::create_dir_all(dir).ok()?;
    let dir = File::open(dir).ok()?;
    dir.lock().ok()?;
    Some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> SweepState {
        SweepState { bytes: Bytes::copy_from_slice(text.as_bytes()), modified: SystemTime::UNIX_EPOCH, etag: None }
    }

    #[test]
    fn what_runs_runs_until_it_is_stale() {
        let first = Sweep::new("x".to_owned());
        let text = |sweep: &Sweep| serde_json::to_string(sweep).unwrap();
        let soon = SystemTime::UNIX_EPOCH + DELETES;
        let late = SystemTime::UNIX_EPOCH + STALE + Duration::from_secs(1);
        for runs in [&text(&first), &text(&first.next()), "", "{", r#"{"format":2,"running":false}"#] {
            assert!(state(runs).is_running(soon), "{runs:?} may be deleting");
            assert!(!state(runs).is_running(late), "{runs:?} is not there for ever");
        }
        assert!(!state(&text(&first.ended())).is_running(soon));
        assert!(state(&text(&first)).is(&first) && !state(&text(&first)).is(&first.next()));
        assert!(state(&text(&first)) != state(&text(&first.next())), "a batch is seen to be another one");
    }
}
