//! Records of one width, sorted by the hash that each begins with, asked where they lie.
//!
//! Apart because both memories of many objects are such files, and are asked 100,000 times in a row: halving takes 17
//! looks for each, and waits for the machine's memory at nearly every one.

/// Bytes of the hash.
pub const KEY: usize = 32;

/// At which record each beginning of a hash begins. There are about as many beginnings as records, so that a hash is
/// found with two looks, since hashes are spread evenly. Whoever chooses them, as whoever writes a commit may, can
/// crowd them: then it takes as many as halving.
#[derive(Debug)]
pub struct Starts {
    /// Bits of the first 32 that do not count.
    ignored: u32,
    starts: Vec<u32>,
}

impl Starts {
    /// Those of `records`, of `width` bytes each. They must be sorted, or some are not found.
    pub fn of(records: &[u8], width: usize) -> Self {
        let mut starts = Starts::for_so_many(records.len() / width);
        records.chunks_exact(width).for_each(|record| starts.see(record));
        starts.seen()
    }

    /// Of so many records, of which each is to be [seen](Starts::see).
    pub fn for_so_many(count: usize) -> Self {
        let bits = (usize::BITS - count.leading_zeros()).clamp(1, 20);
        Starts { ignored: u32::BITS - bits, starts: vec![0; (1 << bits) + 1] }
    }

    /// One of the records.
    pub fn see(&mut self, record: &[u8]) {
        self.starts[beginning(record, self.ignored) + 1] += 1;
    }

    /// That was the last one.
    pub fn seen(mut self) -> Self {
        for at in 1..self.starts.len() {
            self.starts[at] += self.starts[at - 1];
        }
        self
    }

    /// The record that begins with `key`, among the `records` of which these are the starts.
    pub fn find<'a>(&self, records: &'a [u8], width: usize, key: &[u8; KEY]) -> Option<&'a [u8]> {
        self.find_by(key, |at| records.get(at * width..(at + 1) * width))
    }

    /// As [`Starts::find`], of records that somebody else knows by their numbers.
    pub fn find_by<R: AsRef<[u8]>>(&self, key: &[u8; KEY], record: impl Fn(usize) -> Option<R>) -> Option<R> {
        let at = beginning(key, self.ignored);
        let (mut low, mut high) = (self.starts[at] as usize, self.starts[at + 1] as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = record(middle)?;
            match found.as_ref()[..KEY].cmp(key) {
                std::cmp::Ordering::Equal => return Some(found),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

fn beginning(key: &[u8], ignored: u32) -> usize {
    (u32::from_be_bytes([key[0], key[1], key[2], key[3]]) >> ignored) as usize
}

#[cfg(test)]
mod tests {
    use super::super::Oid;
    use super::*;

    const WIDTH: usize = 40;

    fn sorted(keys: impl Iterator<Item = [u8; KEY]>) -> Vec<u8> {
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        keys.iter().enumerate().flat_map(|(n, key)| [key.as_slice(), &(n as u64).to_be_bytes()].concat()).collect()
    }

    #[test]
    fn what_is_there_is_found_and_nothing_else_however_the_hashes_lie() {
        let hash = |n: u32| *Oid::of(&n.to_be_bytes()).as_bytes();
        let crowded = |n: u32| {
            let mut key = [0; KEY];
            // All but a few begin alike, at either end.
            key[0] = if n.is_multiple_of(100) { 0xff } else { 0 };
            key[28..].copy_from_slice(&n.to_be_bytes());
            key
        };
        for count in [0, 1, 2, 3, 1000] {
            for make in [&hash as &dyn Fn(u32) -> [u8; KEY], &crowded] {
                let records = sorted((0..count).map(make));
                let starts = Starts::of(&records, WIDTH);
                let find = |key: &[u8; KEY]| starts.find(&records, WIDTH, key);
                for record in records.chunks_exact(WIDTH) {
                    let key: [u8; KEY] = record[..KEY].try_into().unwrap();
                    assert_eq!(find(&key), Some(record), "each of {count} with what belongs to it");
                }
                for n in count..count + 1000 {
                    assert_eq!(find(&make(n)), None, "not among {count}");
                }
                for end in [[0; KEY], [0xff; KEY]] {
                    let there = records.chunks_exact(WIDTH).find(|record| record[..KEY] == end);
                    assert_eq!(find(&end), there, "the ends of {count}");
                }
            }
        }
    }
}
