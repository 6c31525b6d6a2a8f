//! Objects written in parts.
//!
//! Apart because a directory and a service differ here: a directory takes parts in order and forgets
//! them with the process; a service names the upload, so that another process can go on with it
//! ("Uploading and copying objects using multipart upload" in the S3 user guide).

use bytes::Bytes;
use http::Method;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, MultipartUpload, ObjectStoreExt, PutPayload};

use super::asking::{Question, read_xml};
use super::connect::{Backend, S3};
use super::{Kind, Store, StoreError};
use crate::oid::Oid;

/// A directory's object being written part after part; it appears when it is complete.
pub struct Parts {
    store: Store,
    key: Path,
    upload: Box<dyn MultipartUpload>,
}

impl Parts {
    /// Send the next part.
    pub async fn put(&mut self, part: Bytes) -> Result<(), StoreError> {
        let len = part.len();
        let sent = self.upload.put_part(PutPayload::from(part)).await.inspect(|()| self.store.travelled(len));
        sent.map_err(|e| self.store.error("write", &self.key, &e))
    }

    /// Make the object appear.
    pub async fn complete(mut self) -> Result<(), StoreError> {
        let done = self.upload.complete().await;
        done.map(drop).map_err(|e| self.store.error("complete", &self.key, &e))
    }

    /// Throw the parts away.
    pub async fn abort(mut self) -> Result<(), StoreError> {
        self.upload.abort().await.map_err(|e| self.store.error("give up", &self.key, &e))
    }
}

impl Store {
    /// Begin to write an object to a directory in parts.
    pub async fn put_parts(&self, oid: &Oid) -> Result<Parts, StoreError> {
        let key = self.key(oid);
        let upload = self.writes().put_multipart(&key).await.map_err(|e| self.error("write", &key, &e))?;
        Ok(Parts { store: self.clone(), key, upload })
    }

    /// Begin a multipart upload at a service: its id.
    pub async fn begin(&self, oid: &Oid) -> Result<MultipartId, StoreError> {
        let key = self.key(oid);
        let s3 = self.service(&key)?;
        if s3.beginning.is_empty() {
            return s3.writes.create_multipart(&key).await.map_err(|e| self.error("write", &key, &e));
        }
        let question = Question {
            method: Method::POST,
            at: &key,
            query: vec![("uploads".to_owned(), String::new())],
            headers: s3.beginning.clone(),
        };
        let body = self.ask_by_url(s3, question, ("write", &key)).await?;
        let mut id = None;
        let read = read_xml(&body, b"InitiateMultipartUploadResult", |path, text| {
            if let ([b"UploadId"], Some(text)) = (path, text) {
                id = Some(text.to_owned());
            }
        });
        read.and(id.filter(|id| !id.is_empty()))
            .ok_or_else(|| StoreError::about_key("write", &key, &self.url, Kind::Failed, "the answer names no upload"))
    }

    /// Send one part, counted from 0: its tag.
    pub async fn put_part(&self, oid: &Oid, id: &MultipartId, index: usize, part: Bytes) -> Result<String, StoreError> {
        let key = self.key(oid);
        let s3 = self.service(&key)?;
        let put = s3.writes.put_part(&key, id, index, PutPayload::from(part.clone()));
        let sent = self.within_deadline(&key, part.len() as u64, put).await?;
        let sent = sent.inspect(|_| self.travelled(part.len()));
        sent.map(|part| part.content_id).map_err(|e| self.error("write", &key, &e))
    }

    /// Make the object appear out of all its parts.
    pub async fn complete(&self, oid: &Oid, id: &MultipartId, tags: Vec<String>) -> Result<(), StoreError> {
        let key = self.key(oid);
        let parts = tags.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = self.service(&key)?.writes.complete_multipart(&key, id, parts).await;
        match done {
            Ok(_) => Ok(()),
            Err(e) => Err(self.error("complete", &key, &e)),
        }
    }

    /// The error of an object that was put together out of fewer or other parts than were sent.
    pub fn lost_part(&self, oid: &Oid, found: u64, sent: u64) -> StoreError {
        let why = format!("{sent} bytes were sent, and the object has {found}");
        StoreError::about_key("complete", &self.key(oid), &self.url, Kind::LostPart, why)
    }

    /// The error of an object that is not there although the service said that it had completed it.
    pub fn not_completed(&self, oid: &Oid) -> StoreError {
        let why = "the service said that it did, but the object is not there";
        StoreError::about_key("complete", &self.key(oid), &self.url, Kind::Busy, why)
    }

    /// Throw the parts of an upload away.
    pub async fn abort(&self, oid: &Oid, id: &MultipartId) -> Result<(), StoreError> {
        let key = self.key(oid);
        let done = self.service(&key)?.writes.abort_multipart(&key, id).await;
        done.map_err(|e| self.error("give up", &key, &e))
    }

    fn service(&self, key: &Path) -> Result<&S3, StoreError> {
        match &self.backend {
            Backend::S3(s3) => Ok(s3),
            Backend::Local(_) => {
                let why = "a directory has no multipart uploads";
                Err(StoreError::about_key("write", key, &self.url, Kind::Failed, why))
            }
        }
    }
}
