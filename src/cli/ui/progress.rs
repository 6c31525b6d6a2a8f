//! Progress of what takes long: a bar on stderr if that is a terminal, else a line now and then.
//!
//! Apart because everything else that is said has to go past the bar, and because nothing here may ever be on
//! stdout. What is over at once shows nothing; `-q` and `--json` show nothing at all.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{bytes, count};
use crate::transfer::{Done, Item, Job, Moved, Report, Transfer};

/// What takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
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
    what: &'static str,
    begun: Instant,
    /// When this wait began: a filter's bar is off the screen between two.
    waits: Instant,
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
}

impl Shown {
    fn new(what: &'static str) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let seconds = std::env::var("S3LFS_PROGRESS").ok().and_then(|text| text.parse().ok());
        let every = seconds.map_or(LINES, Duration::from_secs);
        let form = match () {
            () if OFF.load(Ordering::Relaxed) || super::is_quiet() => Form::Nothing,
            () if io::stderr().is_terminal() && !dumb => Form::Bar(None),
            () if every.is_zero() => Form::Nothing,
            () => Form::Lines(every, every),
        };
        Shown { what, begun: Instant::now(), waits: Instant::now(), form }
    }

    fn update(&mut self, far: Far) {
        let elapsed = self.begun.elapsed();
        match &mut self.form {
            Form::Nothing => {}
            Form::Bar(bar) => {
                if bar.is_none() && self.waits.elapsed() > PATIENCE {
                    let made = make_bar(self.what, far, elapsed);
                    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
                    *bar = Some(made);
                }
                let Some(bar) = bar else { return };
                bar.set_message(far.things());
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
            0 => self.things.to_string(),
            all => format!("{} of {all}", self.things),
        }
    }

    /// For where there is no bar.
    fn line(&self, elapsed: Duration) -> String {
        let rate = self.bytes as f64 / elapsed.as_secs_f64().max(0.001);
        match self.of_bytes {
            Some(all) => {
                let left = all.saturating_sub(self.bytes) as f64 / rate.max(1.0);
                let left = if self.bytes == 0 { String::new() } else { format!(", {} left", span(left)) };
                let (done, all, rate) = (bytes(self.bytes), bytes(all), bytes(rate as u64));
                format!("{}, {done} of {all}, {rate}/s{left}", self.things())
            }
            None => format!("{} in {}", self.things(), span(elapsed.as_secs_f64())),
        }
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

fn make_bar(what: &'static str, far: Far, elapsed: Duration) -> ProgressBar {
    let template = match (far.of_bytes, far.of_things) {
        (Some(_), _) => {
            "{prefix}: {msg} [{bar:20}] {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
        }
        (None, 0) => "{prefix}: {msg} {spinner} {elapsed}",
        (None, _) => "{prefix}: {msg} [{bar:20}] {per_sec}, {eta} left",
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    let all = far.of_bytes.unwrap_or(far.of_things);
    // Git leaves its own line of progress where the bar comes.
    let _ = io::stderr().write_all(b"\r\x1b[K");
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
    bar.set_style(style.progress_chars("=> "));
    bar.with_prefix(what).with_elapsed(elapsed)
}

/// Content on its way, and how far it is.
pub struct Meter {
    shown: Shown,
    far: Far,
    /// Encoded bytes of what is done; the rest of the traffic is of what is on its way.
    settled: u64,
    before: Option<u64>,
}

impl Meter {
    /// Nothing is on its way yet.
    pub fn new(what: &'static str) -> Self {
        let far = Far { of_bytes: Some(0), ..Far::default() };
        Meter { shown: Shown::new(what), far, settled: 0, before: None }
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
        self.settled += moved.map_or(0, encoded);
        self.far.bytes = self.far.bytes.saturating_add(item.size.unwrap_or(0));
    }

    /// Show how far it is. `traffic`: bytes to and from the store so far.
    pub fn tick(&mut self, traffic: u64) {
        let before = *self.before.get_or_insert(traffic);
        // What is on its way counts as it travels; compressed content makes a leap when it has arrived.
        let under_way = (traffic - before).saturating_sub(self.settled);
        let bytes = self.far.bytes.saturating_add(under_way).min(self.far.of_bytes.unwrap_or(u64::MAX));
        self.shown.update(Far { bytes, ..self.far });
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

/// Things that are done one after another, perhaps by several threads.
pub struct Count {
    shown: Mutex<Shown>,
    done: AtomicU64,
    all: u64,
}

impl Count {
    /// `all`: how many there are; 0: nobody knows.
    pub fn new(what: &'static str, all: usize) -> Self {
        Count { shown: Mutex::new(Shown::new(what)), done: AtomicU64::new(0), all: all as u64 }
    }

    /// So many more are done.
    pub fn add(&self, more: usize) {
        let things = self.done.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
        // Whoever finds it taken leaves the showing to the other.
        if let Ok(mut shown) = self.shown.try_lock() {
            shown.update(Far { things, of_things: self.all, ..Far::default() });
        }
    }
}

/// What was moved, for the line at the end.
#[derive(Clone, Copy, Default)]
pub struct Travelled {
    objects: usize,
    encoded: u64,
    content: u64,
    /// Of some, nobody knows how long their content is.
    unknown: bool,
}

impl Travelled {
    /// One more, which took so many bytes on its way.
    pub fn add(&mut self, item: &Item, encoded: u64) {
        self.objects += 1;
        self.encoded += encoded;
        self.content = self.content.saturating_add(item.size.unwrap_or(0));
        self.unknown |= item.size.is_none();
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// `3 objects (12.0 MiB, compressed to 4.1 MiB, in 1.2 s)`.
    pub fn summary(&self, begun: Instant) -> String {
        self.in_words(begun.elapsed())
    }

    fn in_words(&self, took: Duration) -> String {
        let size = match self.content {
            _ if self.unknown => bytes(self.encoded),
            content if content > self.encoded => format!("{}, compressed to {}", bytes(content), bytes(self.encoded)),
            content => bytes(content),
        };
        format!("{} ({size}, in {})", count(self.objects, "object"), span(took.as_secs_f64()))
    }
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
        let far = Far { things: 3, of_things: 10, bytes: 1 << 20, of_bytes: Some(4 << 20) };
        assert_eq!(far.line(Duration::from_secs(2)), "3 of 10, 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6.0 s left");
        let unknown = Far { of_bytes: None, ..far };
        assert_eq!(unknown.line(Duration::from_secs(2)), "3 of 10 in 2.0 s");
    }

    #[test]
    fn a_summary_has_both_sizes_where_they_differ() {
        let words = |items: &[(Option<u64>, u64)]| {
            let mut travelled = Travelled::default();
            for &(size, encoded) in items {
                travelled.add(&Item { oid: Oid::of(b"x"), size }, encoded);
            }
            travelled.in_words(Duration::from_millis(1200))
        };
        assert_eq!(words(&[(Some(3 << 20), 1 << 20)]), "1 object (3.0 MiB, compressed to 1.0 MiB, in 1.2 s)");
        assert_eq!(words(&[(Some(5), 20), (Some(5), 13)]), "2 objects (10 B, in 1.2 s)", "gzip may add a little");
        assert_eq!(words(&[(Some(99), 20), (None, 13)]), "2 objects (33 B, in 1.2 s)");
    }
}
