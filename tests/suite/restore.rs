//! Everyone can get a file back without s3lfs: `... | gzip -dcf` (design.md, section 3, "Object").
//!
//! Contents that try to break that, and the tools themselves as the judge.
// clippy.toml's leave for tests covers test functions only, not their helpers.

use std::collections::HashSet;
use std::io::{Cursor, Write};
use std::process::{Command, Stdio};

use s3lfs::store::codec::{Compression, MEMBER_LEN, Mark, Sample, decide, decode, encode_range, mark, must_wrap};

/// The tools that the recipe is promised for; `None` where one is not installed.
fn tools() -> Vec<&'static str> {
    ["gzip", "pigz"]
        .into_iter()
        .filter(|tool| {
            let found = Command::new(tool).arg("--version").stdin(Stdio::null()).output().is_ok();
            if !found {
                eprintln!("restore: {tool} is not installed, so it was left out");
            }
            found
        })
        .collect()
}

/// `object | tool arguments`: what comes out, if the tool is content.
fn pipe(tool: &str, arguments: &[&str], object: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(tool);
    command.args(arguments).env_remove("GZIP").env_remove("PIGZ").env_remove("XZ_OPT");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let output = std::thread::scope(|scope| {
        // A tool that gives up early breaks the pipe; its exit status tells.
        scope.spawn(move || stdin.write_all(object).ok());
        child.wait_with_output()
    })
    .map_err(|error| error.to_string())?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{}: {:?}", output.status, output.stderr)) }
}

fn object_of(content: &[u8], compression: Compression) -> Vec<u8> {
    let len = content.len() as u64;
    let sample = Sample::take(&mut Cursor::new(content), len).unwrap();
    let (mut rest, mut object) = (content, Vec::new());
    encode_range(&mut rest, len, decide(&sample, compression), &mut object).unwrap();
    object
}

/// Every object that `content` can become is restored by every tool, and by us.
fn check(tools: &[&str], name: &str, content: &[u8]) {
    assert!(!content.is_empty(), "empty content has no object");
    let mut seen = HashSet::new();
    for compression in [Compression::Auto, Compression::Gzip, Compression::None] {
        let object = object_of(content, compression);
        let mut back = Vec::new();
        decode(object.as_slice(), &mut back, content.len() as u64)
            .unwrap_or_else(|error| panic!("{name}, {compression}: {error:?}"));
        assert!(back == content, "{name}, {compression}: we restore the content");
        assert_ne!(mark(&object), Mark::Later, "{name}, {compression}: no object of ours is refused by us");
        if seen.insert(object.clone()) {
            for tool in tools {
                match pipe(tool, &["-dcf"], &object) {
                    Ok(out) => assert!(out == content, "{name}, {compression}: {tool} -dcf restores the content"),
                    Err(error) => panic!("{name}, {compression}: {tool} -dcf fails: {error}"),
                }
            }
        }
    }
}

/// Bytes that do not compress: xorshift64.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn text(len: usize) -> Vec<u8> {
    b"It was a dark and stormy night; the rain fell in torrents.\n".iter().copied().cycle().take(len).collect()
}

#[test]
fn every_mark_and_magic_number() {
    let tools = tools();
    let magics: [(&str, &[u8]); 25] = [
        ("gzip", b"\x1f\x8b"),
        ("gzip, deflate", b"\x1f\x8b\x08"),
        ("gzip, header only", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        ("s3lfs", b"s3lfs/"),
        ("s3lfs, a version", b"s3lfs/2\n"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("zstd, skippable frame", b"\x50\x2a\x4d\x18"),
        ("age", b"age-encryption.org/"),
        ("age, a version", b"age-encryption.org/v1\n"),
        ("age, cut", b"age-encryption.org"),
        ("compress", b"\x1f\x9d"),
        ("compress, 16 bits", b"\x1f\x9d\x90"),
        ("pack", b"\x1f\x1e"),
        ("old gzip", b"\x1f\x9e"),
        ("lzh", b"\x1f\xa0"),
        ("1f alone", b"\x1f"),
        ("PK", b"PK"),
        ("zip", b"PK\x03\x04"),
        ("zip, end of directory", b"PK\x05\x06"),
        ("bzip2", b"BZh91AY&SY"),
        ("xz", b"\xfd7zXZ\0"),
        ("lzip", b"LZIP\x01"),
        ("lzma", b"\x5d\0\0\x80\0"),
        ("lz4", b"\x04\x22\x4d\x18"),
        ("NUL bytes", &[0; 600]),
    ];
    for (name, magic) in magics {
        check(&tools, name, magic);
        for tail in [b"x".as_slice(), b"\0\0\0\0\0\0\0\0\0\0\0\0", &text(300), &noise(300), &noise(70_000)] {
            check(&tools, &format!("{name} and {} bytes", tail.len()), &[magic, tail].concat());
        }
    }
}

#[test]
fn every_zlib_header() {
    let tools = tools();
    let headers: Vec<[u8; 2]> =
        (0..=u16::MAX).filter(|h| h % 31 == 0 && h >> 8 & 0x0f == 8).map(u16::to_be_bytes).collect();
    for known in [b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x08\x1d"] {
        assert!(headers.contains(known), "{known:02x?} is a zlib header");
    }
    for header in headers {
        let content = [&header, noise(40).as_slice()].concat();
        assert!(must_wrap(&content, content.len() as u64), "{header:02x?} is never stored bare");
        check(&tools, &format!("zlib {header:02x?}"), &content);
    }
}

#[test]
fn lengths_about_nothing() {
    let tools = tools();
    for len in 1..=7 {
        for content in [text(len), noise(len), vec![0; len], vec![0xff; len], b"\x1f\x8b\x08\0\0\0\0"[..len].to_vec()] {
            check(&tools, &format!("{content:02x?}"), &content);
        }
    }
    for content in [b"s3lfs/".as_slice(), b"s3lfs", b"LZIP", b"BZh", b"PK", b"\n", b"\r\n", b"\x1a"] {
        check(&tools, &format!("{content:02x?}"), content);
    }
}

#[test]
fn files_that_are_compressed_already() {
    let tools = tools();
    let gzipped = object_of(&text(50_000), Compression::Gzip);
    check(&tools, "gzip", &gzipped);
    check(&tools, "gzip of gzip", &object_of(&gzipped, Compression::Gzip));
    check(&tools, "gzip, two members", &[gzipped.clone(), gzipped.clone()].concat());
    check(&tools, "gzip, cut", &gzipped[..gzipped.len() / 2]);
    check(&tools, "gzip and garbage", &[gzipped.as_slice(), b"garbage"].concat());
    check(&tools, "gzip and NUL bytes", &[gzipped, vec![0; 512]].concat());
    check(&tools, "zip", &zip(b"name", &text(1000)));
    for (tool, arguments) in
        [("xz", ["-zc"].as_slice()), ("xz", &["-zc", "--format=lzma"]), ("zstd", &["-c"]), ("bzip2", &["-zc"])]
    {
        match pipe(tool, arguments, &text(50_000)) {
            Ok(packed) => check(&tools, &format!("{tool} {arguments:?}"), &packed),
            Err(error) => eprintln!("restore: {tool} was left out: {error}"),
        }
    }
}

#[test]
fn ordinary_content() {
    let tools = tools();
    check(&tools, "text", &text(100_000));
    check(&tools, "random", &noise(1 << 20));
    check(&tools, "NUL bytes", &vec![0; 1 << 20]);
    check(&tools, "tar", &tar(b"name", &noise(10_000)));
    // More than one member, the last of them one byte long or of many.
    for len in [MEMBER_LEN as usize, MEMBER_LEN as usize + 1, (5 << 20) + 1] {
        check(&tools, "text of several members", &text(len));
        check(&tools, "random of several members", &[b"PK\x03\x04".as_slice(), &noise(len - 4)].concat());
    }
}

/// One stored member, as APPNOTE.TXT 4.3 has it (its CRC is left 0: nobody here may look).
fn zip(name: &[u8], content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32).to_le_bytes();
    let name_len = (name.len() as u16).to_le_bytes();
    let fields = [&[10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], len.as_slice(), &len, &name_len, &[0, 0]].concat();
    let local = [b"PK\x03\x04", fields.as_slice(), name, content].concat();
    let directory = [b"PK\x01\x02\x0a\0", fields.as_slice(), &[0; 14], name].concat();
    let end = [
        b"PK\x05\x06\0\0\0\0\x01\0\x01\0",
        (directory.len() as u32).to_le_bytes().as_slice(),
        &(local.len() as u32).to_le_bytes(),
        &[0, 0],
    ]
    .concat();
    [local, directory, end].concat()
}

/// One file in a ustar header, its end two empty blocks.
fn tar(name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_slice(), content, &padding, &[0; 1024]].concat()
}
