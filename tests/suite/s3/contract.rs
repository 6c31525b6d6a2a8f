//! One table for every backend: what a store promises, over `file://` and over S3.
//! (And over a real service, where the environment names one: see `upstream`.)

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use s3lfs::oid::Oid;
use s3lfs::remote::Remote;
use s3lfs::store::key::RepositoryId;
use s3lfs::store::sweeping::Sweep;
use s3lfs::store::{Access, Kind, Put, Signing, Store, StoreError};

use super::server::Server;
use super::upstream;

/// A backend under test, by whether it is a service.
struct Backend {
    name: &'static str,
    bucket: String,
    endpoint: Option<String>,
    place: Place,
}

/// Where its objects are.
enum Place {
    Dir(tempfile::TempDir),
    Service(Server),
}

impl Backend {
    fn all() -> [Backend; 2] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        if !upstream::is_named() {
            server.make_public();
        }
        let file = Backend {
            name: "file://",
            bucket: format!("file://{}", dir.path().display()),
            endpoint: None,
            place: Place::Dir(dir),
        };
        let s3 = Backend {
            name: "S3",
            bucket: server.bucket().to_owned(),
            endpoint: Some(server.url()),
            place: Place::Service(server),
        };
        [file, s3]
    }

    fn open(&self, prefix: &str) -> Store {
        let remote = Remote::new(&self.bucket, prefix, self.endpoint.as_deref()).unwrap();
        // The environment of this process is everybody's: credentials are tried end to end, or here
        // where they are in the environment for a service that is there, too.
        let signing = if upstream::is_named() { Signing::Signed } else { Signing::Anonymous };
        let access = Access { signing, ..Access::default() };
        Store::open(&remote, &access).unwrap()
    }

    /// What is literally under a key of this prefix.
    fn stored(&self, prefix: &str, key: &str) -> Option<Vec<u8>> {
        let key = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") };
        match &self.place {
            Place::Dir(dir) => std::fs::read(dir.path().join(key)).ok(),
            Place::Service(server) => server.stored(&key),
        }
    }
}

/// Prefixes that a user may choose. (s3s-fs lists keys with `+` or `%20` wrongly; reading and writing
/// them is right.)
const PREFIXES: [&str; 6] = ["", "proj", "team/art/2026", "with space", "ünïcode", "a+b%20c"];

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn read(store: &Store, oid: &Oid) -> Vec<u8> {
    let object = store.get(&store.key(oid)).await.unwrap();
    let len = object.len;
    let mut bytes = BytesMut::new();
    let mut pieces = object.bytes;
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(bytes.len() as u64, len, "the length is told before");
    bytes.to_vec()
}

/// Run `check` on every backend under every prefix.
fn everywhere(check: impl AsyncFn(&Store, &str)) {
    for backend in Backend::all() {
        for prefix in PREFIXES {
            let store = backend.open(prefix);
            run(check(&store, &format!("{} {prefix:?}", backend.name)));
        }
    }
}

#[test]
fn what_is_put_is_there_and_what_is_not_is_not() {
    everywhere(async |store, place| {
        let (oid, other) = (Oid::of(b"content"), Oid::of(b"other"));
        assert!(store.head(&oid).await.unwrap().is_none(), "{place}");
        let missing = store.get(&store.key(&oid)).await.err().expect("it is not there");
        assert_eq!(missing.kind(), Kind::NotFound, "{place}");
        assert_eq!(store.get_range(&store.key(&oid), 0..10, None).await.unwrap_err().kind(), Kind::NotFound, "{place}");
        store.put(&oid, Bytes::from_static(b"content")).await.unwrap();
        let found = store.head(&oid).await.unwrap().expect("it is there now");
        assert_eq!(found.len, 7, "{place}");
        let age = store.now().duration_since(found.modified).unwrap_or_default();
        assert!(age.as_secs() < 60, "{place}: it is new by the store's clock");
        assert_eq!(read(store, &oid).await, b"content", "{place}");
        assert!(store.head(&other).await.unwrap().is_none(), "{place}");
    });
}

#[test]
fn a_put_that_overwrites_and_one_that_does_not() {
    everywhere(async |store, place| {
        let oid = Oid::of(b"x");
        assert_eq!(store.put_new(&oid, Bytes::from_static(b"first")).await.unwrap(), Put::Written, "{place}");
        assert_eq!(store.put_new(&oid, Bytes::from_static(b"second")).await.unwrap(), Put::Existed, "{place}");
        assert_eq!(read(store, &oid).await, b"first", "{place}: the first stays");
        store.put(&oid, Bytes::from_static(b"third, longer")).await.unwrap();
        assert_eq!(read(store, &oid).await, b"third, longer", "{place}");
    });
}

#[test]
fn an_object_without_a_byte_is_none() {
    everywhere(async |store, place| {
        let oid = Oid::of(b"");
        store.put(&oid, Bytes::new()).await.unwrap();
        assert!(store.head(&oid).await.unwrap().is_none(), "{place}: a write that was cut off, not an object");
        assert_eq!(read(store, &oid).await, b"", "{place}");
    });
}

#[test]
fn ranges_are_of_the_version_that_was_asked_for() {
    everywhere(async |store, place| {
        let oid = Oid::of(b"ranges");
        let bytes: Vec<u8> = (0..=255).collect();
        store.put(&oid, bytes.clone().into()).await.unwrap();
        let piece = store.get_range(&store.key(&oid), 10..20, None).await.unwrap();
        assert_eq!((&piece.bytes[..], piece.len), (&bytes[10..20], 256), "{place}");
        let etag = piece.etag.expect("both name versions");
        let tail = store.get_range(&store.key(&oid), 250..1000, Some(&etag)).await.unwrap();
        assert_eq!(&tail.bytes[..], &bytes[250..], "{place}: a range beyond the end stops there");
    });
}

#[test]
fn a_registration_is_read_back_and_grows() {
    for backend in Backend::all() {
        for prefix in ["", "proj", "team/art/2026", "with space", "ünïcode"] {
            let (store, place) = (backend.open(prefix), format!("{} {prefix:?}", backend.name));
            let none = BTreeSet::new();
            let before = run(store.registered()).unwrap();
            assert!(before.is_empty(), "{place}: other prefixes are not ours: {before:?}");
            let first = run(store.register(&RepositoryId::new("one").unwrap(), None, &none)).unwrap();
            assert_eq!(
                run(store.register(&RepositoryId::new("one").unwrap(), None, &none)).unwrap(),
                first,
                "{place}: again, nothing changes"
            );
            let second =
                run(store.register(&RepositoryId::new("one").unwrap(), Some("https://host/x.git"), &none)).unwrap();
            assert_eq!(second.created, first.created, "{place}");
            assert!(second.git_urls.contains("https://host/x.git"), "{place}");
            run(store.register(&RepositoryId::new("two").unwrap(), None, &none)).unwrap();
            let mut all = run(store.registered()).unwrap();
            all.sort();
            assert_eq!(all, ["one", "two"], "{place}");
            assert!(backend.stored(prefix, "repositories/one.json").is_some(), "{place}: the key is literally that");
        }
    }
}

#[test]
fn a_sweeps_state_is_written_only_in_the_place_of_the_one_that_was_read() {
    everywhere(async |store, name| {
        let [first, second] = ["first", "second"].map(|id| Sweep::new(id.to_owned()));
        assert!(store.sweep_state().await.unwrap().is_none(), "{name}: no cleanup ran");
        store.put_sweep(&first, None).await.unwrap();
        let refused = |done: Result<(), StoreError>, why| {
            assert_eq!(done.expect_err(why).kind(), Kind::Precondition, "{name}: {why}");
        };
        refused(store.put_sweep(&second, None).await, "somebody began who saw none");
        let found = store.sweep_state().await.unwrap();
        assert!(found.as_ref().unwrap().is(&first), "{name}: the first is there");
        // Both read the same.
        store.put_sweep(&first.next(), found.as_ref()).await.unwrap();
        refused(store.put_sweep(&second, found.as_ref()).await, "another went on meanwhile");
        let found = store.sweep_state().await.unwrap();
        assert!(found.as_ref().unwrap().is(&first.next()), "{name}: and what it wrote stays");
        store.put_sweep(&second, found.as_ref()).await.unwrap();
        assert!(store.sweep_state().await.unwrap().unwrap().is(&second), "{name}: it can be taken over");
    });
}

#[test]
fn keys_are_literally_the_prefix_and_the_oid() {
    for backend in Backend::all() {
        for prefix in PREFIXES {
            let store = backend.open(prefix);
            let oid = Oid::of(b"key");
            run(store.put(&oid, Bytes::from_static(b"key"))).unwrap();
            let hex = oid.hex();
            let stored = backend.stored(prefix, &format!("assets/{}/{hex}", &hex[..2]));
            assert_eq!(stored.as_deref(), Some(&b"key"[..]), "{} {prefix:?}", backend.name);
        }
    }
}
