//! Our block in the bytes of a hook: put in, brought up to date, taken out.
//!
//! Apart from the disk, so that the promise "what was given comes back, byte for byte" is one that
//! tests can try on any text.

use std::ops::Range;

use bstr::ByteSlice;

use super::Hook;

pub(super) const BEGIN: &[u8] = b"# >>> s3lfs >>>";
const END: &[u8] = b"# <<< s3lfs <<<";

/// What to do with a hook so that it runs ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Write these bytes.
    Write(Vec<u8>),
    /// It does already.
    Unchanged,
    /// Not ours to edit: say why, and print [`Hook::command`].
    Foreign(&'static str),
}

/// What to do with a hook so that it is again as it was without ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uninstalled {
    /// Nothing but our script is left: delete the file.
    Remove,
    /// Write the user's bytes.
    Write(Vec<u8>),
    /// Nothing of ours is in it.
    Unchanged,
    /// Something of ours is in it, but not as a block that we put there: say why.
    Foreign(&'static str),
}

const UNCLOSED: &str = "the line '# >>> s3lfs >>>' in it has no '# <<< s3lfs <<<' below it";
const BINARY: &str = "it is not text";
const OTHER_SHEBANG: &str = "it is not a POSIX shell script";
const POLYGLOT: &str = "it hands itself to another program";
const CRLF: &str =
    "its lines end with CR LF, and the CR is taken for a part of the program's name: sed -i 's/\\r$//' <hook>";
const BY_HAND: &str = "it has a line for s3lfs that was added by hand";

/// Put the block of `hook` into a hook's bytes (`None`: there is no file): in place of an older block,
/// else first thing after the shebang, where no `exit` or `exec` of the user's comes before it and
/// none of his `set` applies.
pub fn install(existing: Option<&[u8]>, hook: Hook) -> Installed {
    let Some(existing) = existing else {
        return Installed::Write(hook.script().into());
    };
    if has_crlf_shebang(existing) {
        return match uninstall(&existing.replace("\r\n", "\n"), hook) {
            Uninstalled::Remove => Installed::Write(hook.script().into()),
            _ => Installed::Foreign(CRLF),
        };
    }
    let block = hook.block().as_bytes();
    let bytes = match find_block(existing) {
        Err(reason) => return Installed::Foreign(reason),
        Ok(Some(Range { start, end })) => {
            let ours = if existing[..end].ends_with(b"\n") { block } else { block.trim_end() };
            [&existing[..start], ours, &existing[end..]].concat()
        }
        Ok(None) => match objection(existing) {
            Some(_) if calls_us(existing, hook) => return Installed::Unchanged,
            Some(reason) => return Installed::Foreign(reason),
            None => insert(existing, block),
        },
    };
    if bytes == existing { Installed::Unchanged } else { Installed::Write(bytes) }
}

/// Take our block out of a hook's bytes: what [`install`] was given comes back, byte for byte.
pub fn uninstall(existing: &[u8], hook: Hook) -> Uninstalled {
    let mut left = existing.to_vec();
    loop {
        match find_block(&left) {
            Err(reason) => return Uninstalled::Foreign(reason),
            Ok(None) => break,
            // Without its line end, the block has that of the shebang above it, see `insert`.
            Ok(Some(Range { start, end })) if !left[..end].ends_with(b"\n") => {
                left.truncate(start.saturating_sub(1));
            }
            Ok(Some(block)) => drop(left.drain(block)),
        }
    }
    if left == existing {
        if calls_us(existing, hook) { Uninstalled::Foreign(BY_HAND) } else { Uninstalled::Unchanged }
    } else if left.trim_end() == hook.head().trim_end().as_bytes() {
        Uninstalled::Remove
    } else {
        Uninstalled::Write(left)
    }
}

/// Whether there is anything of ours in it.
pub(super) fn has_block(bytes: &[u8]) -> bool {
    find_block(bytes) != Ok(None)
}

/// A script without a shebang is run by `sh` (Git's `start_command`, run-command.c, on ENOEXEC): there
/// the block goes first. A shebang that ends without a line end gets one, and the block gives up its own.
fn insert(existing: &[u8], block: &[u8]) -> Vec<u8> {
    let below_shebang = match existing.find_byte(b'\n') {
        _ if !existing.starts_with(b"#!") => 0,
        Some(at) => at + 1,
        None => return [existing, b"\n", block.trim_end()].concat(),
    };
    [&existing[..below_shebang], block, &existing[below_shebang..]].concat()
}

/// Where our block is, markers and line ends included. An editor may have made them CRLF.
fn find_block(bytes: &[u8]) -> Result<Option<Range<usize>>, &'static str> {
    let mut start = None;
    let mut at = 0;
    for line in bytes.lines_with_terminator() {
        match (start, line.trim_end()) {
            (None, BEGIN) => start = Some(at),
            (Some(start), END) => return Ok(Some(start..at + line.len())),
            _ => {}
        }
        at += line.len();
    }
    start.map_or(Ok(None), |_| Err(UNCLOSED))
}

/// Why lines of sh would not run, or do harm, at the top of this hook.
fn objection(existing: &[u8]) -> Option<&'static str> {
    if existing.contains(&0) {
        return Some(BINARY);
    }
    let shebang = existing.lines().next()?.strip_prefix(b"#!")?;
    let mut words = shebang.fields();
    let mut program = base_name(words.next().unwrap_or_default());
    if program == b"env" {
        let command = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        program = base_name(command.unwrap_or_default());
    }
    let program = program.strip_suffix(b".exe").unwrap_or(program);
    if !matches!(program, b"sh" | b"bash" | b"dash" | b"ash" | b"ksh" | b"mksh" | b"zsh") {
        return Some(OTHER_SHEBANG);
    }
    // Sh and another language at once, as pip writes it: `'''exec' /long/path/python "$0" "$@"`.
    let hands_over = |line: &[u8]| line.contains_str("exec") && line.contains_str("\"$0\" ");
    existing.lines().any(|line| !line.trim_start().starts_with(b"#") && hands_over(line)).then_some(POLYGLOT)
}

/// Whether the system looks for a program whose name ends with CR.
pub(super) fn has_crlf_shebang(bytes: &[u8]) -> bool {
    let first = bytes.lines_with_terminator().next().unwrap_or_default();
    !cfg!(windows) && first.starts_with(b"#!") && first.ends_with(b"\r\n")
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a hook has the line that we ask to add, in whatever language.
pub(super) fn calls_us(existing: &[u8], hook: Hook) -> bool {
    let command = hook.command().trim_end_matches(" \"$@\"");
    existing.lines().any(|line| !line.trim_start().starts_with(b"#") && line.contains_str(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hooks of users: what `install` edits.
    const SHELL: &[&[u8]] = &[
        b"#!/bin/sh\necho mine\n",
        b"#!/bin/sh\n",
        b"#!/bin/sh",
        b"#!/bin/sh\nexit 0",
        b"#! /bin/bash -eu\nset -e\nexit 0\n",
        b"#!/usr/bin/env bash\nexec other \"$@\"\n",
        b"#!/usr/bin/env -S bash -e\n",
        b"#!/bin/sh\necho mine\r\nexit 0\r\n",
        b"#!C:/Git/bin/sh.exe\n",
        b"#!/usr/bin/zsh\n\n\n",
        b"",
        b"\n",
        b"echo no shebang",
        b"echo \xff\n",
        b"#!/bin/sh\n# exec python \"$0\" is only talked about\n",
    ];

    #[test]
    fn what_install_is_given_comes_back_from_uninstall() {
        for (text, hook) in SHELL.iter().flat_map(|text| Hook::ALL.map(|hook| (*text, hook))) {
            let Installed::Write(with) = install(Some(text), hook) else { panic!("{:?}", text.as_bstr()) };
            let line = with.lines().position(|line| line == BEGIN).unwrap();
            assert!(line <= 1, "nothing but the shebang comes before the block: {:?}", with.as_bstr());
            assert_eq!(install(Some(&with), hook), Installed::Unchanged, "idempotent");
            assert_eq!(uninstall(&with, hook), Uninstalled::Write(text.to_vec()), "byte for byte");
            assert_eq!(uninstall(text, hook), Uninstalled::Unchanged);
        }
    }

    #[test]
    fn a_hook_that_is_wholly_ours_goes_and_one_with_lines_below_stays() {
        for hook in Hook::ALL {
            let Installed::Write(ours) = install(None, hook) else { panic!("no hook is there") };
            assert_eq!(install(Some(&ours), hook), Installed::Unchanged);
            assert_eq!(uninstall(&ours, hook), Uninstalled::Remove);
            assert_eq!(uninstall(ours.trim_end(), hook), Uninstalled::Remove, "an editor took the last line end");
            let extended = [ours.as_slice(), b"make test\n"].concat();
            assert_eq!(install(Some(&extended), hook), Installed::Unchanged);
            let left = [hook.head().as_bytes(), b"make test\n"].concat();
            assert_eq!(uninstall(&extended, hook), Uninstalled::Write(left));
        }
    }

    #[test]
    #[cfg(not(windows))]
    fn a_hook_that_nothing_can_run_is_made_anew_if_it_is_ours_alone() {
        let ours = Hook::PrePush.script().replace('\n', "\r\n");
        assert_eq!(install(Some(ours.as_bytes()), Hook::PrePush), Installed::Write(Hook::PrePush.script().into()));
        assert_eq!(install(Some(b"#!/bin/sh\r\necho mine\r\n"), Hook::PrePush), Installed::Foreign(CRLF));
    }

    #[test]
    fn an_older_block_is_replaced_where_it_stands() {
        let old = b"#!/bin/sh\nfirst\r\n# >>> s3lfs >>>\r\nold\r\n# <<< s3lfs <<<\r\nlast";
        let new = ["#!/bin/sh\nfirst\r\n", Hook::PrePush.block(), "last"].concat();
        assert_eq!(install(Some(old), Hook::PrePush), Installed::Write(new.into()));
        assert_eq!(uninstall(old, Hook::PrePush), Uninstalled::Write(b"#!/bin/sh\nfirst\r\nlast".to_vec()));
    }

    #[test]
    fn what_is_not_a_shell_script_is_left_alone() {
        for (text, reason) in [
            (b"#!/usr/bin/env python3\nprint()\n".as_slice(), OTHER_SHEBANG),
            (b"#!/usr/bin/perl -w\n", OTHER_SHEBANG),
            (b"#!\n", OTHER_SHEBANG),
            (b"\x7fELF\0", BINARY),
            (b"#!/bin/sh\n'''exec' /v/python \"$0\" \"$@\"\n' '''\n", POLYGLOT),
            (b"#!/bin/sh\n# >>> s3lfs >>>\nexit\n", UNCLOSED),
        ] {
            assert_eq!(install(Some(text), Hook::PrePush), Installed::Foreign(reason));
        }
        let by_hand = b"#!/usr/bin/python3\nrun('s3lfs hook pre-push', *argv)\n";
        assert_eq!(install(Some(by_hand), Hook::PrePush), Installed::Unchanged, "the line is there");
        assert_eq!(uninstall(by_hand, Hook::PrePush), Uninstalled::Foreign(BY_HAND));
        assert!(matches!(install(Some(by_hand), Hook::PostMerge), Installed::Foreign(_)), "but not in this hook");
    }

    #[test]
    fn each_script_is_short_and_runs_the_line_to_add() {
        for hook in Hook::ALL {
            assert!(hook.script().lines().count() <= 12, "all logic is in the binary");
            assert!(hook.script().starts_with("#!/bin/sh\n") && hook.block().ends_with("# <<< s3lfs <<<\n"));
            assert!(hook.block().contains(hook.command()), "{} runs {}", hook.name(), hook.command());
            assert_eq!(Hook::from_name(hook.name()), Some(hook));
        }
    }
}
