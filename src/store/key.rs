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

/// The key of a repository's registration: `<prefix>/repositories/<repository_id>.json`.
pub fn registration(prefix: &str, repository_id: &str) -> Path {
    under(prefix, &format!("repositories/{repository_id}.json"))
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
    fn keys_have_the_shapes_of_the_contract() {
        let oid = Oid::of(b"abc");
        assert_eq!(object("my/proj", &oid).as_ref(), format!("my/proj/assets/ba/{oid}"));
        assert_eq!(object("", &oid).as_ref(), format!("assets/ba/{oid}"), "an empty prefix leaves no slash");
        assert_eq!(registration("p", "id").as_ref(), "p/repositories/id.json");
        assert_eq!(object("a b%20+é", &oid).as_ref(), format!("a b%20+é/assets/ba/{oid}"), "nothing is encoded");
    }
}
