//! Progress of what takes long: a bar on stderr if that is a terminal, else a line now and then.
//!
//! Apart because everything else that is said has to go past the bar, and because nothing here may ever be on
//! stdout. What is over at once shows nothing; `-q` and `--json` show nothing at all.

mod count;
mod reading;
mod travelled;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::bytes;
use crate::transfer::{Done, Item, Job, Moved, Report, Transfer};
pub use count::Count;
pub use reading::Reading;
pub use travelled::Travelled;

/// What takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// Also of reading one file, which Git may ask for in the midst of something of its own.
const PATIENCE_READING: Duration = Duration::from_secs(1);
/// Without a terminal, a line comes so often, unless `S3LFS_PROGRESS` says another number of seconds (0: none).
const LINES: Duration = Duration::from_secs(30);

/// The bar on the screen.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);
static OFF: AtomicBool = AtomicBool::new(false);

/// Show nothing from now on.
pub fn off() {
    OFF.store(true, Ordering::Relaxed);
}

/// Say something on stderr, with the bar out of the way.
pub(super) fn past<T>(say: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(say),
        None => say(),
    }
}

/// Take the bar off the screen: the process is about to end.
pub fn clear() {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// How one operation is shown.
struct Shown {
    what: String,
    begun: Instant,
    /// When this wait began: a filter's bar is off the screen between two.
    waits: Instant,
    patience: Duration,
    form: Form,
}

enum Form {
    Nothing,
    /// Made when it has been waited for long enough.
    Bar(Option<ProgressBar>),
    /// The next one comes then.
    Lines(Duration, Duration),
}

/// How far an operation is: of what there is to do, what is done.
#[derive(Clone, Copy, Default)]
struct Far {
    things: u64,
    /// 0: nobody knows.
    of_things: u64,
    bytes: u64,
    /// `None`: nobody knows.
    of_bytes: Option<u64>,
    pace: Pace,
}

/// What the time was needed for: neither content that was there already, nor what compression took from it, has travelled.
#[derive(Clone, Copy, Default)]
struct Pace {
    /// Bytes that went over the line, encoded.
    travelled: u64,
    /// Bytes of the content that came to its place by that.
    content: u64,
}

impl Shown {
    fn new(what: impl Into<String>) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let seconds = std::env::var("S3LFS_PROGRESS").ok().and_then(|text| text.parse().ok());
        let every = seconds.map_or(LINES, Duration::from_secs);
        let form = match () {
            () if OFF.load(Ordering::Relaxed) || super::is_quiet() => Form::Nothing,
            () if io::stderr().is_terminal() && !dumb => Form::Bar(None),
            () if every.is_zero() => Form::Nothing,
            () => Form::Lines(every, every),
        };
        Shown { what: what.into(), begun: Instant::now(), waits: Instant::now(), patience: PATIENCE, form }
    }

    fn update(&mut self, far: Far) {
        let elapsed = self.begun.elapsed();
        match &mut self.form {
            Form::Nothing => {}
            Form::Bar(bar) => {
                if bar.is_none() && self.waits.elapsed() > self.patience {
                    let made = make_bar(far, elapsed);
                    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
                    *bar = Some(made);
                }
                let Some(bar) = bar else { return };
                bar.set_prefix(format!("{}: {}", self.what, far.things()));
                bar.set_message(far.pace.in_words(&far, elapsed));
                match far.of_bytes {
                    Some(all) => {
                        bar.set_length(all);
                        bar.set_position(far.bytes.max(bar.position()));
                    }
                    None => bar.set_position(far.things),
                }
            }
            Form::Lines(next, every) => {
                if elapsed >= *next {
                    *next = elapsed + *every;
                    super::say(format!("{}: {}", self.what, far.line(elapsed)));
                }
            }
        }
    }

    /// Off the screen until something is waited for again.
    fn hide(&mut self) {
        if let Form::Bar(bar) = &mut self.form
            && bar.take().is_some()
        {
            clear();
        }
        self.waits = Instant::now();
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.hide();
    }
}

impl Far {
    fn things(&self) -> String {
        match self.of_things {
            // One that is read, without an end in sight.
            0 if self.things == 0 => bytes(self.bytes),
            0 => self.things.to_string(),
            all => format!("{} of {all}", self.things),
        }
    }

    /// For where there is no bar.
    fn line(&self, elapsed: Duration) -> String {
        match self.of_bytes {
            Some(all) => {
                let (done, all, pace) = (bytes(self.bytes), bytes(all), self.pace.in_words(self, elapsed));
                format!("{}, {done} of {all}{pace}", self.things())
            }
            None => format!("{} in {}", self.things(), span(elapsed.as_secs_f64())),
        }
    }
}

impl Pace {
    /// `, 1.2 MiB/s, 3.0 s left`.
    fn in_words(self, far: &Far, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = bytes((self.travelled as f64 / seconds) as u64);
        let left = far.of_bytes.map(|all| all.saturating_sub(far.bytes) as f64).filter(|_| self.content > 0);
        let left = left.map(|left| format!(", {} left", span(left * seconds / self.content as f64)));
        format!(", {rate}/s{}", left.unwrap_or_default())
    }
}

/// A time for people: `1.2 s`, `3 min 5 s`, `2 h 10 min`.
pub fn span(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {} s", (s / 60.0) as u64, (s % 60.0) as u64),
        s => format!("{} h {} min", (s / 3600.0) as u64, (s % 3600.0 / 60.0) as u64),
    }
}

fn make_bar(far: Far, elapsed: Duration) -> ProgressBar {
    let template = match (far.of_bytes, far.of_things) {
        (Some(_), _) => "{prefix} [{bar:20}] {binary_bytes}/{binary_total_bytes}{msg}",
        (None, 0) => "{prefix} {spinner} {elapsed}",
        (None, _) => "{prefix} [{bar:20}] {per_sec}, {eta} left",
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    let all = far.of_bytes.unwrap_or(far.of_things);
    // Git leaves its own line of progress where the bar comes.
    let _ = io::stderr().write_all(b"\r\x1b[K");
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
    bar.set_style(style.progress_chars("=> "));
    bar.with_elapsed(elapsed)
}

/// Content on its way, and how far it is.
pub struct Meter {
    shown: Shown,
    far: Far,
    /// Encoded bytes of what is done; the rest of the traffic is of what is on its way.
    settled: u64,
    before: Option<u64>,
    /// As it was shown last.
    last: Far,
}

impl Meter {
    /// Nothing is on its way yet.
    pub fn new(what: &'static str) -> Self {
        let far = Far { of_bytes: Some(0), ..Far::default() };
        Meter { shown: Shown::new(what), far, settled: 0, before: None, last: far }
    }

    /// One more will come. Content of which nobody knows the length is counted, not measured; a pointer may say
    /// that it has any length.
    pub fn expect(&mut self, item: &Item) {
        self.far.of_things += 1;
        self.far.of_bytes = self.far.of_bytes.zip(item.size).and_then(|(all, size)| all.checked_add(size));
    }

    /// One has ended.
    pub fn done(&mut self, item: &Item, moved: Option<Moved>) {
        self.far.things += 1;
        let size = item.size.unwrap_or(0);
        self.settled += moved.map_or(0, encoded);
        self.far.bytes = self.far.bytes.saturating_add(size);
        if moved.is_some_and(|moved| encoded(moved) > 0) {
            self.far.pace.content = self.far.pace.content.saturating_add(size);
        }
    }

    /// Show how far it is. `traffic`: bytes to and from the store so far.
    pub fn tick(&mut self, traffic: u64) {
        let before = *self.before.get_or_insert(traffic);
        // What is on its way counts as it travels; compressed content makes a leap when it has arrived.
        let under_way = (traffic - before).saturating_sub(self.settled);
        let bytes = self.far.bytes.saturating_add(under_way).min(self.far.of_bytes.unwrap_or(u64::MAX));
        // What is read from a directory is no traffic, but it is settled.
        let travelled = (traffic - before).max(self.settled);
        let content = self.far.pace.content.saturating_add(under_way);
        self.last = Far { bytes, pace: Pace { travelled, content }, ..self.far };
        self.shown.update(self.last);
    }

    /// Off the screen, until the next tick of a wait that takes long.
    pub fn hide(&mut self) {
        self.shown.hide();
    }
}

fn encoded(moved: Moved) -> u64 {
    match moved {
        Moved::Bytes(n) => n,
        Moved::Elsewhere { bytes, .. } => bytes,
        Moved::AlreadyThere | Moved::Aged => 0,
    }
}

/// Run `jobs` to their end, and show how far they are. They are gone through twice: a copy of the list costs memory,
/// a list that is only looked at does not.
pub fn run<I: IntoIterator<Item = Job, IntoIter: Clone>>(
    transfer: &mut Transfer,
    what: &'static str,
    jobs: I,
) -> Report {
    let jobs = jobs.into_iter();
    let mut meter = Meter::new(what);
    jobs.clone().for_each(|job| meter.expect(&job.item()));
    meter.tick(transfer.store().traffic());
    transfer.run_watched(jobs, |store, ended| {
        if let Some(Done { job, result }) = ended {
            meter.done(&job.item(), result.as_ref().ok().copied());
        }
        meter.tick(store.traffic());
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!([span(1.24), span(185.0), span(7800.0)], ["1.2 s", "3 min 5 s", "2 h 10 min"]);
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let pace = Pace { travelled: 1 << 20, content: 1 << 20 };
        let far = Far { things: 3, of_things: 10, bytes: 1 << 20, of_bytes: Some(4 << 20), pace };
        assert_eq!(far.line(Duration::from_secs(2)), "3 of 10, 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6.0 s left");
        let unknown = Far { of_bytes: None, ..far };
        assert_eq!(unknown.line(Duration::from_secs(2)), "3 of 10 in 2.0 s");
    }

    /// As at a commit, of which the store has most already: that is no speed.
    #[test]
    fn what_was_there_already_is_counted_and_does_not_count_as_fast() {
        let item = |size| Item { oid: Oid::of(b"x"), size: Some(size) };
        let mut meter = Meter::new("Uploading");
        let shown = |meter: &mut Meter, traffic| {
            meter.tick(traffic);
            meter.last.line(Duration::from_secs(2))
        };
        [1 << 30, 1 << 20, 1 << 20].map(item).iter().for_each(|item| meter.expect(item));
        assert_eq!(shown(&mut meter, 500), "0 of 3, 0 B of 1.0 GiB, 0 B/s", "what travelled before is none of it");
        meter.done(&item(1 << 30), Some(Moved::AlreadyThere));
        assert_eq!(shown(&mut meter, 500), "1 of 3, 1.0 GiB of 1.0 GiB, 0 B/s");
        // Compressed to a quarter.
        meter.done(&item(1 << 20), Some(Moved::Bytes(1 << 18)));
        let line = shown(&mut meter, 500 + (1 << 18));
        assert_eq!(
            line, "2 of 3, 1.0 GiB of 1.0 GiB, 128.0 KiB/s, 2.0 s left",
            "by what travelled, and what it stands for"
        );
    }
}
