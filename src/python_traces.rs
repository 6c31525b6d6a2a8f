//! What the Python s3lfs wrote into files that are not its own: `.gitignore`, `.gitattributes`, hooks.
//!
//! Apart because it is pure text, of a tool that is gone: its hooks call commands that this program
//! does not have, and would stop every commit; its ignored files are to be tracked. Only lines that it
//! wrote are touched.

use bstr::{BString, ByteSlice};

/// Lines between which a block of it stands.
type Marks = (&'static str, &'static str);

const IGNORED: Marks = ("# >>> s3lfs tracked files >>>", "# <<< s3lfs tracked files <<<");
const MERGED: Marks = ("# >>> s3lfs manifest merge >>>", "# <<< s3lfs manifest merge <<<");
const HOOK: Marks = ("# >>> s3lfs hook >>>", "# <<< s3lfs hook <<<");

/// The hooks that it installed.
pub const HOOKS: [&str; 5] = ["post-merge", "post-checkout", "post-rewrite", "pre-commit", "pre-push"];

/// What stands above the lines that keep its own files out of Git. Later versions added lines without it.
const CACHE_HEAD: &[u8] = b"# S3LFS cache and temporary files - should not be version controlled";
const CACHE: [&[u8]; 4] = [b"*_cache.json", b"*_cache.yaml", b".s3lfs_temp/", b"*.s3lfs.lock"];

/// Files of its own that may lie at the top of the worktree, as patterns for Git's local exclude file.
pub const LEFTOVERS: [(&str, &str); 3] = [
    (".s3lfs_temp", "/.s3lfs_temp/"),
    (".s3_manifest_cache.json", "/.s3_manifest_cache.json"),
    (".s3_manifest_cache.yaml", "/.s3_manifest_cache.yaml"),
];

/// A `.gitignore` without its lines. The paths in `keep` stay ignored, each by itself.
pub fn gitignore(text: &[u8], keep: &[BString]) -> Vec<u8> {
    let mut text = without_block(text, IGNORED).unwrap_or_else(|| text.to_vec());
    if text.lines().any(|line| line.trim_end() == CACHE_HEAD) {
        text = without_lines(&text, |line| line == CACHE_HEAD || CACHE.contains(&line));
    }
    if !keep.is_empty() {
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        let lines = keep.iter().map(|path| [b"/".as_slice(), &ignore_escaped(path), b"\n"].concat());
        let (start, end) = IGNORED;
        text.extend(
            [format!("{start}\n").into_bytes(), lines.collect::<Vec<_>>().concat(), format!("{end}\n").into_bytes()]
                .concat(),
        );
    }
    text
}

/// The directories that a `.gitignore` hides for it, from the top, without slashes around them.
pub fn ignored_dirs(text: &[u8]) -> Vec<BString> {
    let (start, end) = IGNORED;
    let lines = text.lines().map(ByteSlice::trim_end);
    let block = lines.skip_while(|line| *line != start.as_bytes()).take_while(|line| *line != end.as_bytes());
    let dir = |line: &[u8]| Some(unescaped(line.strip_prefix(b"/")?.strip_suffix(b"/")?));
    block.filter_map(dir).collect()
}

/// A `.gitattributes` without its merge driver.
pub fn gitattributes(text: &[u8]) -> Vec<u8> {
    without_block(text, MERGED).unwrap_or_else(|| text.to_vec())
}

/// What is left of a hook.
#[derive(Debug, PartialEq, Eq)]
pub enum HookLeft {
    /// It is not in it.
    Foreign,
    /// Nothing but its own lines was in it.
    Nothing,
    /// The rest.
    Rest(Vec<u8>),
}

/// A hook without its block.
pub fn hook(text: &[u8]) -> HookLeft {
    let Some(rest) = without_block(text, HOOK) else { return HookLeft::Foreign };
    let does_something = |line: &[u8]| !line.trim().is_empty() && !line.starts_with(b"#!");
    if rest.lines().any(does_something) { HookLeft::Rest(rest) } else { HookLeft::Nothing }
}

/// Without the block, its marks, and the empty line that was put above it. `None`: it is not there, or
/// its end is missing, so that nobody knows what is in it.
fn without_block(text: &[u8], (start, end): Marks) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = text.lines_with_terminator().collect();
    let at = |mark: &str, from: usize| {
        lines.iter().skip(from).position(|line| line.trim_end() == mark.as_bytes()).map(|at| at + from)
    };
    let first = at(start, 0)?;
    let last = at(end, first)?;
    let before = first - usize::from(first > 0 && lines[first - 1].trim().is_empty());
    Some([&lines[..before], &lines[last + 1..]].concat().concat())
}

fn without_lines(text: &[u8], ours: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for line in text.lines_with_terminator() {
        if !ours(line.trim_end()) {
            kept.push(line);
        } else if line.trim_end() == CACHE_HEAD && kept.last().is_some_and(|line| line.trim().is_empty()) {
            kept.pop();
        }
    }
    kept.concat()
}

/// A literal path in a line of `.gitignore`.
fn ignore_escaped(path: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(path.len());
    for &byte in path {
        if b"*?[]\\".contains(&byte) {
            line.push(b'\\');
        }
        line.push(byte);
    }
    // Git takes spaces at the end of a line for none.
    if line.ends_with(b" ") {
        line.insert(line.len() - 1, b'\\');
    }
    line
}

fn unescaped(line: &[u8]) -> BString {
    let mut path = BString::default();
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        path.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITIGNORE: &[u8] = include_bytes!("../fixtures/python-s3lfs/0.6.3/gitignore");

    #[test]
    fn its_gitignore_leaves_nothing() {
        assert_eq!(gitignore(GITIGNORE, &[]).as_bstr(), "", "every line of it is its own");
        assert_eq!(ignored_dirs(GITIGNORE), ["assets"]);
    }

    #[test]
    fn the_users_lines_stay_as_they_are() {
        let mine = b"# mine\r\n/build/\r\n*_cache.json.bak\r\n";
        assert_eq!(gitignore(mine, &[]), mine);
        let text = [mine.as_slice(), GITIGNORE, b"last"].concat();
        assert_eq!(gitignore(&text, &[]), [mine.as_slice(), b"last"].concat());
        let alone = b"*_cache.json\n";
        assert_eq!(gitignore(alone, &[]), alone, "without its head it may be the user's");
        let unclosed = b"# >>> s3lfs tracked files >>>\n/a\n";
        assert_eq!(gitignore(unclosed, &[]), unclosed, "nobody knows where it ends");
    }

    #[test]
    fn what_is_not_migrated_stays_ignored() {
        let kept = gitignore(b"x", &["a b/[1].bin".into(), "end ".into()]);
        let expected = "x\n# >>> s3lfs tracked files >>>\n/a b/\\[1\\].bin\n/end\\ \n# <<< s3lfs tracked files <<<\n";
        assert_eq!(kept.as_bstr(), expected);
        assert_eq!(gitignore(&kept, &[]), b"x\n", "and goes with the next run");
        let dirs = b"# >>> s3lfs tracked files >>>\n/r\\[1\\]/\n/f.bin\n/*.x\n# <<< s3lfs tracked files <<<\n/mine/\n";
        assert_eq!(ignored_dirs(dirs), ["r[1]"]);
    }

    #[test]
    fn hooks_lose_its_block_and_nothing_else() {
        let block = "# >>> s3lfs hook >>>\nif x; then\n    s3lfs pre-commit\nfi\n# <<< s3lfs hook <<<\n";
        assert_eq!(hook(format!("#!/bin/sh\n\n{block}").as_bytes()), HookLeft::Nothing);
        let rest = hook(format!("#!/bin/sh\nmake test\n\n{block}echo done\n").as_bytes());
        assert_eq!(rest, HookLeft::Rest(b"#!/bin/sh\nmake test\necho done\n".to_vec()));
        assert_eq!(hook(b"#!/bin/sh\ns3lfs pre-commit\n"), HookLeft::Foreign);
        let attributes =
            "*.x y\n\n# >>> s3lfs manifest merge >>>\n.gitignore merge=s3lfs\n# <<< s3lfs manifest merge <<<\n";
        assert_eq!(gitattributes(attributes.as_bytes()).as_bstr(), "*.x y\n");
    }
}
