//! Records of one width, sorted with no more memory than some of them take.
//!
//! Apart because a push of a million files has to find what two of them name alike. Sorted runs lie in a
//! [`Spool`], and are merged each time they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use super::spool::Spool;

/// Bytes of records that are sorted at once.
const HELD: usize = 4 << 20;

/// Bytes of one run that are read at once.
const PIECE: usize = 16 << 10;

/// Records that come in any order.
#[derive(Debug)]
pub struct Sorter<const N: usize> {
    held: Vec<[u8; N]>,
    most: usize,
    spool: Spool,
    /// Where each run ends that is in the spool.
    ends: Vec<u64>,
}

impl<const N: usize> Default for Sorter<N> {
    fn default() -> Self {
        Sorter { held: Vec::new(), most: HELD / N, spool: Spool::default(), ends: Vec::new() }
    }
}

impl<const N: usize> Sorter<N> {
    /// One more. Those that are equal are one.
    pub fn add(&mut self, record: [u8; N]) -> io::Result<()> {
        self.held.push(record);
        if self.held.len() >= self.most {
            self.put_aside()?;
        }
        Ok(())
    }

    /// That was all.
    pub fn sorted(mut self) -> io::Result<Sorted<N>> {
        if !self.ends.is_empty() {
            self.put_aside()?;
            self.held = Vec::new();
        }
        self.held.sort_unstable();
        self.held.dedup();
        Ok(Sorted(self))
    }

    fn put_aside(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        self.held.dedup();
        self.spool.write(self.held.as_flattened())?;
        self.held.clear();
        self.ends.push(self.spool.written());
        Ok(())
    }
}

/// Records in their order.
#[derive(Debug)]
pub struct Sorted<const N: usize>(Sorter<N>);

impl<const N: usize> Sorted<N> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.held.is_empty() && self.0.spool.written() == 0
    }

    /// From the first one on.
    pub fn read(&mut self) -> io::Result<Merge<'_, N>> {
        let mut merge = Merge { runs: Vec::new(), next: BinaryHeap::new(), last: None, sorted: &mut self.0, held: 0 };
        let mut start = 0;
        for number in 0..merge.sorted.ends.len() {
            let end = merge.sorted.ends[number];
            merge.runs.push(Run { read: Vec::new().into_iter(), at: start, end });
            merge.take_from(number)?;
            start = end;
        }
        Ok(merge)
    }
}

/// What is left of a run.
#[derive(Debug)]
struct Run<const N: usize> {
    read: std::vec::IntoIter<[u8; N]>,
    at: u64,
    end: u64,
}

/// [`Sorted`] records, being read.
#[derive(Debug)]
pub struct Merge<'a, const N: usize> {
    sorted: &'a mut Sorter<N>,
    /// How many of those were read that are in memory.
    held: usize,
    runs: Vec<Run<N>>,
    next: BinaryHeap<Reverse<([u8; N], usize)>>,
    last: Option<[u8; N]>,
}

impl<const N: usize> Merge<'_, N> {
    /// The next one. `None`: that was all.
    pub fn read(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.runs.is_empty() {
            self.held += 1;
            return Ok(self.sorted.held.get(self.held - 1).copied());
        }
        while let Some(Reverse((record, run))) = self.next.pop() {
            self.take_from(run)?;
            if self.last.replace(record) != Some(record) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn take_from(&mut self, number: usize) -> io::Result<()> {
        let run = &mut self.runs[number];
        if run.read.len() == 0 && run.at < run.end {
            let left = usize::try_from(run.end - run.at).unwrap_or(usize::MAX) / N;
            let mut records = vec![[0; N]; left.min(PIECE / N).max(1)];
            self.sorted.spool.read_exact_at(records.as_flattened_mut(), run.at)?;
            run.at += (records.len() * N) as u64;
            run.read = records.into_iter();
        }
        if let Some(record) = run.read.next() {
            self.next.push(Reverse((record, number)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_in_order_and_once_however_many_fit_into_memory() {
        for most in [3, 10_000] {
            for count in [0, 1, 2, 3, 4, 1000] {
                let mut sorter = Sorter::<8> { most, ..Sorter::default() };
                let mixed = |n: u64| (n / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                let records: Vec<[u8; 8]> = (0..count).map(mixed).collect();
                records.iter().for_each(|record| sorter.add(*record).unwrap());
                let mut right = records;
                right.sort_unstable();
                right.dedup();
                let mut sorted = sorter.sorted().unwrap();
                assert_eq!(sorted.is_empty(), count == 0);
                for _ in 0..2 {
                    let (mut read, mut merge) = (Vec::new(), sorted.read().unwrap());
                    while let Some(record) = merge.read().unwrap() {
                        read.push(record);
                    }
                    assert!(read == right, "{count} records, {most} in memory, are read again and again");
                }
            }
        }
    }
}
