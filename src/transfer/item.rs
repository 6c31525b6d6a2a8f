//! Content, as whoever asks for it names it.
//!
//! Apart because a million of them lie on the disk, packed, in the order of their oids.

use crate::oid::Oid;
use crate::pointer::Pointer;

/// Content to be moved. A manifest names it by its oid alone; a pointer also says how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Item {
    /// What it is.
    pub oid: Oid,
    /// Its length in bytes, where that is known.
    pub size: Option<u64>,
}

impl From<Pointer> for Item {
    fn from(pointer: Pointer) -> Self {
        Item { oid: pointer.oid, size: Some(pointer.size) }
    }
}

impl From<Oid> for Item {
    fn from(oid: Oid) -> Self {
        Item { oid, size: None }
    }
}

/// Bytes of an item that is packed: its oid, whether its size is known, the size.
pub const PACKED: usize = 32 + 1 + 8;

impl Item {
    /// In so many bytes, which sort as items do.
    pub fn packed(&self) -> [u8; PACKED] {
        let mut packed = [0; PACKED];
        packed[..32].copy_from_slice(self.oid.as_bytes());
        packed[32] = self.size.is_some().into();
        packed[33..].copy_from_slice(&self.size.unwrap_or(0).to_be_bytes());
        packed
    }

    /// What was packed into the first of these bytes. There must be [`PACKED`] of them at least.
    pub fn unpacked(packed: &[u8]) -> Self {
        let oid = Oid::from_bytes(packed[..32].try_into().expect("32 bytes of an oid"));
        let size = u64::from_be_bytes(packed[33..PACKED].try_into().expect("8 bytes of a size"));
        Item { oid, size: (packed[32] == 1).then_some(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_packed_come_out_as_they_were_and_sort_alike() {
        let sizes = [None, Some(0), Some(1), Some(256), Some(u64::MAX)];
        let of = |oid: Oid| sizes.map(|size| Item { oid, size });
        let mut items: Vec<Item> = [&b"a"[..], b"b", b"c"].map(Oid::of).into_iter().flat_map(of).collect();
        items.sort_unstable();
        assert!(items.iter().map(Item::packed).is_sorted(), "the order is the same");
        assert!(items.iter().all(|item| Item::unpacked(&item.packed()) == *item));
    }
}
