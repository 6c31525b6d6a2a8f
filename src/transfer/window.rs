//! How many requests are in flight: as many as the service bears, and as help.
//!
//! Apart because this is congestion control and knows nothing of objects. It is TCP's way (RFC 5681, "Congestion
//! Control Algorithms"): more with each round of answers while they come as soon as before, since then the service
//! is far and not busy; half as many when it says that there are too many (503 SlowDown, "Best practices design
//! patterns: optimizing Amazon S3 performance").

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::{Kind, StoreError};

/// Requests in flight at first: enough for what is near.
const START: usize = 64;
/// At the most: each has a connection, which takes memory here and there.
const MOST: usize = 256;
/// Files that a job for large content has open besides its connection: its log, what came so far, what becomes of it.
const FILES: usize = 3;
/// A service that refuses is still sent so many at a time.
const LEAST: usize = 4;
/// What is refused within this time is refused for the same reason.
const SPELL: Duration = Duration::from_secs(1);

/// Leave to work on jobs, and to send requests for them.
pub(super) struct Window {
    /// Jobs that are being worked on; the others wait as a few words each.
    working: Semaphore,
    /// Those of them for large content. They are not more at a distance: one has several requests in flight by itself,
    /// and open files.
    large: Semaphore,
    /// Requests in flight.
    requests: Semaphore,
    pace: Mutex<Pace>,
}

impl Window {
    /// `jobs`: so many at the most. `None`: as many as the service bears; in a directory there is none, and more only
    /// take memory.
    pub(super) fn new(jobs: Option<usize>, is_service: bool) -> Self {
        let start = jobs.unwrap_or(START).max(1);
        let most = if jobs.is_none() && is_service { within_descriptors(MOST).max(start) } else { start };
        Window {
            working: Semaphore::new(start),
            large: Semaphore::new(start),
            requests: Semaphore::new(start),
            pace: Mutex::new(Pace::new(start, most)),
        }
    }

    /// Requests that may ever be in flight.
    pub(super) fn most(&self) -> usize {
        self.pace().most
    }

    /// Leave to work on a job.
    pub(super) async fn job(&self, is_large: bool) -> Turn<'_> {
        // In this order: one that waits for others that are large keeps no turn from the small ones.
        let large = if is_large { Some(acquired(&self.large).await) } else { None };
        Turn { _working: acquired(&self.working).await, _large: large }
    }

    /// Wait for something while another job has the turn of this one.
    pub(super) async fn lending_turn<T>(&self, wait: impl Future<Output = T>) -> T {
        self.working.add_permits(1);
        let waited = wait.await;
        // The job gives it back when it ends.
        acquired(&self.working).await.forget();
        waited
    }

    /// Whether any job has its turn.
    pub(super) fn is_working(&self) -> bool {
        let turns = self.pace().turns;
        self.working.available_permits() < turns
    }

    /// Leave to send one request.
    pub(super) async fn request(&self) -> InFlight<'_> {
        InFlight { window: self, permit: Some(acquired(&self.requests).await) }
    }

    /// A request that had leave was answered after `took`. Told before it gives its leave back.
    pub(super) fn answered(&self, took: Duration) {
        let mut pace = self.pace();
        let (more, turns) = (pace.answered(took, self.requests.available_permits()), pace.turns);
        self.requests.add_permits(more);
        pace.turns = turns.max(pace.now);
        self.working.add_permits(pace.turns - turns);
    }

    /// A request failed. Most errors say nothing of how busy the service is.
    pub(super) fn failed(&self, error: &StoreError) {
        if error.kind() == Kind::Busy {
            self.pace().refused(Instant::now());
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquired(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore.acquire().await.expect("the semaphore is never closed")
}

/// A job's turn, for as long as it lives.
pub(super) struct Turn<'a> {
    _working: SemaphorePermit<'a>,
    _large: Option<SemaphorePermit<'a>>,
}

/// One request in flight, for as long as it lives.
pub(super) struct InFlight<'a> {
    window: &'a Window,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut pace = self.window.pace();
        if pace.owed > 0 {
            pace.owed -= 1;
            self.permit.take().into_iter().for_each(SemaphorePermit::forget);
        }
    }
}

/// What is known of the service.
struct Pace {
    /// Requests that may be in flight.
    now: usize,
    most: usize,
    /// Jobs that may have their turn: as many as `now` ever was.
    turns: usize,
    /// Requests that were in flight when `now` became smaller: they do not pass their leave on.
    owed: usize,
    /// How long answers of this round took.
    round: Vec<Duration>,
    /// How many of them came while most of what may be in flight was.
    full: usize,
    /// A quarter of a round's answers came within this time, in the fastest round.
    fastest: Duration,
    /// When the service last had too many.
    refused: Option<Instant>,
}

impl Pace {
    fn new(start: usize, most: usize) -> Self {
        let (round, full, fastest) = (Vec::new(), 0, Duration::MAX);
        Pace { now: start, most, turns: start, owed: 0, round, full, fastest, refused: None }
    }

    /// One more answer, while `free` more requests might have been in flight: how many more may be.
    fn answered(&mut self, took: Duration, free: usize) -> usize {
        if self.now >= self.most {
            return 0;
        }
        self.round.push(took);
        self.full += usize::from(free * 4 <= self.now);
        if self.round.len() < self.now {
            return 0;
        }
        // A quarter, and neither the mean nor all: what opens a connection takes longer, and some always do.
        let quarter = self.round.len() / 4;
        let quarter = *self.round.select_nth_unstable(quarter).1;
        let is_full = self.full * 2 >= self.round.len();
        self.begin_round();
        self.fastest = self.fastest.min(quarter);
        if !is_full || quarter > self.fastest * 5 / 4 {
            return 0;
        }
        // Up to what was too many once it is felt for.
        let more = if self.refused.is_some() { self.now.div_ceil(16) } else { self.now.div_ceil(2) };
        let more = more.min(self.most - self.now);
        self.now += more;
        let kept = more.min(self.owed);
        self.owed -= kept;
        more - kept
    }

    /// The service has too many.
    fn refused(&mut self, at: Instant) {
        let is_known = self.refused.is_some_and(|last| at.saturating_duration_since(last) < SPELL);
        if is_known {
            return;
        }
        let fewer = (self.now / 2).max(LEAST).min(self.now);
        self.owed += self.now - fewer;
        self.now = fewer;
        self.refused = Some(at);
        self.begin_round();
    }

    fn begin_round(&mut self) {
        self.round.clear();
        self.full = 0;
    }
}

/// As many as there may be open files for: each job has a connection and a file, and large ones some more.
fn within_descriptors(most: usize) -> usize {
    #[cfg(unix)]
    {
        /// What the program, its libraries and large content have open besides.
        const OTHERS: u64 = (64 + START * FILES) as u64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.map_or(most, |files| most.min((files.saturating_sub(OTHERS) / 2) as usize))
    }
    #[cfg(not(unix))]
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(100);

    /// A round of answers, all of which took so long while all leave was taken.
    fn round(pace: &mut Pace, took: Duration) -> usize {
        (0..pace.now).map(|_| pace.answered(took, 0)).sum()
    }

    #[test]
    fn what_is_far_and_not_busy_gets_more_to_a_bound() {
        let mut pace = Pace::new(START, MOST);
        let mut grown = Vec::new();
        for _ in 0..6 {
            round(&mut pace, FAR);
            grown.push(pace.now);
        }
        assert_eq!(grown, [96, 144, 216, 256, 256, 256]);
    }

    #[test]
    fn what_takes_longer_the_more_it_gets_gets_no_more() {
        let mut pace = Pace::new(START, MOST);
        for _ in 0..100 {
            let took = FAR * pace.now as u32 / START as u32;
            round(&mut pace, took);
        }
        assert_eq!(pace.now, 96, "one round more shows that it does not help");
    }

    #[test]
    fn connections_that_are_opened_do_not_count_as_a_busy_service() {
        let mut pace = Pace::new(START, MOST);
        round(&mut pace, FAR * 3);
        for number in 0..pace.now {
            // Two thirds have theirs already.
            pace.answered(if number < START { FAR } else { FAR * 3 }, 0);
        }
        assert_eq!(pace.now, 144);
    }

    #[test]
    fn who_does_not_use_what_may_be_in_flight_gets_no_more() {
        let mut pace = Pace::new(START, MOST);
        for _ in 0..1000 {
            assert_eq!(pace.answered(FAR, START / 2), 0);
        }
    }

    #[test]
    fn a_refusal_halves_what_is_in_flight_and_then_it_grows_by_little() {
        let mut pace = Pace::new(START, MOST);
        let first = Instant::now();
        for _ in 0..20 {
            pace.refused(first);
        }
        assert_eq!((pace.now, pace.owed), (32, 32), "those that were refused together count once");
        assert_eq!(round(&mut pace, FAR), 0, "leave that did not come back yet is not given again");
        assert_eq!((pace.now, pace.owed), (34, 30));
        for number in 1..20 {
            pace.refused(first + SPELL * number);
        }
        assert_eq!(pace.now, LEAST);
        let mut given = Pace::new(2, 2);
        given.refused(first);
        assert_eq!((given.now, given.owed), (2, 0));
    }

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn leave_is_neither_lost_nor_doubled() {
        block_on(leave_goes_round());
    }

    #[test]
    fn large_content_gets_no_more_at_a_distance_and_keeps_no_turn_from_small() {
        block_on(async {
            let window = Window::new(None, true);
            window.working.add_permits(MOST - START);
            let mut turns = Vec::new();
            for _ in 0..START {
                turns.push(window.job(true).await);
            }
            let soon = Duration::from_millis(20);
            assert!(tokio::time::timeout(soon, window.job(true)).await.is_err(), "one more that is large waits");
            for _ in START..MOST {
                turns.push(window.job(false).await);
            }
            assert!(tokio::time::timeout(soon, window.job(false)).await.is_err(), "all turns are taken");
            turns.clear();
            assert_eq!((window.large.available_permits(), window.working.available_permits()), (START, MOST));
        });
    }

    async fn leave_goes_round() {
        let window = Window::new(None, true);
        let mut sent = Vec::new();
        for _ in 0..START {
            sent.push(window.request().await);
        }
        window.pace().refused(Instant::now());
        assert_eq!(window.requests.available_permits(), 0);
        sent.clear();
        assert_eq!(window.requests.available_permits(), START / 2);
        for _ in 0..1000 {
            let sent = window.request().await;
            let free = window.requests.available_permits();
            drop(sent);
            assert_eq!(free + 1, window.pace().now);
        }
        // Grown again, all of it can be had, and no more.
        for _ in 0..200 {
            let now = window.pace().now;
            for _ in 0..now {
                sent.push(window.request().await);
            }
            sent.iter().for_each(|_| window.answered(FAR));
            sent.clear();
        }
        let now = window.pace().now;
        assert_eq!(now, window.most());
        assert_eq!(window.requests.available_permits(), window.most());
        assert_eq!(window.working.available_permits(), window.most(), "each has a job");
        assert!(!window.is_working());
    }

    #[test]
    fn a_number_that_was_given_is_the_most_and_a_directory_gets_no_more() {
        assert_eq!(Window::new(Some(8), true).most(), 8);
        assert_eq!(Window::new(None, false).most(), START);
        assert_eq!(Window::new(None, true).most(), within_descriptors(MOST).max(START));
    }
}
