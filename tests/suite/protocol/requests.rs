//! Reference, 1.2 and 1.4: text lines, pathnames, keys, and requests that nobody understands.

use super::bench::{Bench, text};
use super::filter::{Answer, Filter, success};
use s3lfs::pointer::Pointer;

/// Names that a trimming, quoting or UTF-8 reader would break.
const PATHNAMES: [&[u8]; 20] = [
    b"plain",
    b"dir/file.bin",
    b" leading blank",
    b"trailing blank ",
    b"  ",
    b"a=b",
    b"=",
    b"ends in =",
    b"ends in LF\n",
    b"ends in two LF\n\n",
    b"LF\ninside",
    b"CR\r",
    b"CR\r\nLF",
    b"\ttabs\t",
    b"\"quoted\"",
    b"back\\slash",
    "größe/ünïcode".as_bytes(),
    b"not utf-8 \xff\xfe\xc3",
    b"pathname=x",
    b"command=clean",
];

#[test]
fn pathnames_come_back_byte_for_byte() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for (n, path) in PATHNAMES.into_iter().enumerate() {
        let content = text(&n.to_string(), 50);
        let pointer = bench.stored(&content);
        assert_eq!(filter.smudge_can_delay(path, pointer.encode()), Answer::Delayed, "{path:?}");
        assert_eq!(filter.list(), [path], "the name is listed as it was given");
        assert_eq!(filter.retry(path), success(&content), "and found again by it");
    }
    filter.finish().well();
}

#[test]
fn of_names_that_differ_in_a_blank_each_has_its_own_content() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let names = ["n", " n", "n ", "n\r", "n\n", "n=", "\"n\""];
    for name in names {
        let pointer = bench.stored(format!("content of {name:?}"));
        assert_eq!(filter.smudge_can_delay(name, pointer.encode()), Answer::Delayed);
    }
    let mut answers = filter.collect_delayed();
    answers.sort_by_key(|(name, _)| names.iter().position(|n| n == name));
    let expected: Vec<_> =
        names.iter().map(|name| ((*name).to_owned(), success(format!("content of {name:?}")))).collect();
    assert_eq!(answers, expected, "no two names are taken for one");
    filter.finish().well();
}

#[test]
fn lines_without_lf_keep_everything() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let no_lf = |filter: &mut Filter, lines: &[&[u8]]| {
        lines.iter().for_each(|line| filter.send_packet(line));
        filter.flush();
    };
    for (n, path) in PATHNAMES.into_iter().enumerate().filter(|(_, path)| !path.ends_with(b"\n")) {
        let content = text(&n.to_string(), 60);
        let pointer = bench.stored(&content);
        let pathname = [b"pathname=", path].concat();
        no_lf(&mut filter, &[b"command=smudge", &pathname, b"can-delay=1"]);
        filter.send_content(&pointer.encode());
        assert_eq!(filter.answer(), Answer::Delayed, "{path:?}");
        no_lf(&mut filter, &[b"command=list_available_blobs"]);
        assert_eq!(filter.read_available(), [path], "as gix writes it");
        no_lf(&mut filter, &[b"command=smudge", &pathname]);
        filter.flush();
        assert_eq!(filter.answer(), success(&content));
    }
    filter.finish().well();
}

#[test]
fn neither_order_nor_unknown_keys_matter() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    let mut filter = bench.filter();
    filter.send_list(&[
        b"future=1",
        b"blob=ce013625030ba8dba906f756967f9e9ca394464a",
        b"can-delay=1",
        b"no equals sign",
        b"",
        b"=",
        b"treeish=0000000000000000000000000000000000000000",
        b"ref=refs/heads/elsewhere",
        b"pathname=f",
        b"command=smudge",
        b"zzz=",
    ]);
    filter.send_content(&pointer.encode());
    assert_eq!(filter.answer(), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("f".to_owned(), success("content"))]);
    filter.finish().well();
}

#[test]
fn can_delay_is_meant_only_as_1() {
    let bench = Bench::new();
    for line in ["can-delay=0", "can-delay=", "can-delay", "can-delay=11", "can-delayed=1"] {
        let pointer = bench.stored(format!("content with {line}"));
        let mut filter = bench.filter();
        filter.request("smudge", "f", &[line]);
        filter.send_content(&pointer.encode());
        assert_eq!(filter.answer(), success(format!("content with {line}")), "{line:?} gives no leave to delay");
        filter.finish().well();
    }
}

#[test]
fn an_unknown_command_costs_only_itself() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    filter.request("transmogrify", "f", &[]);
    filter.send_content(&text("t", 200_000));
    assert_eq!(filter.answer(), Answer::Error, "its content is read, and it is refused");
    let content = text("next", 10);
    assert_eq!(filter.clean("g", &content), success(Pointer::to(&content).unwrap().encode()), "the process lives on");
    let stderr = filter.finish().well();
    assert!(stderr.contains("transmogrify"), "the command is named: {stderr}");
}

#[test]
fn clean_and_smudge_without_a_pathname_are_refused_with_their_content() {
    for command in ["clean", "smudge"] {
        let bench = Bench::new();
        let mut filter = bench.filter();
        filter.send_list(&[format!("command={command}").as_bytes()]);
        filter.send_content(b"0011command=clean\n");
        assert_eq!(filter.answer(), Answer::Error, "{command} without a pathname");
        let content = text("next", 10);
        let pointer = Pointer::to(&content).unwrap();
        assert_eq!(filter.clean("g", &content), success(pointer.encode()), "one request has one answer");
        filter.finish().well();
    }
}

#[test]
fn a_list_without_a_command_is_refused() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    filter.send_list(&[b"colour=red"]);
    assert_eq!(filter.answer(), Answer::Error);
    assert_eq!(filter.list(), Vec::<Vec<u8>>::new(), "the process lives on");
    filter.finish().well();
}

#[test]
fn commands_are_spelled_exactly() {
    for command in ["CLEAN", " clean", "clean ", "smudge\r", "cleans", ""] {
        let bench = Bench::new();
        let mut filter = bench.filter();
        filter.request(command, "f", &[]);
        filter.send_content(b"content");
        assert_eq!(filter.answer(), Answer::Error, "{command:?} is no command");
        filter.finish().well();
    }
}
