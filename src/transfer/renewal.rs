//! Renewal: writing over an old object so that it counts again, beside cleanups that may have seen it
//! old.
//!
//! Apart because it is the pusher's half of an agreement; `store::sweeping` says why nothing is lost.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Engine, Moved, TransferError};
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
        let before = quiet(engine).await?;
        let moved = write().await?;
        if state(engine).await? == before {
            return Ok(moved);
        }
        tracing::info!("a cleanup began while an object was written: it is written again");
    }
    Err(engine.store.being_swept().into())
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
