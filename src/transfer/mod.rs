//! The transfer engine: jobs in, results out; the one place where blocking code meets tokio.
//!
//! The runtime is built when the first job starts, so that `git add` and `git status` never have
//! one. Each oid is on its way once in each direction; how many are at a time, `window` says.

mod behind;
mod content;
mod download;
mod error;
mod filling;
mod item;
mod listing;
mod multipart;
mod part_log;
mod partial;
mod presence;
mod question;
mod reading;
mod receive;
mod renewal;
mod retry;
mod running;
mod sizes;
mod sources;
mod twin;
mod upload;
mod window;

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tracing::{Instrument, Span};

pub use error::TransferError;
pub use item::{Item, PACKED};
pub use listing::Deadline;
pub use presence::Presence;
pub use reading::ReadingStore;
pub use retry::Patience;
pub use running::Report;
pub use sizes::Judged;
pub use twin::Twins;
use window::{InFlight, Window};

use crate::cache::LocalCache;
use crate::oid::Oid;
use crate::store::codec::Compression;
use crate::store::{Store, StoreError};

/// One piece of content, and which way it goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Job {
    /// From the cache to the store. Content that only the store has is well there, too.
    Upload(Item),
    /// As [`Job::Upload`], but the store is asked before anything is sent: it is likely there.
    Prove(Item),
    /// As [`Job::Upload`], but content that a reading store has is well there, too.
    Ensure(Item),
    /// Into the store whether it is there or not, so that its age starts anew; from the store itself
    /// where the cache has it not.
    Renew(Item),
    /// From the store to the cache.
    Download(Item),
}

impl Job {
    /// The content.
    pub fn item(&self) -> Item {
        match self {
            Job::Upload(item) | Job::Prove(item) | Job::Ensure(item) | Job::Renew(item) | Job::Download(item) => *item,
        }
    }

    /// For as long as it has its turn, in a trace.
    fn span(&self) -> Span {
        let title = match self {
            Job::Upload(_) => "upload",
            Job::Prove(_) => "prove",
            Job::Ensure(_) => "ensure",
            Job::Renew(_) => "renew",
            Job::Download(_) => "download",
        };
        tracing::debug_span!("job", title, oid = %self.item().oid, size = self.item().size)
    }
}

/// How a job ended well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moved {
    /// Bytes were moved: their number, as they are encoded in the store.
    Bytes(u64),
    /// It was there already.
    AlreadyThere,
    /// It was there already, and for so long that a cleanup may take it unless something published
    /// names it: that is not proved.
    Aged,
    /// It came from a reading store, or is there and not in the store.
    Elsewhere {
        /// Which of them, counted from 0.
        store: usize,
        /// Bytes that were moved; 0 if it was only found there.
        bytes: u64,
    },
}

/// A job that has ended.
#[derive(Debug)]
pub struct Done {
    /// The job.
    pub job: Job,
    /// How it ended.
    pub result: Result<Moved, TransferError>,
}

/// What a wait for the next ended job brought.
#[derive(Debug)]
pub enum NextDone {
    /// A job ended.
    Done(Done),
    /// None did within the time given.
    Timeout,
    /// None is on its way.
    Idle,
}

/// Limits and choices of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests in flight at the most; `None`: as many as the service bears.
    pub jobs: Option<usize>,
    /// How new objects are encoded.
    pub compression: Compression,
    /// How long a failing service is waited for.
    pub patience: Patience,
}

/// What every job shares.
struct Engine {
    cache: LocalCache,
    store: Store,
    /// Asked after the store.
    reading: Vec<ReadingStore>,
    options: Options,
    /// Jobs and requests at a time.
    window: Window,
    /// Bytes of objects in memory, in KiB.
    memory: Arc<Semaphore>,
    /// Coding and hashing going on: more than there are cores gains nothing, and each thread that
    /// allocates buffers keeps some of them (glibc has an arena for each).
    coding: Semaphore,
    /// Until when renewals wait for a cleanup, while they do.
    waits: Mutex<Option<Instant>>,
    /// What the last cleanup says of itself, and since when that is known; or why it is not.
    swept: tokio::sync::Mutex<Option<renewal::Known>>,
    /// Who wants large content a second time.
    twins: OnceLock<Arc<dyn Twins>>,
}

/// Bytes of objects that all jobs together hold in memory. With what allocator, connections and the
/// program itself take, a process stays below 128 MiB (tests/suite/s3/memory.rs).
const MEMORY: u64 = 40 << 20;

/// Threads for files and for what libraries do beside the jobs. Each job has one thread at the most that
/// waits for the network (a decoder for its next piece), so that these are always free to go on; without
/// a limit, deleting many files of a directory starts 512 threads, which take 40 MiB.
const SPARE: usize = 8;

/// The engine. Dropping it breaks off what is on its way; nothing half-written stays visible.
pub struct Transfer {
    engine: Arc<Engine>,
    runtime: Option<Runtime>,
    running: HashSet<Job>,
    results: (Sender<Done>, Receiver<Done>),
}

impl Transfer {
    /// An engine between `cache` and `store`; no thread is started yet. What `store` does not have is
    /// looked for in `reading`, in this order.
    pub fn new(cache: LocalCache, store: Store, reading: Vec<ReadingStore>, options: Options) -> Self {
        let memory = Arc::new(Semaphore::new((MEMORY >> 10) as usize));
        let coding = Semaphore::new(cores());
        let window = Window::new(options.jobs, store.is_service());
        let (waits, swept, twins) = (Mutex::default(), tokio::sync::Mutex::default(), OnceLock::new());
        let engine = Engine { cache, store, options, window, memory, coding, waits, swept, reading, twins };
        let engine = Arc::new(engine);
        Transfer { engine, runtime: None, running: HashSet::new(), results: channel() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.engine.store
    }

    /// The stores that are only read.
    pub fn reading(&self) -> &[ReadingStore] {
        &self.engine.reading
    }

    /// Large content that is downloaded from now on is wanted a second time. Said once.
    pub fn want_twins(&self, twins: Arc<dyn Twins>) {
        let said = self.engine.twins.set(twins);
        debug_assert!(said.is_ok(), "there is one who wants them");
    }

    /// Start a job, unless the same one is on its way; whether it was started.
    pub fn start(&mut self, job: Job) -> bool {
        if !self.running.insert(job) {
            return false;
        }
        let engine = Arc::clone(&self.engine);
        let results = self.results.0.clone();
        self.runtime().spawn(async move {
            // A task of its own, so that a panic in it still ends in an answer.
            let task = tokio::spawn({
                let engine = Arc::clone(&engine);
                async move { engine.run(job).await }
            });
            let key = || engine.store.key(&job.item().oid).to_string();
            let result = task.await.unwrap_or_else(|_| Err(TransferError::BrokenOff { key: key() }));
            // Nobody listens any more only when the engine is being dropped.
            let _ = results.send(Done { job, result });
        });
        true
    }

    /// Wait for the next job to end, at most for `patience`.
    pub fn next_done(&mut self, patience: Duration) -> NextDone {
        if self.running.is_empty() {
            return NextDone::Idle;
        }
        let done = match self.results.1.try_recv() {
            Err(TryRecvError::Empty) if !patience.is_zero() => self.results.1.recv_timeout(patience),
            Err(_) => Err(RecvTimeoutError::Timeout),
            Ok(done) => Ok(done),
        };
        match done {
            Ok(done) => {
                self.running.remove(&done.job);
                NextDone::Done(done)
            }
            Err(_) => NextDone::Timeout,
        }
    }

    fn runtime(&mut self) -> &Runtime {
        let jobs = self.engine.window.most();
        self.runtime.get_or_insert_with(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(cores())
                .max_blocking_threads(jobs + SPARE)
                .thread_name("s3lfs-transfer")
                .enable_all()
                .build()
                .expect("threads can be started")
        })
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    async fn run(self: Arc<Self>, job: Job) -> Result<Moved, TransferError> {
        // What has no known size may be large.
        let _turn = self.window.job(job.item().size.is_none_or(|size| size > upload::ONE_REQUEST)).await;
        // Apart from what waits for its turn, since it takes some KiB.
        Box::pin(self.work(job)).instrument(job.span()).await
    }

    async fn work(self: &Arc<Self>, job: Job) -> Result<Moved, TransferError> {
        match job {
            Job::Upload(item) => upload::upload(self, item).await,
            Job::Prove(item) => upload::prove(self, item).await,
            Job::Ensure(item) => upload::ensure(self, item).await,
            Job::Renew(item) => upload::renew(self, item).await,
            Job::Download(item) => Box::pin(download::download(self, item)).await,
        }
    }

    /// Wait for something without keeping other jobs from their turn. No job is broken off but with the whole engine, so
    /// none is while it waits here.
    async fn between_jobs<T>(&self, wait: impl Future<Output = T>) -> T {
        self.window.lending_turn(wait).await
    }

    /// Whether any job has its turn.
    fn is_writing(&self) -> bool {
        self.window.is_working()
    }

    /// Leave to send one request, of which `window` learns nothing.
    async fn request(&self) -> InFlight<'_> {
        self.window.request().await
    }

    /// Send one request when there is leave to.
    async fn send<T>(&self, request: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let _in_flight = self.request().await;
        let sent = Instant::now();
        let answer = request.await;
        match &answer {
            Ok(_) => self.window.answered(sent.elapsed()),
            Err(e) => self.window.failed(e),
        }
        answer
    }

    /// Ask a store something, again if it fails for the moment.
    async fn asking<T, F>(&self, question: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        retry::retrying(self.options.patience, || self.send(question())).await
    }

    /// Leave to encode or decode what is at hand. Never held while waiting for the network.
    async fn coding(&self) -> SemaphorePermit<'_> {
        self.coding.acquire().await.expect("the semaphore is never closed")
    }

    /// Leave for as much more of it as nobody else wants, up to `most`, if there is any.
    fn more_coding(&self, most: u64) -> Option<SemaphorePermit<'_>> {
        let more = most.min(self.coding.available_permits() as u64) as u32;
        self.coding.try_acquire_many(more).ok().filter(|_| more > 0)
    }

    /// Leave to hold `len` bytes of an object in memory. More than there is at all counts as all.
    async fn reserve(&self, len: u64) -> OwnedSemaphorePermit {
        let kib = len.min(MEMORY).div_ceil(1 << 10).max(1);
        let memory = Arc::clone(&self.memory);
        memory.acquire_many_owned(kib as u32).await.expect("the semaphore is never closed")
    }

    /// Leave to go on holding `len` bytes, if nobody waits for memory and a good part of it stays free.
    fn reserve_spare(&self, len: u64) -> Option<OwnedSemaphorePermit> {
        const STAYS: usize = (MEMORY >> 12) as usize;
        let kib = len.div_ceil(1 << 10).max(1) as usize;
        let is_free = self.memory.available_permits() >= kib + STAYS;
        is_free.then(|| Arc::clone(&self.memory).try_acquire_many_owned(kib as u32).ok()).flatten()
    }

    /// Give back what was reserved beyond `len`.
    fn keep_only(reserved: &mut OwnedSemaphorePermit, len: u64) {
        let kib = len.div_ceil(1 << 10).max(1) as usize;
        drop(reserved.split(reserved.num_permits().saturating_sub(kib)));
    }

    fn names(&self, oid: &Oid) -> (String, String) {
        (self.store.key(oid).to_string(), self.store.remote().to_string())
    }

    fn not_in_cache(&self, oid: &Oid) -> TransferError {
        let (key, store) = self.names(oid);
        TransferError::Nowhere { key, store }
    }
}

/// Threads that are worth while.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4))
}

/// Run blocking code on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
