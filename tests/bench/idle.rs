//! A filter process that does nothing but answer, for the benchmark: what Git with any filter costs at the least.
//!
//! Content is read and dropped; its pointer has the first bytes of the content in place of a hash, and a pointer becomes so
//! many bytes from memory. Built with `rustc -O` alone; apart from the program because nothing of it must be in here.

use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::thread::yield_now;

/// The longest content of a packet.
const MOST: usize = 65516;

/// Sleeps only once Git had time to write all of a request; who is woken by each packet costs both twice as much.
struct Patient<R> {
    inner: R,
    within: bool,
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.within, true) {
            (0..8).for_each(|_| yield_now());
        }
        self.inner.read(buf)
    }
}

/// One packet into `packet`; `false`: a flush. `None`: the end.
fn packet(input: &mut impl BufRead, packet: &mut Vec<u8>) -> Option<bool> {
    let mut head = [0; 4];
    input.read_exact(&mut head).ok()?;
    let len = usize::from_str_radix(std::str::from_utf8(&head).ok()?, 16).ok()?;
    packet.resize(len.saturating_sub(4), 0);
    input.read_exact(packet).ok()?;
    Some(len > 0)
}

/// All packets up to a flush, one after the other.
fn list(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut all, mut one) = (Vec::new(), Vec::new());
    while packet(input, &mut one)? {
        all.extend_from_slice(&one);
    }
    Some(all)
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}\n", text.len() + 5).into_bytes()
}

/// The first 32 bytes, and the length, of content up to a flush.
fn content(input: &mut impl BufRead) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    let (mut small, mut one, mut len) = (Vec::new(), Vec::with_capacity(MOST), 0);
    while packet(input, &mut one)? {
        if small.len() < 1024 {
            small.extend_from_slice(&one[..one.len().min(1024)]);
        }
        len += one.len();
    }
    let mut name = small.clone();
    name.resize(32, 0);
    Some((small, name, len))
}

fn write_all(output: &mut impl Write, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !parts.is_empty() {
        let n = output.write_vectored(parts)?;
        IoSlice::advance_slices(&mut parts, n);
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut input = BufReader::with_capacity(256 << 10, Patient { inner: io::stdin().lock(), within: false });
    let mut output = std::fs::File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?);
    list(&mut input);
    output.write_all(&[line("git-filter-server"), line("version=2"), b"0000".to_vec()].concat())?;
    list(&mut input);
    output.write_all(&[line("capability=clean"), line("capability=smudge"), b"0000".to_vec()].concat())?;
    let mut full = vec![b'x'; MOST];
    let begin = [line("status=success"), b"0000".to_vec()].concat();
    while let Some(request) = list(&mut input) {
        let Some((small, name, len)) = content(&mut input) else { break };
        input.get_mut().within = false;
        if request.starts_with(b"command=clean") {
            let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            let blob = format!("version s3lfs/1\noid sha256:{hex}\nsize {len}\n");
            output.write_all(&[&begin[..], format!("{:04x}{blob}", blob.len() + 4).as_bytes(), b"00000000"].concat())?;
            continue;
        }
        let text = String::from_utf8_lossy(&small);
        let size: usize = text.rsplit("size ").next().and_then(|size| size.trim().parse().ok()).unwrap_or(0);
        let (whole, rest) = (size / MOST, size % MOST);
        // So that what is cleaned again gets the same pointer.
        let hex = text.split("sha256:").nth(1).unwrap_or_default().as_bytes();
        for (byte, digits) in full.iter_mut().zip(hex.chunks_exact(2)).take(32) {
            *byte = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
        }
        let mut begin: &[u8] = &begin;
        for _ in 0..whole {
            write_all(&mut output, &mut [IoSlice::new(begin), IoSlice::new(b"fff0"), IoSlice::new(&full)])?;
            begin = b"";
        }
        let head = if rest > 0 { format!("{:04x}", rest + 4) } else { String::new() };
        let parts = [begin, head.as_bytes(), &full[..rest], b"00000000"];
        write_all(&mut output, &mut parts.map(IoSlice::new))?;
    }
    Ok(())
}
