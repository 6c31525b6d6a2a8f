//! Trying again: the one retry layer of the program.
//!
//! Apart because it must wrap every request to a service and nothing else: each attempt is a request
//! of its own, signed anew, and a service that says how long to wait is obeyed.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};

use crate::store::{Kind, StoreError};

/// How long a failing service is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Patience {
    /// An outage of a minute is sat out.
    #[default]
    Long,
    /// Somebody waits for a commit, which can go without: a service that can't be reached is given up
    /// at once.
    Short,
}

/// A service that asks a commit to wait longer is told that it goes without.
const SHORT_WAIT: Duration = Duration::from_secs(3);

impl Patience {
    /// How long one question (not a transfer of content) may take, with all its tries.
    pub(super) fn for_a_question(self) -> Duration {
        match self {
            Patience::Long => Duration::from_secs(300),
            Patience::Short => Duration::from_secs(8),
        }
    }

    /// How long the end of a cleanup is waited for.
    pub(super) fn for_a_cleanup(self) -> Duration {
        match self {
            Patience::Long => Duration::from_secs(90),
            Patience::Short => Duration::from_secs(3),
        }
    }

    /// 0.2, 0.4, ... 20 seconds, each with as much again as jitter at the most: 85 to 171 seconds in all;
    /// short: 1.4 to 2.8 seconds.
    fn backoff(self) -> ExponentialBuilder {
        let tries = match self {
            Patience::Long => 10,
            Patience::Short => 3,
        };
        let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200));
        backoff.with_max_delay(Duration::from_secs(20)).with_max_times(tries).with_jitter()
    }

    /// How long to wait before each further try.
    pub(super) fn waits(self) -> impl Iterator<Item = Duration> + use<> {
        self.backoff().build()
    }

    fn tries_again(self, error: &StoreError) -> bool {
        let too_long =
            || error.kind() == Kind::Unreachable || error.retry_after().is_some_and(|wait| wait > SHORT_WAIT);
        error.is_transient() && !(self == Patience::Short && too_long())
    }
}

/// Send a request until it succeeds, fails for good, or patience is at its end.
pub async fn retrying<T, F: Future<Output = Result<T, StoreError>>>(
    patience: Patience,
    request: impl FnMut() -> F,
) -> Result<T, StoreError> {
    request
        .retry(patience.backoff())
        .when(|e| patience.tries_again(e))
        .adjust(|e, delay| delay.map(|delay| e.retry_after().map_or(delay, |asked| asked.max(delay))))
        .notify(|e, delay| tracing::info!("{e}; trying again in {:.1} s", delay.as_secs_f32()))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_sat_out_and_no_more_than_three() {
        for _ in 0..100 {
            let waits: Vec<Duration> = Patience::Long.backoff().build().collect();
            let all: Duration = waits.iter().sum();
            assert!((85..=171).contains(&all.as_secs()), "{all:?}");
            assert!(Patience::Short.backoff().build().sum::<Duration>() < Duration::from_secs(3));
        }
        let waits = || Patience::Long.backoff().build().collect::<Vec<_>>();
        assert_ne!(waits(), waits(), "two clients do not knock at the same moments");
    }
}
