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
//! nothing any more; nor does one that has not had every answer say that it has ended. A second cleanup takes the state over; the first one sees that before it deletes,
//! and until its last deletion can have been sent the state stays one that runs.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::PutMode;
use serde::{Deserialize, Serialize};

use super::{Kind, Store, StoreError, key};

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
        let found = self.get_small_dated(&key::sweep(self.remote.prefix())).await?;
        Ok(found.map(|(bytes, modified)| SweepState { bytes, modified }))
    }

    /// Write a state in the place of what is there.
    pub async fn put_sweep(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let json = serde_json::to_vec(sweep).expect("strings and numbers always serialize");
        self.put_at(&key::sweep(self.remote.prefix()), json.into(), PutMode::Overwrite).await.map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> SweepState {
        SweepState { bytes: Bytes::copy_from_slice(text.as_bytes()), modified: SystemTime::UNIX_EPOCH }
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
