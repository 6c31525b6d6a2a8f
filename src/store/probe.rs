//! The probe: a small object of s3lfs's own, by which `doctor` sees what a store permits.
//!
//! Apart because it is the only key that is written to be deleted: it lies beneath `<prefix>/doctor/`, where
//! no reader, listing or cleanup looks. Each method is one request, as uploads and downloads send it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::multipart::MultipartStore;
use object_store::{CredentialProvider, MultipartId, PutMode};

use super::connect::Backend;
use super::credentials::Origin;
use super::{Key, Put, Signing, Store, StoreError, key};
use crate::remote::Bucket;

/// A probe that is older than this was left by a doctor that was killed.
const LEFT: Duration = Duration::from_secs(3600);

impl Store {
    /// A key that nobody else uses.
    pub fn probe(&self) -> Key {
        key::probe(self.remote.prefix(), &uuid::Uuid::new_v4().to_string())
    }

    /// Write the probe with the headers of an upload, encryption among them; [`PutMode::Create`] as uploads
    /// of small objects are offered.
    pub async fn put_probe(&self, probe: &Key, bytes: Bytes, mode: ProbeMode) -> Result<Put, StoreError> {
        let mode = match mode {
            ProbeMode::Always => PutMode::Overwrite,
            ProbeMode::IfAbsent => PutMode::Create,
        };
        self.put_at(probe, bytes, mode).await
    }

    /// Read the probe. `None`: it is not there.
    pub async fn get_probe(&self, probe: &Key) -> Result<Option<Bytes>, StoreError> {
        self.get_small(probe).await
    }

    /// Look for the probe: its length in bytes. `None`: it is not there.
    pub async fn head_probe(&self, probe: &Key) -> Result<Option<u64>, StoreError> {
        Ok(self.look_for(probe).await?.map(|meta| meta.size))
    }

    /// Begin a multipart upload of the probe at a service. `None`: a directory has no such uploads.
    pub async fn begin_probe(&self, probe: &Key) -> Result<Option<MultipartId>, StoreError> {
        let Backend::S3(s3) = &self.backend else { return Ok(None) };
        s3.writes.create_multipart(probe).await.map(Some).map_err(|e| self.error("begin to upload", probe, &e))
    }

    /// Send the one part of that upload, and have the object made of it: with a key of KMS that wants another permission
    /// than a write as a whole ("Multipart upload API and permissions" in the S3 user guide).
    pub async fn complete_probe(&self, probe: &Key, id: &MultipartId, bytes: Bytes) -> Result<(), StoreError> {
        let Backend::S3(s3) = &self.backend else { return Ok(()) };
        let part = s3.writes.put_part(probe, id, 0, bytes.into()).await;
        let part = part.map_err(|e| self.error("upload a part of", probe, &e))?;
        let made = s3.writes.complete_multipart(probe, id, vec![part]).await;
        made.map(drop).map_err(|e| self.error("complete the upload of", probe, &e))
    }

    /// Throw that upload away.
    pub async fn abort_probe(&self, probe: &Key, id: &MultipartId) -> Result<(), StoreError> {
        let Backend::S3(s3) = &self.backend else { return Ok(()) };
        s3.writes.abort_multipart(probe, id).await.map_err(|e| self.error("give up", probe, &e))
    }

    /// Delete the probe, and the directory that it alone needed.
    pub async fn delete_probe(&self, probe: &Key) -> Result<(), StoreError> {
        let deleted = self.delete_keys(std::slice::from_ref(probe)).await?;
        deleted.into_iter().collect::<Result<(), StoreError>>()?;
        if let Bucket::File(root) = self.remote.bucket() {
            // One that another doctor uses is not empty, and stays.
            let _ = std::fs::remove_dir(root.join(key::probes(self.remote.prefix()).as_ref()));
        }
        Ok(())
    }

    /// Probes that an earlier doctor was killed over.
    pub async fn left_probes(&self) -> Result<Vec<Key>, StoreError> {
        let under = key::probes(self.remote.prefix());
        let listed = self.list(&under).await?;
        let now = self.now();
        let old = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age > LEFT);
        let listed = listed.into_iter().filter(|meta| old(meta.last_modified.into())).map(|meta| meta.location);
        Ok(listed.filter(|key| key::is_probe(self.remote.prefix(), key)).collect())
    }

    /// Where the credentials come from that sign requests. `None`: nothing is signed.
    pub async fn origin(&self, signing: Signing) -> Result<Option<Origin>, StoreError> {
        let Backend::S3(s3) = &self.backend else { return Ok(None) };
        if signing == Signing::Anonymous {
            return Ok(None);
        }
        let Some(chain) = s3.line.credentials.get() else { return Ok(Some(Origin::of_environment())) };
        chain.get_credential().await.map_err(|e| self.error("sign requests for", &Key::ROOT, &e))?;
        Ok(chain.origin())
    }

    /// Seconds by which the service's clock is ahead of ours. `None`: it did not say yet.
    pub fn clock_ahead(&self) -> Option<i64> {
        let Backend::S3(s3) = &self.backend else { return None };
        s3.line.ahead()
    }
}

/// Whether the probe is written over what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeMode {
    /// Whatever is there.
    Always,
    /// Only where nothing is: `If-None-Match`.
    IfAbsent,
}
