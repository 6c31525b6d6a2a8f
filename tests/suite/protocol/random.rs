//! Clean then smudge gives the same bytes, for contents and packets drawn by lot from a fixed seed.

use std::fs;
use std::io::Cursor;

use s3lfs::pointer::Pointer;
use s3lfs::store::codec::{Compression, Sample, decide, encode_range};

use super::bench::{Bench, MIB};
use super::filter::{Answer, Filter, MAX_DATA, success};

/// Knuth's linear congruential generator (MMIX).
struct Lot(u64);

impl Lot {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        self.draw() as usize % n
    }

    fn content(&mut self) -> Vec<u8> {
        const LENGTHS: [usize; 10] = [0, 1, 100, 1023, 1024, 4096, MAX_DATA, 2 * MAX_DATA, MIB, 2 * MIB];
        let len = (LENGTHS[self.below(LENGTHS.len())] + self.below(3)).saturating_sub(self.below(2));
        let letters = [1, 4, 256][self.below(3)];
        let mut content: Vec<u8> = (0..len).map(|_| self.below(letters) as u8).collect();
        // Now and then something that begins like what it is not.
        const BEGINNINGS: [&[u8]; 6] =
            [b"\x1f\x8b\x08", b"s3lfs/", b"version s3lfs/1\n", b"version s3lfs/9", b"0000", b"0004"];
        if self.below(3) == 0 {
            let beginning = BEGINNINGS[self.below(BEGINNINGS.len())];
            let len = beginning.len().min(content.len());
            content[..len].copy_from_slice(&beginning[..len]);
        }
        content
    }

    /// Send `bytes` as content in packets of any sizes, empty ones too.
    fn send(&mut self, filter: &mut Filter, mut bytes: &[u8]) {
        let largest = [20, 5000, MAX_DATA][if bytes.len() < 20_000 { self.below(3) } else { 1 + self.below(2) }];
        while !bytes.is_empty() {
            let (packet, rest) = bytes.split_at(self.below(largest + 1).min(bytes.len()));
            filter.send_packet(packet);
            bytes = rest;
        }
        filter.flush();
    }
}

/// As `upload` would write it.
fn object(content: &[u8], compression: Compression) -> Vec<u8> {
    let len = content.len() as u64;
    let encoding = decide(&Sample::take(&mut Cursor::new(content), len).unwrap(), compression);
    let mut object = Vec::new();
    encode_range(&mut &*content, len, encoding, &mut object).unwrap();
    object
}

#[test]
fn clean_then_smudge_is_the_same_bytes() {
    let seed = 20_240_229;
    let mut lot = Lot(seed);
    let bench = Bench::new();
    let mut filter = bench.filter();
    for round in 0..60 {
        let context = format!("seed {seed}, round {round}");
        let content = lot.content();
        filter.request("clean", "f", &[]);
        lot.send(&mut filter, &content);
        let Answer::Success(blob) = filter.answer() else { panic!("{context}: clean succeeds") };
        let newer = content.starts_with(b"version s3lfs/9") && content.len() < 1024 && blob == content;
        assert!(newer || blob == Pointer::to(&content).map(|p| p.encode()).unwrap_or_default(), "{context}");
        if newer {
            continue;
        }

        filter.request("smudge", "f", &["can-delay=1"]);
        lot.send(&mut filter, &blob);
        assert_eq!(filter.answer(), success(&content), "{context}: from the cache");

        let Some(pointer) = Pointer::to(&content) else { continue };
        fs::remove_file(bench.cached_path(&pointer)).unwrap();
        let compression = [Compression::Auto, Compression::Gzip, Compression::None][lot.below(3)];
        bench.put(&pointer, &object(&content, compression));
        filter.request("smudge", "f", &["can-delay=1"]);
        lot.send(&mut filter, &blob);
        assert_eq!(filter.answer(), Answer::Delayed, "{context}");
        assert_eq!(filter.collect_delayed(), [("f".to_owned(), success(&content))], "{context}: from the store");
    }
    filter.finish().well();
}
