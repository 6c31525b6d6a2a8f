//! The registration: which repositories use a prefix, and under which Git URLs they are known
//! (design.md, section 3).
//!
//! Apart because it is the only shared mutable thing in a store. Its purpose is cleanup: who else
//! might still need an object.

use std::collections::BTreeSet;

use chrono::{SecondsFormat, Utc};
use object_store::PutMode;
use serde::{Deserialize, Serialize};

use super::key::RepositoryId;
use super::{Kind, Store, StoreError, key};

/// What stands in `<prefix>/repositories/<repository_id>.json`. Keys that this version does not know
/// are kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// 1.
    pub format: u64,
    /// When it was made, RFC 3339, UTC.
    pub created: String,
    /// How old an unreachable object must be before cleanup may delete it, like `14d`.
    pub keep_newer: String,
    /// The URLs that this repository is pushed to, without user or password.
    #[serde(default)]
    pub git_urls: BTreeSet<String>,
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

impl Registration {
    fn new(git_urls: BTreeSet<String>) -> Self {
        Registration {
            format: 1,
            created: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            keep_newer: "14d".to_owned(),
            git_urls,
            unknown: serde_json::Map::new(),
        }
    }
}

impl Store {
    /// The ids of the repositories registered in this prefix.
    pub async fn registered(&self) -> Result<Vec<String>, StoreError> {
        let keys = self.list(&key::registrations(self.remote.prefix())).await?;
        let id = |meta: &object_store::ObjectMeta| Some(meta.location.filename()?.strip_suffix(".json")?.to_owned());
        Ok(keys.iter().filter_map(id).collect())
    }

    /// The registration of `repository_id`, if it is there.
    pub async fn registration(&self, repository_id: &RepositoryId) -> Result<Option<Registration>, StoreError> {
        self.read_registration(&key::registration(self.remote.prefix(), repository_id)).await
    }

    /// Make sure that `repository_id` is registered, with `git_url` among its URLs if one is given,
    /// and read it back: a store that ignores what it is told must not be trusted with this. `known_here`: the URLs
    /// that it gets too if there is none yet, since it had them before it was lost.
    pub async fn register(
        &self,
        repository_id: &RepositoryId,
        git_url: Option<&str>,
        known_here: &BTreeSet<String>,
    ) -> Result<Registration, StoreError> {
        let key = key::registration(self.remote.prefix(), repository_id);
        let known = self.read_registration(&key).await?;
        let mut wanted = known.clone().unwrap_or_else(|| Registration::new(known_here.clone()));
        wanted.git_urls.extend(git_url.map(str::to_owned));
        if known.as_ref() == Some(&wanted) {
            return Ok(wanted);
        }
        let mut json = serde_json::to_vec_pretty(&wanted).expect("strings and numbers always serialize");
        json.push(b'\n');
        self.put_at(&key, json.into(), PutMode::Overwrite).await?;
        match self.read_registration(&key).await? {
            Some(read) if wanted.git_urls.is_subset(&read.git_urls) => Ok(read),
            _ => Err(self.about("register in", "what was written there could not be read back")),
        }
    }

    async fn read_registration(&self, key: &object_store::path::Path) -> Result<Option<Registration>, StoreError> {
        let Some(bytes) = self.get_small(key).await? else { return Ok(None) };
        match serde_json::from_slice::<Registration>(&bytes) {
            Ok(registration) if registration.format == 1 => Ok(Some(registration)),
            Ok(newer) => Err(self.about("register in", format!("{key} has format {}; update s3lfs", newer.format))),
            Err(e) => Err(self.about("register in", format!("{key} is damaged ({e})"))),
        }
    }

    fn about(&self, action: &'static str, why: impl Into<String>) -> StoreError {
        StoreError::about_store(action, &self.url, Kind::Failed, why)
    }
}

/// `url` without user and password, as it may be shown to everyone who reads the bucket. Scp-like
/// addresses (`user@host:path`) lose their user too.
pub fn without_credentials(url: &str) -> String {
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        return format!("{scheme}://{host}{path}");
    }
    match url.split_once(':') {
        Some((host, path)) if !host.contains('/') => {
            format!("{}:{path}", host.rsplit_once('@').map_or(host, |(_, host)| host))
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn urls_lose_their_secrets_and_nothing_else() {
        for (url, expected) in [
            ("https://me:secret@host/x.git", "https://host/x.git"),
            ("https://host/a@b", "https://host/a@b"),
            ("git@github.com:team/x.git", "github.com:team/x.git"),
            ("/srv/git/x.git", "/srv/git/x.git"),
            ("ssh://me@host:22/x", "ssh://host:22/x"),
        ] {
            assert_eq!(without_credentials(url), expected);
        }
    }

    #[test]
    fn registering_is_idempotent_and_adds_urls() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(
            &Remote::new(&format!("file://{}", dir.path().display()), "p", None).unwrap(),
            &Default::default(),
        )
        .unwrap();
        let id = RepositoryId::new("one").unwrap();
        let none = BTreeSet::new();
        let before = BTreeSet::from(["https://host/before.git".to_owned()]);
        assert!(run(store.registered()).unwrap().is_empty());
        let first = run(store.register(&id, None, &none)).unwrap();
        assert_eq!(run(store.register(&id, None, &none)).unwrap(), first, "a second time changes nothing");
        let second = run(store.register(&id, Some("https://host/x.git"), &none)).unwrap();
        assert!(second.git_urls.contains("https://host/x.git") && second.created == first.created);
        assert_eq!(run(store.registered()).unwrap(), ["one"]);
        let path = dir.path().join("p/repositories/one.json");
        let json = std::fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 1, \"later\": true");
        std::fs::write(&path, json).unwrap();
        run(store.register(&id, Some("https://host/y.git"), &before)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("later"), "unknown keys are kept");
        assert!(!text.contains("before.git"), "what stands there is not added to");
        std::fs::remove_file(&path).unwrap();
        let anew = run(store.register(&id, None, &before)).unwrap();
        assert_eq!(anew.git_urls, before, "what was lost has them again");
    }
}
