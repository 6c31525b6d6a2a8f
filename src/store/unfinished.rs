//! Uploads that nobody finished: they cost money or space, and no listing of objects shows them.
//!
//! Apart because `object_store` has no request for it. A service has multipart uploads:
//! ListMultipartUploads is asked for by `asking`, and read here (S3 API reference). A directory has
//! the files that `LocalFileSystem` writes beside their place, `<name>#<number>`: a kill leaves them,
//! and its own listing hides them.

use std::io::ErrorKind;
use std::path::{Path as Dir, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use chrono::DateTime;
use object_store::MultipartId;
use object_store::multipart::MultipartStore;
use object_store::path::Path;

use super::asking::{Question, read_xml};
use super::connect::{Backend, S3};
use super::key::{self, Asset};
use super::listing::Pages;
use super::{Key, Kind, Store, StoreError};
use crate::remote::Bucket;

/// An upload that was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// What is uploaded.
    pub key: Key,
    /// The upload: a service's name for it, or the number behind a file's name.
    pub id: MultipartId,
    /// When it was begun, by the store's clock; of a file, when it was last written to.
    pub begun: SystemTime,
}

/// A page of the answer.
#[derive(Default, Debug)]
struct Answer {
    uploads: Vec<(String, String, String)>,
    truncated: bool,
    next: (String, String),
}

impl Store {
    /// The unfinished uploads of this repository's objects; in a directory, of marks and registrations
    /// too.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let Backend::S3(s3) = &self.backend else { return self.leftovers() };
        let assets = key::assets(self.remote.prefix());
        let mut found = Vec::new();
        let mut after = (String::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let body = self.ask_for_unfinished(s3, &assets, &after).await?;
            let answer = parse(&body).ok_or_else(|| {
                StoreError::about_key("list the uploads of", &assets, &self.url, Kind::Failed, "the answer is no list")
            })?;
            for (key, id, begun) in answer.uploads {
                let asset = Path::parse(&key).ok().and_then(|key| Asset::parse(self.remote.prefix(), &key));
                if let (Some(Asset::Object(oid)), Ok(begun)) = (asset, DateTime::parse_from_rfc3339(&begun)) {
                    found.push(Unfinished { key: self.key(&oid), id, begun: begun.into() });
                }
            }
            // A service that gives the same page again has no more to give.
            if !answer.truncated || answer.next == after {
                return Ok(found);
            }
            after = answer.next;
            pages.turn(self, &format!("{}\n{}", after.0, after.1))?;
        }
    }

    /// Throw an unfinished upload's parts away. One that is gone is no failure.
    pub async fn abort_unfinished(&self, upload: &Unfinished) -> Result<(), StoreError> {
        let Backend::S3(s3) = &self.backend else { return self.remove_leftover(upload) };
        let key = &upload.key;
        match s3.writes.abort_multipart(key, &upload.id).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => match self.error("give up", key, &e) {
                gone if gone.kind() == Kind::NoSuchUpload => Ok(()),
                e => Err(e),
            },
        }
    }

    /// The directory, if the store is one.
    fn directory(&self) -> Option<&Dir> {
        match self.remote.bucket() {
            Bucket::File(dir) => Some(dir),
            Bucket::S3(_) => None,
        }
    }

    fn leftovers(&self) -> Result<Vec<Unfinished>, StoreError> {
        let prefix = self.remote.prefix();
        let mut found = Vec::new();
        for part in [key::assets(prefix), key::all_marks(prefix), key::registrations(prefix)] {
            let Some(dir) = self.directory().map(|root| root.join(part.as_ref())) else { continue };
            let failed = |e: std::io::Error| {
                StoreError::about_key("list the uploads of", &part, &self.url, Kind::Failed, e.to_string())
            };
            self.leftovers_in(&dir, part == key::assets(prefix), &mut found).map_err(failed)?;
        }
        Ok(found)
    }

    /// Those in a directory, or in the directories in it. Names of any other shape are not ours.
    fn leftovers_in(&self, dir: &Dir, sharded: bool, found: &mut Vec<Unfinished>) -> std::io::Result<()> {
        let entries = match std::fs::read_dir(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if sharded && kind.is_dir() {
                self.leftovers_in(&entry.path(), false, found)?;
            }
            let Some(leftover) = self.leftover(&entry.path()).filter(|_| kind.is_file()) else { continue };
            match entry.metadata().and_then(|metadata| metadata.modified()) {
                Ok(begun) => found.push(Unfinished { begun, ..leftover }),
                // It was finished just now.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// What a file's name says, if it is one that was to become ours.
    fn leftover(&self, path: &Dir) -> Option<Unfinished> {
        let (name, id) = path.strip_prefix(self.directory()?).ok()?.to_str()?.rsplit_once('#')?;
        let is_number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        let key = Path::parse(name).ok().filter(|key| is_number && key::is_ours(self.remote.prefix(), key))?;
        Some(Unfinished { key, id: id.to_owned(), begun: SystemTime::UNIX_EPOCH })
    }

    /// Only as it was seen: a name that became free may belong to an upload that goes on.
    fn remove_leftover(&self, upload: &Unfinished) -> Result<(), StoreError> {
        let Some(dir) = self.directory() else { return Ok(()) };
        let mut path = dir.join(upload.key.as_ref()).into_os_string();
        path.push(format!("#{}", upload.id));
        let path = PathBuf::from(path);
        let removed = match std::fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()) {
            Ok(modified) if modified == upload.begun => std::fs::remove_file(&path),
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(StoreError::about_key("give up", &upload.key, &self.url, Kind::Failed, e.to_string()))
            }
            _ => Ok(()),
        }
    }

    async fn ask_for_unfinished(&self, s3: &S3, assets: &Path, after: &(String, String)) -> Result<Bytes, StoreError> {
        let mut query = vec![("uploads".to_owned(), String::new()), ("prefix".to_owned(), format!("{assets}/"))];
        if !after.0.is_empty() {
            query.push(("key-marker".to_owned(), after.0.clone()));
            query.push(("upload-id-marker".to_owned(), after.1.clone()));
        }
        self.ask_by_url(s3, Question::get(&Path::ROOT, query), ("list the uploads of", assets)).await
    }
}

/// `ListMultipartUploadsResult`; `None`: another document.
fn parse(body: &[u8]) -> Option<Answer> {
    let mut answer = Answer::default();
    read_xml(body, b"ListMultipartUploadsResult", |path, text| match (path, text, answer.uploads.last_mut()) {
        ([b"Upload"], None, _) => answer.uploads.push(Default::default()),
        ([b"Upload", b"Key"], Some(text), Some(upload)) => text.clone_into(&mut upload.0),
        ([b"Upload", b"UploadId"], Some(text), Some(upload)) => text.clone_into(&mut upload.1),
        ([b"Upload", b"Initiated"], Some(text), Some(upload)) => text.clone_into(&mut upload.2),
        ([b"IsTruncated"], Some(text), _) => answer.truncated = text == "true",
        ([b"NextKeyMarker"], Some(text), _) => text.clone_into(&mut answer.next.0),
        ([b"NextUploadIdMarker"], Some(text), _) => text.clone_into(&mut answer.next.1),
        _ => {}
    })?;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_nothing_else_is_taken_for_it() {
        let body = br#"<?xml version="1.0"?><ListMultipartUploadsResult xmlns="x"><Bucket>b</Bucket>
            <NextKeyMarker>k&amp;2</NextKeyMarker><NextUploadIdMarker>i2</NextUploadIdMarker><IsTruncated>true</IsTruncated>
            <Upload><Key>p/a</Key><UploadId>one</UploadId><Owner><ID>x</ID></Owner><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>
            <Upload><Key>p/b</Key><UploadId>two</UploadId><Initiated>2020-01-02T00:00:00.000Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#;
        let answer = parse(body).unwrap();
        assert_eq!(answer.uploads.len(), 2);
        assert_eq!(answer.uploads[1], ("p/b".into(), "two".into(), "2020-01-02T00:00:00.000Z".into()));
        assert!(answer.truncated && answer.next == ("k&2".to_owned(), "i2".to_owned()));
        for other in [b"".as_slice(), b"<html></html>", &body[..body.len() - 30], &b"<x>".repeat(1 << 20)] {
            assert!(parse(other).is_none(), "what is cut short, foreign or without an end is no list");
        }
    }
}
