//! The bytes of a tree object: its entries, read and written.
//!
//! Apart because it is pure. Source: gitformat-pack(5) has none; `tree-walk.c`, `decode_tree_entry`.

use std::fmt::Write as _;

use bstr::{BStr, BString, ByteSlice};

use super::objects::ObjectId;

/// An entry of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Octal digits, as they are written.
    pub mode: BString,
    /// One component.
    pub name: BString,
    /// A blob, a tree, or a submodule's commit.
    pub id: ObjectId,
}

impl Entry {
    /// Whether it is a file, executable or not. (Old trees have 100664.)
    pub fn is_file(&self) -> bool {
        self.mode.starts_with(b"100")
    }

    /// Whether it is a directory.
    pub fn is_tree(&self) -> bool {
        self.mode == "40000" || self.mode == "040000"
    }

    /// By what Git sorts: a directory as if its name ended in a slash.
    fn key(&self) -> Vec<u8> {
        let end: &[u8] = if self.is_tree() { b"/" } else { b"" };
        [self.name.as_slice(), end].concat()
    }
}

/// The entries of a tree whose own id is `id`, which tells how long ids are. `None`: that is no tree.
pub fn parse(id: &BStr, bytes: &[u8]) -> Option<Vec<Entry>> {
    let id_len = id.len() / 2;
    let (mut entries, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (mode, after) = rest.split_once_str(" ")?;
        let (name, after) = after.split_once_str(b"\0")?;
        let (raw, after) = after.split_at_checked(id_len)?;
        if name.is_empty() || mode.is_empty() || !mode.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
            return None;
        }
        entries.push(Entry { mode: mode.into(), name: name.into(), id: hex(raw) });
        rest = after;
    }
    Some(entries)
}

/// The bytes of a tree.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&entry.mode);
        bytes.push(b' ');
        bytes.extend_from_slice(&entry.name);
        bytes.push(0);
        bytes.extend(entry.id.chunks(2).map(|pair| (digit(pair[0]) << 4) | pair.get(1).map_or(0, |&low| digit(low))));
    }
    bytes
}

/// Put a file into a tree, in place of one of that name or where it belongs.
pub fn put_file(entries: &mut Vec<Entry>, name: &str, id: ObjectId) {
    if let Some(entry) = entries.iter_mut().find(|entry| entry.name == name) {
        entry.id = id;
        return;
    }
    let entry = Entry { mode: "100644".into(), name: name.into(), id };
    let at = entries.partition_point(|other| other.key() < entry.key());
    entries.insert(at, entry);
}

fn hex(raw: &[u8]) -> ObjectId {
    let mut text = String::with_capacity(raw.len() * 2);
    for byte in raw {
        write!(text, "{byte:02x}").expect("a string takes whatever is written");
    }
    text.into()
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn entry(mode: &str, name: &str) -> Entry {
        Entry { mode: mode.into(), name: name.into(), id: ID.into() }
    }

    #[test]
    fn what_is_written_is_read() {
        let entries = vec![entry("100644", "a b"), entry("120000", "link"), entry("40000", "x"), entry("160000", "y")];
        let bytes = encode(&entries);
        assert_eq!(parse(ID.into(), &bytes).unwrap(), entries);
        for end in 1..bytes.len() {
            let cut = parse(ID.into(), &bytes[..end]);
            assert!(cut.is_none_or(|cut| cut.len() < entries.len()), "a part of it is not the whole");
        }
        let sha256 = ID.to_owned() + &ID[..24];
        let longer = vec![Entry { id: sha256.as_str().into(), ..entry("100644", "a") }];
        assert_eq!(parse(sha256.as_str().into(), &encode(&longer)).unwrap(), longer, "also where ids are longer");
    }

    #[test]
    fn a_new_file_goes_where_git_expects_it() {
        let mut entries = vec![entry("100644", "-a"), entry("40000", ".git-x"), entry("100644", "a")];
        put_file(&mut entries, ".gitattributes", ID.into());
        let names: Vec<&BString> = entries.iter().map(|entry| &entry.name).collect();
        assert_eq!(names, ["-a", ".git-x", ".gitattributes", "a"], "a directory sorts as with a slash");
        put_file(&mut entries, ".gitattributes", "00".into());
        assert_eq!(entries.len(), 4, "in place of the one that is there");
    }
}
