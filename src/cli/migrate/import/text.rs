//! The text of a commit or a tag, with other objects in it.
//!
//! Apart because it is pure, and keeps every byte that is not about an object: names, times, encodings, odd headers,
//! messages. A signature covers the objects too, and can't be kept. Source: `git help commit-tree`, commit.c
//! (`parse_commit_buffer`, `parse_signed_commit`), gpg-interface.c (`parse_signature`).

use bstr::{BStr, BString, ByteSlice};

use crate::git::objects::ObjectId;

/// What a commit is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
}

/// A text, and whether a signature was left out of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether it was signed.
    pub was_signed: bool,
}

/// Headers, each with the lines that continue it, and the rest: the empty line and the message.
fn split(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut headers, mut rest): (Vec<&[u8]>, &[u8]) = (Vec::new(), bytes);
    while !rest.is_empty() && rest[0] != b'\n' {
        let mut end = line_end(rest);
        while rest.get(end) == Some(&b' ') {
            end += line_end(&rest[end..]);
        }
        headers.push(&rest[..end]);
        rest = &rest[end..];
    }
    (headers, rest)
}

fn line_end(bytes: &[u8]) -> usize {
    bytes.find_byte(b'\n').map_or(bytes.len(), |at| at + 1)
}

fn value<'a>(header: &'a [u8], key: &str) -> Option<&'a BStr> {
    Some(header.strip_prefix(key.as_bytes())?.strip_prefix(b" ")?.trim_end_with(|c| c == '\n').as_bstr())
}

/// `None`: that is no commit.
pub fn parts(commit: &[u8]) -> Option<Parts> {
    let (headers, _) = split(commit);
    let tree = value(headers.first()?, "tree")?.to_owned();
    let parents = headers.iter().filter_map(|header| value(header, "parent")).map(BStr::to_owned).collect();
    Some(Parts { tree, parents })
}

/// The commit with these parts in place of its own.
pub fn commit(commit: &[u8], new: &Parts) -> Text {
    let (headers, rest) = split(commit);
    let (mut bytes, mut was_signed) = (Vec::with_capacity(commit.len()), false);
    let mut parents = new.parents.iter();
    for header in headers {
        if value(header, "tree").is_some() {
            bytes.extend_from_slice(&[b"tree ", new.tree.as_slice(), b"\n"].concat());
        } else if value(header, "parent").is_some() {
            let parent = parents.next().map(|id| id.as_bytes()).unwrap_or_default();
            bytes.extend_from_slice(&[b"parent ", parent, b"\n"].concat());
        } else if ["gpgsig", "gpgsig-sha256", "mergetag"].iter().any(|key| value(header, key).is_some()) {
            // A merged tag is a whole tag object, of a commit that is another one now.
            was_signed = true;
        } else {
            bytes.extend_from_slice(header);
        }
    }
    bytes.extend_from_slice(rest);
    Text { bytes, was_signed }
}

/// What an annotated tag names, and of which kind that is. `None`: that is no tag.
pub fn target(tag: &[u8]) -> Option<(ObjectId, BString)> {
    let (headers, _) = split(tag);
    let kind = headers.iter().find_map(|header| value(header, "type"))?;
    Some((value(headers.first()?, "object")?.to_owned(), kind.to_owned()))
}

/// The tag with another object in place of its own.
pub fn tag(tag: &[u8], object: &BStr) -> Text {
    const SIGNATURES: [&[u8]; 4] = [
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN SSH SIGNATURE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
    ];
    let (headers, rest) = split(tag);
    let (mut bytes, mut was_signed) = (Vec::with_capacity(tag.len()), false);
    for header in headers {
        if value(header, "object").is_some() {
            bytes.extend_from_slice(&[b"object ", object.as_bytes(), b"\n"].concat());
        } else if value(header, "gpgsig").is_some() || value(header, "gpgsig-sha256").is_some() {
            was_signed = true;
        } else {
            bytes.extend_from_slice(header);
        }
    }
    let mut end = 0;
    for line in rest.lines_with_terminator() {
        if SIGNATURES.iter().any(|mark| line.starts_with(mark)) {
            was_signed = true;
            break;
        }
        end += line.len();
    }
    bytes.extend_from_slice(&rest[..end]);
    Text { bytes, was_signed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "author A \u{e9} <a@b> 1 +051800\ncommitter C <c@d> 2 -0000\nencoding latin1\nHG:extra x\n";

    #[test]
    fn everything_but_objects_and_signatures_is_kept() {
        let message = "\nsubject\n\n parent 00\n tree x\ngpgsig no\n\n\ntrailing \r\n";
        let signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n";
        let merged = "mergetag object 11\n type commit\n tag v1\n";
        let text = |tree: &str, one: &str, two: &str, more: &str| {
            format!("tree {tree}\nparent {one}\nparent {two}\n{HEAD}{more}{message}").into_bytes()
        };
        let old = text("aa", "11", "22", &format!("{merged}{signature}"));
        let parts = parts(&old).unwrap();
        assert_eq!((parts.tree.to_string(), parts.parents.len()), ("aa".to_owned(), 2));
        let new = Parts { tree: "bb".into(), parents: vec!["33".into(), "22".into()] };
        assert_eq!(commit(&old, &new), Text { bytes: text("bb", "33", "22", ""), was_signed: true });
        let plain = text("aa", "11", "22", "");
        assert_eq!(commit(&plain, &parts), Text { bytes: plain, was_signed: false });
    }

    #[test]
    fn a_tag_keeps_its_message_and_loses_its_signature() {
        let text = |object: &str, end: &str| {
            format!("object {object}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nthe first\n{end}").into_bytes()
        };
        assert_eq!(target(&text("11", "")), Some(("11".into(), "commit".into())));
        for begin in ["PGP SIGNATURE", "SSH SIGNATURE", "SIGNED MESSAGE"] {
            let signed = text("11", &format!("-----BEGIN {begin}-----\nabc\n"));
            assert_eq!(tag(&signed, "22".into()), Text { bytes: text("22", ""), was_signed: true }, "{begin}");
        }
        assert_eq!(tag(&text("11", ""), "22".into()), Text { bytes: text("22", ""), was_signed: false });
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bytes in [b"".as_slice(), b"\n", b"author x\n\n", b"tree", b"object 11\n\ntype commit\n"] {
            assert!(parts(bytes).is_none() && target(bytes).is_none(), "{:?}", bytes.as_bstr());
        }
    }
}
