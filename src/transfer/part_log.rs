//! The state of an unfinished multipart upload, in `uploads/` of the local state.
//!
//! Apart because it must survive a kill and a power loss at any moment: a first line says what is
//! being uploaded, each further line notes one part; lines are only appended, and fsynced. A torn or
//! foreign last line is ignored, and so is everything that was begun differently.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{PathContext, PathError, is_absent, make_dirs, read_optional, share};
use crate::oid::Oid;
use crate::store::codec::{Encoding, encoder};
use crate::store::parts_there::PartThere;

/// Of the log: another one starts anew. (1 noted the hash of each part, which had to be hashed a second time.)
const FORMAT: u64 = 2;

/// What is uploaded, and how it is cut and encoded. Any difference starts anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// The store's URL.
    pub store: String,
    /// The content.
    pub oid: Oid,
    /// Its length in bytes.
    pub size: u64,
    /// Content bytes of a part.
    pub part_len: u64,
    /// How parts are encoded.
    pub encoding: Encoding,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Head {
    format: u64,
    store: String,
    oid: String,
    size: u64,
    part_len: u64,
    /// gzip's level; none: sent as it is.
    gzip: Option<u32>,
    /// What makes gzip's members ([`encoder`]).
    encoder: Option<String>,
    upload_id: String,
}

#[derive(Serialize, Deserialize, Debug)]
struct Line {
    index: usize,
    /// SHA-256 of all content up to the part's end.
    upto: String,
    tag: String,
    /// Its encoded length in bytes.
    len: u64,
}

/// A part that the service has confirmed.
#[derive(Debug)]
struct Part {
    upto: Oid,
    tag: String,
    len: u64,
}

/// The log of one upload.
#[derive(Debug)]
pub(super) struct PartLog {
    plan: Plan,
    path: PathBuf,
    /// Locked, so that two processes do not go on with one upload; `None`: another one does.
    file: Option<File>,
    upload_id: Option<String>,
    parts: BTreeMap<usize, Part>,
    /// An upload of the same content to the same store that was begun differently.
    superseded: Option<String>,
}

impl PartLog {
    /// The log for `plan` beneath `state_dir`, with what an earlier process noted.
    pub fn open(state_dir: &Path, plan: Plan) -> Result<Self, PathError> {
        let dir = state_dir.join("uploads");
        make_dirs(&dir)?;
        let store = Oid::of(plan.store.as_bytes()).short();
        let path = dir.join(format!("{}-{store}", plan.oid));
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path).context("open", &path)?;
        share(&path)?;
        // Another process uploads the same content right now: both finish, and only one is noted.
        let file = file.try_lock().is_ok().then_some(file);
        let mut log = PartLog { plan, path, file, upload_id: None, parts: BTreeMap::new(), superseded: None };
        if log.file.is_some() {
            log.read()?;
        }
        Ok(log)
    }

    /// What is uploaded.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The service's name for the upload, if it was begun.
    pub fn upload_id(&self) -> Option<&str> {
        self.upload_id.as_deref()
    }

    /// Whether another process can go on with it: this one has the log, and no other.
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// The upload that this one takes the place of, once.
    pub fn take_superseded(&mut self) -> Option<String> {
        self.superseded.take()
    }

    /// Send a part again, to see whether the service still knows the upload.
    pub fn doubt(&mut self) {
        self.parts.pop_first();
    }

    /// Whether the service has this part. `upto`: SHA-256 of all content up to its end.
    pub fn has(&self, index: usize, upto: &Oid) -> bool {
        self.parts.get(&index).is_some_and(|part| part.upto == *upto)
    }

    /// Believe only the parts that are `there`. How many were not, and are to be sent again.
    pub fn keep_only(&mut self, there: &BTreeMap<usize, PartThere>) -> usize {
        let before = self.parts.len();
        self.parts.retain(|index, noted| {
            there.get(index).is_some_and(|part| {
                // Not every service says both.
                let same_tag = part.tag.is_empty() || part.tag == noted.tag.trim_matches('"');
                same_tag && part.len == noted.len
            })
        });
        before - self.parts.len()
    }

    /// The service's tags for all parts, in order.
    pub fn tags(&self) -> Vec<String> {
        self.parts.values().map(|part| part.tag.clone()).collect()
    }

    /// Bytes of all parts, if all are there.
    pub fn len(&self) -> Option<u64> {
        let parts = self.plan.size.div_ceil(self.plan.part_len);
        if self.parts.len() as u64 != parts {
            return None;
        }
        Some(self.parts.values().map(|part| part.len).sum())
    }

    /// Note that the upload was begun.
    pub fn begin(&mut self, upload_id: &str) -> Result<(), PathError> {
        self.parts.clear();
        self.upload_id = Some(upload_id.to_owned());
        if let Some(file) = &mut self.file {
            file.set_len(0).and_then(|()| file.rewind()).context("write", &self.path)?;
        }
        self.append(&self.head(upload_id)?)
    }

    /// Note a part that the service has confirmed.
    pub fn add(&mut self, index: usize, upto: Oid, tag: String, len: u64) -> Result<(), PathError> {
        self.append(&Line { index, upto: upto.hex(), tag: tag.clone(), len })?;
        self.parts.insert(index, Part { upto, tag, len });
        Ok(())
    }

    /// The upload is over, or worth nothing.
    pub fn discard(&mut self) -> Result<(), PathError> {
        (self.upload_id, self.parts) = (None, BTreeMap::new());
        if self.file.is_none() {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(e) if !is_absent(&e) => Err(PathError::new("remove", &self.path, e)),
            _ => Ok(()),
        }
    }

    fn head(&self, upload_id: &str) -> Result<Head, PathError> {
        let Plan { store, oid, size, part_len, encoding } = self.plan.clone();
        let gzip = match encoding {
            Encoding::Raw => None,
            Encoding::Gzip { level } => Some(level),
        };
        let encoder = encoder(encoding).context("name the encoder of", &self.path)?;
        let (oid, upload_id) = (oid.hex(), upload_id.to_owned());
        Ok(Head { format: FORMAT, store, oid, size, part_len, gzip, encoder, upload_id })
    }

    fn append(&self, line: &impl Serialize) -> Result<(), PathError> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let mut bytes = serde_json::to_vec(line).expect("texts and numbers always serialize");
        bytes.push(b'\n');
        file.write_all(&bytes).and_then(|()| file.sync_data()).context("write", &self.path)
    }

    fn read(&mut self) -> Result<(), PathError> {
        let bytes = read_optional(&self.path)?.unwrap_or_default();
        let mut lines = bytes.split_inclusive(|&b| b == b'\n').filter(|line| line.ends_with(b"\n"));
        // A torn last line would swallow the next one.
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        if let Some(file) = &self.file
            && whole < bytes.len()
        {
            file.set_len(whole as u64).context("write", &self.path)?;
        }
        let Some(head) = lines.next().and_then(|line| serde_json::from_slice::<Head>(line).ok()) else { return Ok(()) };
        if head != self.head(&head.upload_id)? {
            let same = head.store == self.plan.store && head.oid == self.plan.oid.hex();
            self.superseded = same.then_some(head.upload_id);
            return Ok(());
        }
        self.upload_id = Some(head.upload_id);
        for line in lines {
            let Ok(line) = serde_json::from_slice::<Line>(line) else { break };
            if let Ok(upto) = line.upto.parse() {
                self.parts.insert(line.index, Part { upto, tag: line.tag, len: line.len });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { store: "s3://b/p".into(), oid: Oid::of(b"x"), size: 99, part_len: 10, encoding: Encoding::Raw }
    }

    #[test]
    fn another_process_goes_on_where_this_one_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = PartLog::open(dir.path(), plan()).unwrap();
        log.begin("id").unwrap();
        log.add(1, Oid::of(b"one"), "t1".into(), 10).unwrap();
        log.add(0, Oid::of(b"zero"), "t0".into(), 10).unwrap();
        let path = log.path.clone();
        drop(log);
        fs::write(&path, [fs::read(&path).unwrap(), b"{\"index\":2,\"upt".to_vec()].concat()).unwrap();
        let log = PartLog::open(dir.path(), plan()).unwrap();
        assert_eq!((log.upload_id(), log.tags()), (Some("id"), vec!["t0".to_owned(), "t1".to_owned()]));
        assert!(log.has(0, &Oid::of(b"zero")) && !log.has(0, &Oid::of(b"other")) && !log.has(2, &Oid::of(b"x")));
        let mut log = log;
        log.add(2, Oid::of(b"two"), "t2".into(), 5).unwrap();
        drop(log);
        let log = PartLog::open(dir.path(), plan()).unwrap();
        assert_eq!(log.len(), None, "there are ten");
        assert_eq!(log.tags().len(), 3, "what is noted after a torn line is not lost");
    }

    #[test]
    fn any_difference_starts_anew() {
        let gzip = |level| Plan { encoding: Encoding::Gzip { level }, ..plan() };
        for (begun, other) in [
            (plan(), Plan { part_len: 11, ..plan() }),
            (plan(), Plan { encoding: Encoding::COMPRESSED, ..plan() }),
            (plan(), Plan { size: 98, ..plan() }),
            (gzip(3), gzip(4)),
        ] {
            let dir = tempfile::tempdir().unwrap();
            PartLog::open(dir.path(), begun).unwrap().begin("id").unwrap();
            let mut log = PartLog::open(dir.path(), other).unwrap();
            assert_eq!(log.upload_id(), None);
            assert_eq!(log.take_superseded().as_deref(), Some("id"), "which is to be thrown away");
        }
    }

    #[test]
    fn the_log_of_another_store_or_content_is_none_of_this_upload() {
        for other in [Plan { store: "s3://b/q".into(), ..plan() }, Plan { oid: Oid::of(b"y"), ..plan() }] {
            let dir = tempfile::tempdir().unwrap();
            let mut log = PartLog::open(dir.path(), plan()).unwrap();
            log.begin("id").unwrap();
            log.add(0, Oid::of(b"zero"), "t0".into(), 10).unwrap();
            let written = log.path.clone();
            drop(log);
            let log = PartLog::open(dir.path(), other.clone()).unwrap();
            assert_eq!(log.upload_id(), None, "{other:?} has a log of its own");
            let path = log.path.clone();
            drop(log);
            fs::copy(&written, &path).unwrap();
            let mut log = PartLog::open(dir.path(), other.clone()).unwrap();
            assert!(log.upload_id().is_none() && log.tags().is_empty(), "{other:?}: what the log says counts");
            assert_eq!(log.take_superseded(), None, "the upload is somebody else's, and is left alone");
        }
    }

    #[test]
    fn what_another_encoder_began_starts_anew() {
        let gzip = || Plan { encoding: Encoding::COMPRESSED, ..plan() };
        let name = encoder(Encoding::COMPRESSED).unwrap().unwrap();
        for other in ["null", "\"1048576-0000\""] {
            let dir = tempfile::tempdir().unwrap();
            let mut log = PartLog::open(dir.path(), gzip()).unwrap();
            log.begin("id").unwrap();
            log.add(0, Oid::of(b"zero"), "t0".into(), 10).unwrap();
            let path = log.path.clone();
            drop(log);
            let log = PartLog::open(dir.path(), gzip()).unwrap();
            assert_eq!(log.upload_id(), Some("id"), "the same encoder goes on");
            drop(log);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(&name), "it is noted");
            fs::write(&path, text.replace(&format!("\"{name}\""), other)).unwrap();
            let mut log = PartLog::open(dir.path(), gzip()).unwrap();
            assert!(log.upload_id().is_none() && log.tags().is_empty(), "parts of two encoders make no object");
            assert_eq!(log.take_superseded().as_deref(), Some("id"), "which is to be thrown away");
        }
    }

    #[test]
    fn two_at_once_do_not_share_an_upload() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = PartLog::open(dir.path(), plan()).unwrap();
        first.begin("first").unwrap();
        let mut second = PartLog::open(dir.path(), plan()).unwrap();
        assert_eq!(second.upload_id(), None, "the log is in use");
        second.begin("second").unwrap();
        second.discard().unwrap();
        drop(first);
        assert_eq!(PartLog::open(dir.path(), plan()).unwrap().upload_id(), Some("first"));
    }
}
