//! Marks: when a cleanup first saw an object unreachable, in `<prefix>/cleanup/<2 hex>.json`.
//!
//! Apart because they are what makes deleting slow on purpose: the age of garbage counts from its
//! mark, and a mark goes when the object is reachable again. Losing marks costs time and no object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use object_store::PutMode;
use serde::{Deserialize, Serialize};

use super::{Kind, Store, StoreError, key};
use crate::oid::Oid;

/// The marks of the oids that begin with one byte, each with the store's time.
pub type Marks = BTreeMap<Oid, SystemTime>;

#[derive(Serialize, Deserialize)]
struct File {
    format: u64,
    /// Oid to RFC 3339, UTC.
    unreachable: BTreeMap<String, String>,
}

impl Store {
    /// The shards that have marks.
    pub async fn marked_shards(&self) -> Result<BTreeSet<u8>, StoreError> {
        let keys = self.list(&key::all_marks(self.remote.prefix())).await?;
        let shard = |meta: &object_store::ObjectMeta| {
            u8::from_str_radix(meta.location.filename()?.strip_suffix(".json").filter(|name| name.len() == 2)?, 16).ok()
        };
        Ok(keys.iter().filter_map(shard).collect())
    }

    /// The marks of one shard. A damaged file has none: its objects are seen for the first time.
    pub async fn marks(&self, shard: u8) -> Result<Marks, StoreError> {
        let key = key::marks(self.remote.prefix(), shard);
        let Some(bytes) = self.get_small(&key).await? else { return Ok(Marks::new()) };
        let Ok(file) = serde_json::from_slice::<File>(&bytes) else {
            tracing::warn!("{key} is damaged; what it marked is taken for seen today");
            return Ok(Marks::new());
        };
        if file.format > 1 {
            let why = format!("it has format {}; update s3lfs", file.format);
            return Err(StoreError::about_key("read", &key, &self.url, Kind::Failed, why));
        }
        let mark = |(oid, time): (&String, &String)| {
            let oid = Oid::from_hex(oid.as_bytes()).filter(|oid| oid.as_bytes()[0] == shard)?;
            Some((oid, DateTime::parse_from_rfc3339(time).ok()?.into()))
        };
        Ok(file.unreachable.iter().filter_map(mark).collect())
    }

    /// Put these marks in the place of a shard's. Times are kept to the millisecond.
    pub async fn put_marks(&self, shard: u8, marks: &Marks) -> Result<(), StoreError> {
        let key = key::marks(self.remote.prefix(), shard);
        // An empty file says what none says. A second cleanup that writes marks at this moment loses them
        // either way, by a file in their place or by none: that costs time and no object. Where deleting
        // is not allowed, an empty one stays.
        if marks.is_empty() && self.delete_small(&key).await.is_ok() {
            return Ok(());
        }
        let text = |time: &SystemTime| DateTime::<Utc>::from(*time).to_rfc3339_opts(SecondsFormat::Millis, true);
        let unreachable = marks.iter().map(|(oid, time)| (oid.hex(), text(time))).collect();
        let json = serde_json::to_vec(&File { format: 1, unreachable }).expect("strings always serialize");
        self.put_at(&key, json.into(), PutMode::Overwrite).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::remote::Remote;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn marks_come_back_and_broken_ones_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let remote = Remote::new(&format!("file://{}", dir.path().display()), "p", None).unwrap();
        let store = Store::open(&remote, &Default::default()).unwrap();
        assert!(run(store.marked_shards()).unwrap().is_empty());
        let oid = Oid::of(b"a");
        let shard = oid.as_bytes()[0];
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        run(store.put_marks(shard, &Marks::from([(oid, time)]))).unwrap();
        assert_eq!(run(store.marks(shard)).unwrap(), Marks::from([(oid, time)]));
        assert_eq!(run(store.marked_shards()).unwrap(), BTreeSet::from([shard]));
        for _ in 0..2 {
            run(store.put_marks(shard, &Marks::new())).unwrap();
            assert!(run(store.marked_shards()).unwrap().is_empty(), "an empty file does not stay");
        }
        run(store.put_marks(shard, &Marks::from([(oid, time)]))).unwrap();
        let path = dir.path().join(format!("p/cleanup/{shard:02x}.json"));
        for damaged in ["", "{", "[]", r#"{"format": 1, "unreachable": {"x": "y"}}"#] {
            std::fs::write(&path, damaged).unwrap();
            assert!(run(store.marks(shard)).unwrap().is_empty(), "{damaged:?} marks nothing");
        }
        std::fs::write(&path, r#"{"format": 2, "unreachable": {}}"#).unwrap();
        assert!(run(store.marks(shard)).is_err(), "a later format is not guessed at");
    }
}
