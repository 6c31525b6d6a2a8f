//! Renewal: writing an object so that it counts, beside cleanups that may have seen an old one in its place.
//!
//! Apart because it is the pusher's half of an agreement; `store::sweeping` says why nothing is lost.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Engine, Moved, TransferError};
use crate::oid::Oid;
use crate::store::sweeping::SweepState;
use crate::store::{Kind, StoreError};

/// So many cleanups begin while one object is written, at the most.
const TRIES: usize = 5;

/// Between two looks whether a cleanup has ended.
const LOOKS: Duration = Duration::from_millis(500);

/// `write` an object that may be there, until no cleanup ran meanwhile.
pub(super) async fn beside_cleanups<F>(engine: &Arc<Engine>, write: impl Fn() -> F) -> Result<Moved, TransferError>
where
    F: Future<Output = Result<Moved, TransferError>>,
{
    for _ in 0..TRIES {
        let before = Box::pin(quiet(engine)).await?;
        let moved = write().await?;
        if Box::pin(state(engine)).await? == before {
            return Ok(moved);
        }
        tracing::info!("a cleanup began while an object was written: it is written again");
    }
    Err(engine.store.being_swept().into())
}

/// The store's times are to the second, and its machines' clocks differ a little.
const INEXACT: Duration = Duration::from_secs(120);

/// `write` an object that was not there. It may be so because a cleanup has just deleted it, and a second
/// request to do that is on its way: another cleanup's, or one that was long in coming. So the state is read
/// afterwards; if a cleanup runs, or ran a moment ago, which has marked the object, it counts when it is
/// still there after that.
pub(super) async fn new_beside_cleanups<F>(
    engine: &Arc<Engine>,
    oid: &Oid,
    began: Instant,
    write: impl Fn() -> F,
) -> Result<Moved, TransferError>
where
    F: Future<Output = Result<Moved, TransferError>>,
{
    for _ in 0..TRIES {
        let moved = write().await?;
        let written = Instant::now();
        let Some(state) = engine.between_jobs(state_after(engine, written)).await? else { return Ok(moved) };
        let now = engine.store.now();
        let ended_before = now.duration_since(state.modified).is_ok_and(|age| age > began.elapsed() + INEXACT);
        if !state.is_running(now) && ended_before {
            return Ok(moved);
        }
        let marks = Box::pin(engine.asking(|| engine.store.marks(oid.as_bytes()[0]))).await?;
        if !marks.contains_key(oid) {
            return Ok(moved);
        }
        Box::pin(quiet(engine)).await?;
        if Box::pin(engine.asking(|| engine.store.head(oid))).await?.is_some() {
            return Ok(moved);
        }
        tracing::info!("a cleanup deleted an object that had just been written: it is written again");
    }
    Err(engine.store.being_swept().into())
}

/// So long is waited for others that write, so that one look at the state serves all.
const OTHERS: Duration = Duration::from_secs(1);

/// When nobody else writes any more, or after [`OTHERS`].
async fn others_end(engine: &Engine) {
    let began = Instant::now();
    while engine.is_writing() && began.elapsed() < OTHERS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a look at the state told, and since when that is so.
pub(super) type Known = (Instant, Result<Option<SweepState>, StoreError>);

/// The state, read after `since`. Many objects that are written at a time share one request: the first waits for the
/// others, and they for it. They share its failure, too: else each would try for as long again.
async fn state_after(engine: &Engine, since: Instant) -> Result<Option<SweepState>, StoreError> {
    let mut last = engine.swept.lock().await;
    if let Some((known, state)) = &*last
        && *known >= since
    {
        return state.clone();
    }
    others_end(engine).await;
    let asked = Instant::now();
    let state = Box::pin(state(engine)).await;
    *last = Some((if state.is_ok() { asked } else { Instant::now() }, state.clone()));
    state
}

/// The state when no cleanup runs. All that wait wait together: a thousand objects take no longer.
async fn quiet(engine: &Engine) -> Result<Option<SweepState>, StoreError> {
    loop {
        let state = state(engine).await?;
        let runs = state.as_ref().is_some_and(|state| state.is_running(engine.store.now()));
        match waits_until(engine, runs) {
            None => return Ok(state),
            Some(until) if Instant::now() >= until => return Err(engine.store.being_swept()),
            Some(_) => tokio::time::sleep(LOOKS).await,
        }
    }
}

fn waits_until(engine: &Engine, runs: bool) -> Option<Instant> {
    let mut waits = engine.waits.lock().unwrap_or_else(PoisonError::into_inner);
    if !runs {
        *waits = None;
        return None;
    }
    Some(*waits.get_or_insert_with(|| {
        tracing::warn!("a cleanup is running in {}; waiting for its end", engine.store.remote());
        Instant::now() + engine.options.patience.for_a_cleanup()
    }))
}

/// Who may not list a bucket is told of a missing object, too, that it is forbidden (`upload::tells_nothing`):
/// for him no cleanup has ever run.
async fn state(engine: &Engine) -> Result<Option<SweepState>, StoreError> {
    match engine.asking(|| engine.store.sweep_state()).await {
        Err(e) if e.kind() == Kind::Denied => Ok(None),
        state => state,
    }
}
