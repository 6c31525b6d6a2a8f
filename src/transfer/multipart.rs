//! Large content to a service: parts in parallel, and going on where another process stopped.
//!
//! Apart because an interrupted upload must never begin a long list of parts anew (design.md, section
//! 3): every part that the service confirmed is noted, and believed later only if upload, encoding,
//! cutting and the content up to the part's end are the same.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::content::Content;
use super::part_log::{PartLog, Plan};
use super::retry::{Patience, retrying};
use super::upload::{is_fresh, tells_nothing};
use super::{Engine, Moved, TransferError};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::store::codec::{Encoding, MEMBER_LEN};
use crate::store::{Kind, StoreError};

/// Content bytes of a part that is sent as it is.
const RAW_PART: u64 = 8 << 20;
/// Content bytes of a part that is compressed: so many that what is left is a part that S3 accepts, and so
/// few that there is memory to compress one while others are sent.
const GZIP_PART: RangeInclusive<u64> = 8 << 20..=32 << 20;
/// What such a part is to become: more than S3's least, since a sample is only a sample.
const COMPRESSED_PART: u64 = 7 << 20;
/// S3 allows 10,000 parts; a few stay in reserve.
const MAX_PARTS: u64 = 9_900;
/// Parts of one object that are on their way at once.
const PARTS: usize = 4;

/// Upload `pointer`'s content in parts, going on with an unfinished upload if there is one.
pub(super) async fn upload(engine: &Arc<Engine>, pointer: Pointer) -> Result<Moved, TransferError> {
    let content = Content::open(engine, pointer).await?;
    let plan = Plan {
        store: engine.store.remote().to_string(),
        oid: pointer.oid,
        size: pointer.size,
        part_len: part_len(pointer.size, content.encoding(), content.percent()),
        encoding: content.encoding(),
    };
    let mut log = PartLog::open(engine.cache.root(), plan)?;
    if let Some(old) = log.take_superseded() {
        // Nobody will ever complete it, and its parts cost money.
        give_up(engine, &pointer.oid, &old).await;
    }
    let mut done = go_on(engine, pointer, content, &mut log).await;
    if let Err(TransferError::Store(e)) = &done
        && e.kind() == Kind::LostPart
        && forget_lost(engine, &pointer.oid, &mut log, e).await
    {
        done = go_on(engine, pointer, Content::open(engine, pointer).await?, &mut log).await;
    }
    let forgotten = match &done {
        Err(TransferError::Store(e)) => is_forgotten(engine, &pointer.oid, &log, e).await,
        _ => false,
    };
    let done = match done {
        Err(_) if forgotten => {
            // It was completed by a request whose answer was lost, or has been thrown away there.
            let len = log.len();
            log.discard()?;
            match is_fresh(engine, pointer.into()).await {
                Ok(Some(true)) => {
                    is_there(engine, &pointer.oid, len).await?;
                    return Ok(Moved::AlreadyThere);
                }
                Err(e) if !tells_nothing(&e) => return Err(e),
                _ => {}
            }
            let content = Content::open(engine, pointer).await?;
            go_on(engine, pointer, content, &mut log).await
        }
        Err(TransferError::Store(e)) if e.kind() == Kind::LostPart => {
            tracing::warn!("{e}; all parts are sent again");
            if let Some(id) = log.upload_id().map(str::to_owned) {
                give_up(engine, &pointer.oid, &id).await;
            }
            log.discard()?;
            let content = Content::open(engine, pointer).await?;
            go_on(engine, pointer, content, &mut log).await
        }
        done => done,
    };
    if let (Err(e), Some(id)) = (&done, log.upload_id()) {
        let useless = !log.is_kept() || matches!(e, TransferError::DamagedCache { .. });
        let id = id.to_owned();
        if useless && give_up(engine, &pointer.oid, &id).await {
            log.discard()?;
        }
    }
    done
}

/// Whether the service does not know the upload any more. One that only ever answers 500 to its parts (moto does) is
/// asked for their list: without that, an upload that was thrown away there could never be gone on with.
async fn is_forgotten(engine: &Engine, oid: &Oid, log: &PartLog, why: &StoreError) -> bool {
    match (why.kind(), log.upload_id()) {
        (Kind::NoSuchUpload, _) => true,
        (Kind::Busy, Some(id)) if why.retry_after().is_none() => {
            let there = engine.store.parts_there(oid, &id.to_owned()).await;
            matches!(there, Err(e) if e.kind() == Kind::NoSuchUpload)
        }
        _ => false,
    }
}

/// Ask which parts the service still has, so that only the others are sent again. `false`: it does not say, or has them
/// all by its own word.
async fn forget_lost(engine: &Engine, oid: &Oid, log: &mut PartLog, why: &StoreError) -> bool {
    let Some(id) = log.upload_id().map(str::to_owned) else { return false };
    match engine.asking(|| engine.store.parts_there(oid, &id)).await {
        Ok(there) => {
            let lost = log.keep_only(&there);
            if lost > 0 {
                tracing::warn!("{why}; {lost} of its parts sent again");
            }
            lost > 0
        }
        Err(e) => {
            tracing::info!("{e}");
            false
        }
    }
}

/// Send what the service does not have yet, and let the object appear.
async fn go_on(
    engine: &Arc<Engine>,
    pointer: Pointer,
    content: Content,
    log: &mut PartLog,
) -> Result<Moved, TransferError> {
    let mut sent = send(engine, pointer, content, log).await?;
    match complete(engine, &pointer.oid, log, Patience::Short).await {
        Err(e) if e.is_transient() => {
            // Ceph RGW (16) answers 500 for ever when the upload was thrown away there. To a part it
            // says so: one is sent again.
            if e.kind() == Kind::Busy && e.retry_after().is_none() {
                log.doubt();
                sent += send(engine, pointer, Content::open(engine, pointer).await?, log).await?;
            }
            complete(engine, &pointer.oid, log, engine.options.patience).await?;
        }
        done => done?,
    }
    // The word of the service is not enough: whoever prunes his cache relies on the object being whole.
    match is_there(engine, &pointer.oid, log.len()).await {
        Err(e) if !tells_nothing(&e) => return Err(e),
        // The log stays: the next one who looks may find it.
        Ok(false) => return Err(engine.store.not_completed(&pointer.oid).into()),
        _ => {}
    }
    log.discard()?;
    Ok(Moved::Bytes(sent))
}

/// Whether the object is there, with the length that it should have: an error if it has another one.
async fn is_there(engine: &Engine, oid: &Oid, len: Option<u64>) -> Result<bool, TransferError> {
    let found = engine.asking(|| engine.store.head(oid)).await?;
    match (found, len) {
        (Some(found), Some(len)) if found.len != len => Err(engine.store.lost_part(oid, found.len, len).into()),
        (found, _) => Ok(found.is_some()),
    }
}

async fn complete(engine: &Engine, oid: &Oid, log: &PartLog, patience: Patience) -> Result<(), StoreError> {
    let id = log.upload_id().unwrap_or_default().to_owned();
    retrying(patience, || engine.send(engine.store.complete(oid, &id, log.tags()))).await
}

/// Have the service throw the parts of an upload away. `false`: it may still have them.
async fn give_up(engine: &Engine, oid: &Oid, id: &String) -> bool {
    let aborted = retrying(Patience::Short, || engine.send(engine.store.abort(oid, id)));
    match aborted.await {
        Ok(()) => true,
        Err(e) if matches!(e.kind(), Kind::NoSuchUpload | Kind::NotFound) => true,
        Err(e) => {
            tracing::warn!("{e}");
            false
        }
    }
}

/// Parts grow with the file, in whole gzip members. `percent`: what is left of them.
fn part_len(size: u64, encoding: Encoding, percent: u64) -> u64 {
    let least = match encoding {
        Encoding::Raw => RAW_PART,
        Encoding::Gzip { .. } => (COMPRESSED_PART * 100 / percent.max(1)).clamp(*GZIP_PART.start(), *GZIP_PART.end()),
    };
    size.div_ceil(MAX_PARTS).max(least).next_multiple_of(MEMBER_LEN)
}

/// Send the parts that the service did not confirm yet: how many bytes.
async fn send(
    engine: &Arc<Engine>,
    pointer: Pointer,
    mut content: Content,
    log: &mut PartLog,
) -> Result<u64, TransferError> {
    let id = match log.upload_id() {
        Some(id) => id.to_owned(),
        None => {
            let id = retrying(engine.options.patience, || engine.send(engine.store.begin(&pointer.oid)));
            let id = id.await?;
            log.begin(&id)?;
            id
        }
    };
    let part_len = log.plan().part_len;
    let mut sending: JoinSet<Result<SentPart, StoreError>> = JoinSet::new();
    let mut sent = 0;
    let mut failed = None;
    for index in 0.. {
        let mut reserved = engine.reserve(content.takes(part_len)).await;
        let (rest, part) = match content.next_part(part_len).await {
            Ok(next) => next,
            Err(e) => {
                failed = Some(e);
                break;
            }
        };
        content = rest;
        Engine::keep_only(&mut reserved, part.encoded.len() as u64);
        let upto = part.upto;
        if !log.has(index, &upto) {
            sent += part.encoded.len() as u64;
            let (engine, id, len) = (Arc::clone(engine), id.clone(), part.encoded.len() as u64);
            sending.spawn(async move {
                let _reserved = reserved;
                let tag = retrying(engine.options.patience, || {
                    engine.send(engine.store.put_part(&pointer.oid, &id, index, part.encoded.clone()))
                });
                Ok(SentPart { index, upto, tag: tag.await?, len })
            });
        }
        while sending.len() >= PARTS && failed.is_none() {
            failed = note(sending.join_next().await, log).err();
        }
        if part.last || failed.is_some() {
            break;
        }
    }
    while !sending.is_empty() {
        // Parts that arrive are noted even after a failure: the next process need not send them.
        let noted = note(sending.join_next().await, log);
        failed = failed.or(noted.err());
    }
    failed.map_or(Ok(sent), Err)
}

struct SentPart {
    index: usize,
    upto: Oid,
    tag: String,
    len: u64,
}

type Joined = Option<Result<Result<SentPart, StoreError>, tokio::task::JoinError>>;

fn note(joined: Joined, log: &mut PartLog) -> Result<(), TransferError> {
    match joined {
        None => Ok(()),
        Some(Ok(sent)) => {
            let sent = sent?;
            Ok(log.add(sent.index, sent.upto, sent.tag, sent.len)?)
        }
        Some(Err(_)) => Err(TransferError::BrokenOff { key: log.plan().oid.hex() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_of_whole_members() {
        for size in [9 << 20, 80 << 30, 300 << 30, 5u64 << 40] {
            for encoding in [Encoding::Raw, Encoding::COMPRESSED] {
                for percent in [0, 1, 33, 40, 90, 100, 104] {
                    let len = part_len(size, encoding, percent);
                    assert!(size.div_ceil(len) <= 10_000, "S3 takes the parts of {size} bytes");
                    assert!(len.is_multiple_of(MEMBER_LEN), "a part is whole gzip members");
                }
            }
        }
        assert_eq!(part_len(1 << 30, Encoding::Raw, 100), RAW_PART);
        assert_eq!(part_len(1 << 30, Encoding::COMPRESSED, 40), 20 << 20, "what becomes 8 MiB");
        assert_eq!(part_len(1 << 30, Encoding::COMPRESSED, 2), 32 << 20, "as much as there is memory for");
    }
}
