//! Whether a manifest has manifest-only entries at all, told without parsing it.
//!
//! Apart because it is only a short cut for those who read thousands of manifests with 100,000 entries each:
//! nearly all of them end in an empty `manifest_only`. "No" is certain; whatever is unusual is "maybe".

use bstr::ByteSlice;

const KEY: &[u8] = br#""manifest_only""#;

/// What stands behind the list is short, unless somebody else wrote the manifest.
const TAIL: usize = 64 << 10;

/// Whether these bytes, if [`super::Manifest::parse`] takes them at all, have an empty `manifest_only`: nothing in
/// them is manifest-only, and they are not the Python tool's.
pub fn has_none(bytes: &[u8]) -> bool {
    let mut places = bytes.find_iter(KEY);
    let (Some(at), None) = (places.next(), places.next()) else { return false };
    // With an escaped quote it would be a part of another text; by an escape the key could stand a second time.
    if at == 0 || bytes[at - 1] == b'\\' || bytes.contains_str(r"\u") {
        return false;
    }
    let tail = &bytes[at + KEY.len()..];
    let after = |text: &[u8], wanted: &[u8]| text.trim_ascii_start().strip_prefix(wanted).map(<[u8]>::to_vec);
    if tail.len() > TAIL {
        return false;
    }
    let list = after(tail, b":").and_then(|rest| after(&rest, b"[")).and_then(|rest| after(&rest, b"]"));
    list.is_some_and(|rest| ends_one_object(&rest))
}

/// Whether from here to the end one object ends that began before, and no other: so the key is the manifest's own,
/// and not one within an unknown key's value.
fn ends_one_object(rest: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_i32, false, false);
    for &byte in rest {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth -= 1,
            _ => {}
        }
    }
    depth == -1 && !in_text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Manifest;
    use super::super::tests::{Random, random_manifest};
    use super::*;
    use crate::oid::Oid;

    fn with(only: &str) -> Vec<u8> {
        let files = format!(r#""files": {{"a/b": "{}"}}"#, Oid::of(b"x"));
        format!(r#"{{"bucket_name": "b", {files}, {only}, "region": "}}\"", "repo_prefix": "p"}}"#).into_bytes()
    }

    #[test]
    fn no_is_said_of_an_empty_list_alone() {
        for none in [r#""manifest_only": []"#, "\"manifest_only\" :\n [ ]", r#""manifest_only": [], "x": {"y": [1]}"#] {
            let bytes = with(none);
            assert_eq!(Manifest::parse(&bytes).unwrap().manifest_only, Some(BTreeSet::new()), "{none}");
            assert!(has_none(&bytes), "{none}");
        }
        for maybe in [
            r#""manifest_only": ["a/b"]"#,
            r#""x": 1"#,
            r#""x": {"manifest_only": []}"#,
            r#""x": [{"manifest_only": []}]"#,
            r#""x": "\"manifest_only\": []""#,
            r#""x": {"manifest_only": []}, "manifest_only": ["a/b"]"#,
            r#""x": {"manifest_only": []}, "manifest\u005fonly": ["a/b"]"#,
            r#""manifest_only": null"#,
        ] {
            assert!(!has_none(&with(maybe)), "{maybe}");
        }
        assert!(!has_none(b"") && !has_none(KEY));
    }

    #[test]
    fn of_any_manifest_that_is_written_it_is_right() {
        let mut random = Random(7);
        let (mut none, mut some) = (0, 0);
        for _ in 0..500 {
            let manifest = random_manifest(&mut random);
            let Ok(bytes) = manifest.to_bytes() else { continue };
            let parsed = Manifest::parse(&bytes).unwrap();
            if has_none(&bytes) {
                none += 1;
                assert_eq!(parsed.manifest_only, Some(BTreeSet::new()));
            } else {
                some += 1;
            }
        }
        assert!(none > 0 && some > 0, "both were met: {none}, {some}");
    }
}
