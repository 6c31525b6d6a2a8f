//! Keys: where in a bucket things are (design.md, section 3).
//!
//! Apart because only these shapes may ever be written, listed or deleted.

use object_store::path::Path;

use crate::oid::Oid;

/// The key of an object: `<prefix>/assets/<first 2 hex>/<oid>`.
pub fn object(prefix: &str, oid: &Oid) -> Path {
    let hex = oid.hex();
    under(prefix, &format!("assets/{}/{hex}", &hex[..2]))
}

/// What the objects that the Python tool wrote for one oid have in common: `<prefix>/assets/<oid>`.
pub fn legacy(prefix: &str, oid: &Oid) -> Path {
    under(prefix, &format!("assets/{oid}"))
}

/// What a key beneath `<prefix>/assets/` names. Only these two shapes are ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Asset {
    /// `<first 2 hex>/<oid>`.
    Object(Oid),
    /// The Python tool's `<oid>/<path>`, with the path as it stands there (`.gz`, `.chunk0`).
    Legacy(Oid, Box<str>),
}

impl Asset {
    /// The content.
    pub fn oid(&self) -> Oid {
        match self {
            Asset::Object(oid) | Asset::Legacy(oid, _) => *oid,
        }
    }

    /// Its key.
    pub fn key(&self, prefix: &str) -> Path {
        match self {
            Asset::Object(oid) => object(prefix, oid),
            Asset::Legacy(oid, path) => under(prefix, &format!("assets/{oid}/{path}")),
        }
    }

    /// What a listed key names; `None`: something that is not ours.
    pub fn parse(prefix: &str, key: &Path) -> Option<Self> {
        let within = key.as_ref().strip_prefix(prefix)?;
        let within = if prefix.is_empty() { within } else { within.strip_prefix('/')? };
        let (dir, rest) = within.strip_prefix("assets/")?.split_once('/')?;
        if let Some(oid) = Oid::from_hex(dir.as_bytes()) {
            return Some(Asset::Legacy(oid, rest.into()));
        }
        let oid = Oid::from_hex(rest.as_bytes())?;
        (dir == &rest[..2]).then_some(Asset::Object(oid))
    }
}

/// What all objects have in common.
pub fn assets(prefix: &str) -> Path {
    under(prefix, "assets")
}

/// When objects whose oid begins with these two hex digits were first seen unreachable:
/// `<prefix>/cleanup/<first 2 hex>.json`.
pub fn marks(prefix: &str, shard: u8) -> Path {
    under(prefix, &format!("cleanup/{shard:02x}.json"))
}

/// What all marks have in common.
pub fn all_marks(prefix: &str) -> Path {
    under(prefix, "cleanup")
}

/// Whether a cleanup is deleting: `<prefix>/cleanup/sweep`.
pub fn sweep(prefix: &str) -> Path {
    under(prefix, "cleanup/sweep")
}

/// What `doctor` writes and deletes again: `<prefix>/doctor/<uuid>`.
pub fn probe(prefix: &str, uuid: &str) -> Path {
    under(prefix, &format!("doctor/{uuid}"))
}

/// What all probes have in common.
pub fn probes(prefix: &str) -> Path {
    under(prefix, "doctor")
}

/// Whether a key is a probe's.
pub fn is_probe(prefix: &str, key: &Path) -> bool {
    let mut rest = key.prefix_match(&probes(prefix)).into_iter().flatten();
    let name = rest.next().map(|name| name.as_ref().to_owned()).unwrap_or_default();
    rest.next().is_none() && uuid::Uuid::try_parse(&name).is_ok()
}

/// The name under which a repository is registered: it comes from the manifest, and so from a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositoryId(String);

/// The text can't name a repository.
#[derive(Debug, thiserror::Error)]
#[error("repository_id {0:?} in .s3_manifest.json is not 1 to 64 letters, digits and hyphens")]
pub struct BadRepositoryId(String);

impl RepositoryId {
    /// Check a manifest's text.
    pub fn new(text: &str) -> Result<Self, BadRepositoryId> {
        let good = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if good { Ok(RepositoryId(text.to_owned())) } else { Err(BadRepositoryId(text.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of a repository's registration: `<prefix>/repositories/<repository_id>.json`.
pub fn registration(prefix: &str, repository_id: &RepositoryId) -> Path {
    under(prefix, &format!("repositories/{}.json", repository_id.0))
}

/// What the registrations of a prefix have in common.
pub fn registrations(prefix: &str) -> Path {
    under(prefix, "repositories")
}

/// Whether a key is one that we write: an object, marks, the sweep's state, a registration.
pub fn is_ours(prefix: &str, key: &Path) -> bool {
    let named = |under: Path| key.prefix_match(&under).and_then(|mut rest| Some((rest.next()?, rest.next().is_none())));
    let name_in = |under: Path| match named(under) {
        Some((name, true)) => name.as_ref().strip_suffix(".json").map(str::to_owned),
        _ => None,
    };
    let is_shard = |name: &str| name.len() == 2 && u8::from_str_radix(name, 16).is_ok();
    matches!(Asset::parse(prefix, key), Some(Asset::Object(_)))
        || name_in(all_marks(prefix)).is_some_and(|name| is_shard(&name))
        || *key == sweep(prefix)
        || name_in(registrations(prefix)).is_some_and(|name| RepositoryId::new(&name).is_ok())
}

/// The prefix was checked by [`crate::remote::Remote`], and what follows it is made here.
fn under(prefix: &str, rest: &str) -> Path {
    let key = if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") };
    Path::parse(&key).expect("a checked prefix and a fixed shape make a valid key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_shapes_are_assets_and_they_give_their_key_back() {
        let oid = Oid::of(b"abc");
        for prefix in ["", "p", "my/proj"] {
            for asset in [Asset::Object(oid), Asset::Legacy(oid, "a/b c.gz.chunk0".into())] {
                assert_eq!(Asset::parse(prefix, &asset.key(prefix)), Some(asset), "in {prefix:?}");
            }
        }
        let hex = oid.hex();
        for foreign in [
            format!("p/assets/{hex}"),
            format!("p/assets/00/{hex}"),
            format!("p/assets/ba/{}", hex.to_uppercase()),
            format!("p/assets/ba/{hex}.gz"),
            format!("p/assets/ba/x/{hex}"),
            format!("pp/assets/ba/{hex}"),
            format!("assets/ba/{hex}"),
            "p/repositories/ba.json".to_owned(),
        ] {
            assert_eq!(Asset::parse("p", &Path::parse(&foreign).unwrap()), None, "{foreign} is not ours");
        }
    }

    #[test]
    fn a_probe_is_nothing_that_content_could_be() {
        let uuid = uuid::Uuid::new_v4().to_string();
        for prefix in ["", "p", "my/proj"] {
            let probe = probe(prefix, &uuid);
            assert!(is_probe(prefix, &probe), "{probe}");
            assert!(Asset::parse(prefix, &probe).is_none() && !is_ours(prefix, &probe), "{probe} is no content");
            for other in [probes(prefix), probe.clone().join("x"), probes(prefix).join("notes.txt"), sweep(prefix)] {
                assert!(!is_probe(prefix, &other), "{other} is not deleted as a probe");
            }
        }
    }

    #[test]
    fn keys_have_the_shapes_of_the_contract() {
        let oid = Oid::of(b"abc");
        assert_eq!(object("my/proj", &oid).as_ref(), format!("my/proj/assets/ba/{oid}"));
        assert_eq!(object("", &oid).as_ref(), format!("assets/ba/{oid}"), "an empty prefix leaves no slash");
        assert_eq!(registration("p", &RepositoryId::new("id-1").unwrap()).as_ref(), "p/repositories/id-1.json");
        for bad in ["", "../../evil", "a/b", ".", "a b", "é", &"x".repeat(65)] {
            assert!(RepositoryId::new(bad).is_err(), "{bad:?} must not become part of a key");
        }
        assert_eq!(object("a b%20+é", &oid).as_ref(), format!("a b%20+é/assets/ba/{oid}"), "nothing is encoded");
    }
}
