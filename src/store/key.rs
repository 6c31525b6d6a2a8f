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

/// What the objects that the Python s3lfs wrote for one oid have in common: `<prefix>/assets/<oid>`.
pub fn legacy(prefix: &str, oid: &Oid) -> Path {
    under(prefix, &format!("assets/{oid}"))
}

/// The oid, and the path with its suffixes, in a key `<prefix>/assets/<oid>/<path>[.gz][.chunk<n>]` of
/// the Python s3lfs. `None` for every other key.
pub fn parse_legacy<'a>(prefix: &str, key: &'a Path) -> Option<(Oid, &'a str)> {
    let inner = match prefix {
        "" => key.as_ref(),
        prefix => key.as_ref().strip_prefix(prefix)?.strip_prefix('/')?,
    };
    let (hex, rest) = inner.strip_prefix("assets/")?.split_once('/')?;
    Oid::from_hex(hex.as_bytes()).filter(|_| !rest.is_empty()).map(|oid| (oid, rest))
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

/// The prefix was checked by [`crate::remote::Remote`], and what follows it is made here.
fn under(prefix: &str, rest: &str) -> Path {
    let key = if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") };
    Path::parse(&key).expect("a checked prefix and a fixed shape make a valid key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_tools_keys_are_told_from_ours_and_from_others() {
        let oid = Oid::of(b"abc");
        for prefix in ["", "proj", "a/b"] {
            let key = Path::parse(format!("{}/d/x.gz.chunk0", legacy(prefix, &oid))).unwrap();
            assert_eq!(parse_legacy(prefix, &key), Some((oid, "d/x.gz.chunk0")), "{key}");
            assert_eq!(parse_legacy("other", &key), None, "another prefix is another repository");
            assert_eq!(parse_legacy(prefix, &object(prefix, &oid)), None, "ours has no path");
        }
        for other in [format!("projx/assets/{oid}/a"), format!("proj/asset/{oid}/a"), format!("proj/assets/{oid}")] {
            assert_eq!(parse_legacy("proj", &Path::parse(&other).unwrap()), None, "{other}");
        }
        let upper = format!("proj/assets/{}/a", oid.hex().to_uppercase());
        assert_eq!(parse_legacy("proj", &Path::parse(upper).unwrap()), None, "the Python tool wrote lower case");
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
