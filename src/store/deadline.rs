//! How long a service is waited for, and whose fault it is that nothing came.
//!
//! Apart because a request has two halves: somebody gives credentials, which may take a user's hand, and then the service
//! answers.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use object_store::path::Path;

use super::{Backend, Kind, Store, StoreError};

impl Store {
    /// Sending can't be seen to stall (the client's read time-out counts from its start), so it gets a
    /// deadline by its length. On a slow line that many requests share, it would never be met: it grows.
    pub(super) async fn within_deadline<T>(
        &self,
        key: &Path,
        len: u64,
        request: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        let deadline = write_deadline(len, self.quirks.late_writes.load(Ordering::Relaxed));
        let mut request = pin!(request);
        loop {
            match tokio::time::timeout(deadline, &mut request).await {
                Ok(sent) => return Ok(sent),
                // Nothing is sent yet, and that is not the service's fault.
                Err(_) if self.asks_for_credentials() => {}
                Err(_) => break,
            }
        }
        self.quirks.late_writes.fetch_add(1, Ordering::Relaxed);
        let why = format!("the service took no {len} bytes within {} seconds", deadline.as_secs());
        Err(StoreError::about_key("write", key, &self.url, Kind::Busy, why))
    }

    /// Whether somebody is being asked for credentials right now.
    fn asks_for_credentials(&self) -> bool {
        matches!(&self.backend, Backend::S3(s3) if s3.asks_for_credentials())
    }

    /// The error of a question that got no answer in time.
    pub fn no_answer(&self, waited: Duration) -> StoreError {
        let waited = waited.as_secs();
        if self.asks_for_credentials() {
            let why = format!("whoever is to give them did not answer within {waited} seconds");
            return StoreError::about_store("ask for", &self.url, Kind::Credentials, why);
        }
        let why = format!("no answer within {waited} seconds");
        StoreError::about_store("ask for", &self.url, Kind::Unreachable, why)
    }
}

/// 30 seconds, and then 32 KiB a second; half as fast after each write that was not taken in time, down
/// to 2 KiB a second.
fn write_deadline(len: u64, late: u32) -> Duration {
    Duration::from_secs(30 + (len << late.min(4)) / (32 << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_line_gets_more_time_and_not_for_ever() {
        let seconds = |len, late| write_deadline(len, late).as_secs();
        assert_eq!([seconds(0, 0), seconds(0, 99)], [30, 30], "a small write is not waited for longer");
        assert_eq!([0, 1, 4, 5, 1000].map(|late| seconds(8 << 20, late)), [286, 542, 4126, 4126, 4126]);
    }
}
