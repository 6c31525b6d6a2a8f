//! The text of a `.gitattributes` file, edited in place: which patterns s3lfs tracks, and the lines
//! that must stay last.
//!
//! Apart because it is pure (bytes in, bytes out) and because it must not match anything: what a
//! pathname's attributes are is asked of `git check-attr`, never worked out here.

mod given;
mod pattern;

use std::collections::HashSet;
use std::ops::Range;

use bstr::{BStr, BString, ByteSlice};

pub use given::Keeper;
pub use pattern::{BadPattern, Pattern, quote};
use pattern::{is_blank, unquote_prefix};

/// What a tracking line gives its pattern (design.md, section 4).
pub const TRACKING: &str = "filter=s3lfs diff=s3lfs merge=binary -text";

/// The lines that stay last, since the last match in a file wins: whatever pattern stands above
/// them, Git's own files and the manifest are never filtered (design.md, section 4).
pub const PROTECTED: [&str; 4] = [
    ".gitattributes -filter",
    ".gitignore -filter",
    ".gitmodules -filter",
    ".s3_manifest.json -filter -text merge=s3lfs-manifest",
];

/// A `.gitattributes` file that keeps each byte which is not ours to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributesFile {
    /// Each with its line end, which the last one may lack.
    lines: Vec<BString>,
}

/// A line that gives attributes to a pattern, as Git's `parse_attr_line` (attr.c) reads it.
struct Rule<'a> {
    /// The pattern as it is written, quotes and all.
    written: &'a [u8],
    pattern: BString,
    attributes: Vec<&'a [u8]>,
}

/// What a line says about the attribute `filter`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    Ours,
    Other,
    Silent,
}

impl AttributesFile {
    /// Take the bytes of a file, none if there is no file. Nothing is refused: lines that Git would
    /// not understand are kept too.
    pub fn parse(bytes: &[u8]) -> Self {
        AttributesFile { lines: bytes.lines_with_terminator().map(BString::from).collect() }
    }

    /// The bytes to write.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lines.concat()
    }

    /// Make sure that a line gives `pattern` to s3lfs; with it come the protected lines. Returns
    /// whether a line was added: not if the last word of this file on exactly that pattern is ours.
    pub fn track(&mut self, pattern: &Pattern) -> bool {
        if self.verdict(pattern.as_bstr()) == Filter::Ours {
            return false;
        }
        self.append(&[pattern.quoted().as_slice(), b" ", TRACKING.as_bytes()].concat());
        self.ensure_protected();
        true
    }

    /// Take away our lines for exactly this pattern (unquoted, as [`Self::tracked`] gives it), and
    /// return whether there were any. A line that also says what is not ours keeps that.
    pub fn untrack(&mut self, pattern: &BStr) -> bool {
        self.untrack_each(&HashSet::from([pattern.to_owned()]))
    }

    /// As [`Self::untrack`] for many patterns, in one pass.
    pub fn untrack_each(&mut self, patterns: &HashSet<BString>) -> bool {
        let mut found = false;
        let lines = std::mem::take(&mut self.lines);
        for line in lines {
            match rule(&line) {
                Some(rule) if patterns.contains(&rule.pattern) && rule.filter() == Filter::Ours => {
                    found = true;
                    self.lines.extend(rule.without_ours(line_end(&line)));
                }
                _ => self.lines.push(line),
            }
        }
        found
    }

    /// The patterns that this file gives to s3lfs, unquoted, in the file's order, each once.
    pub fn tracked(&self) -> Vec<BString> {
        let mut patterns: Vec<BString> = Vec::new();
        for rule in self.rules().filter(|rule| rule.filter() == Filter::Ours) {
            if !patterns.contains(&rule.pattern) && self.verdict(rule.pattern.as_bstr()) == Filter::Ours {
                patterns.push(rule.pattern);
            }
        }
        patterns
    }

    /// The numbers, from 1, of the lines that give a pattern another filter than ours, or none.
    pub fn without_filter(&self) -> Vec<usize> {
        let is_other = |line: &BString| rule(line).is_some_and(|rule| rule.filter() == Filter::Other);
        self.lines.iter().zip(1..).filter(|(line, _)| is_other(line)).map(|(_, number)| number).collect()
    }

    /// Make sure that the protected lines are there and the last to say anything; returns whether
    /// something changed. Comments and empty lines may follow them.
    pub fn ensure_protected(&mut self) -> bool {
        let is_protected = |line: &BString| rule(line).is_some_and(|rule| rule.protected().is_some());
        let mut last: Vec<_> = self.rules().map(|rule| rule.protected()).collect();
        let mut last = last.split_off(last.len().saturating_sub(PROTECTED.len()));
        last.sort();
        if last.into_iter().eq((0..PROTECTED.len()).map(Some)) {
            return false;
        }
        self.lines.retain(|line| !is_protected(line));
        PROTECTED.iter().for_each(|line| self.append(line.as_bytes()));
        true
    }

    /// Whether the protected lines are all there, last or not.
    pub fn has_protected(&self) -> bool {
        (0..PROTECTED.len()).all(|wanted| self.rules().any(|rule| rule.protected() == Some(wanted)))
    }

    /// The number, from 1, of the last line that says something and is no protected one.
    pub fn last_other(&self) -> Option<usize> {
        let is_other = |line: &BString| rule(line).is_some_and(|rule| rule.protected().is_none());
        self.lines.iter().rposition(is_other).map(|at| at + 1)
    }

    fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        self.lines.iter().filter_map(|line| rule(line))
    }

    /// The last word of this file on `filter` for exactly this pattern.
    fn verdict(&self, pattern: &BStr) -> Filter {
        let words = self.rules().filter(|rule| rule.pattern == pattern).map(|rule| rule.filter());
        words.filter(|word| *word != Filter::Silent).last().unwrap_or(Filter::Silent)
    }

    fn append(&mut self, line: &[u8]) {
        let crlf = self.lines.iter().filter(|line| line.ends_with(b"\r\n")).count();
        let end: &[u8] = if crlf * 2 > self.lines.len() { b"\r\n" } else { b"\n" };
        if let Some(last) = self.lines.last_mut().filter(|last| !last.ends_with(b"\n")) {
            last.extend_from_slice(end);
        }
        self.lines.push([line, end].concat().into());
    }
}

impl Rule<'_> {
    /// Within a line, too, the last word wins.
    fn filter(&self) -> Filter {
        let words = self.attributes.iter().rev().map(|word| match *word {
            b"filter=s3lfs" => Filter::Ours,
            b"filter" | b"-filter" | b"!filter" => Filter::Other,
            word if word.starts_with(b"filter=") => Filter::Other,
            _ => Filter::Silent,
        });
        words.into_iter().find(|word| *word != Filter::Silent).unwrap_or(Filter::Silent)
    }

    /// Which of [`PROTECTED`] it is, however it is spaced.
    fn protected(&self) -> Option<usize> {
        PROTECTED.iter().position(|line| {
            let mut words = line.as_bytes().split_str(" ");
            words.next() == Some(self.pattern.as_slice()) && words.eq(self.attributes.iter().copied())
        })
    }

    /// The line with [`TRACKING`] taken out, if anything is left to say.
    fn without_ours(&self, end: &[u8]) -> Option<BString> {
        let mut line = BString::from(self.written);
        for word in self.attributes.iter().filter(|word| !TRACKING.as_bytes().split_str(" ").any(|our| our == **word)) {
            line.push(b' ');
            line.extend_from_slice(word);
        }
        let says_something = line.len() > self.written.len();
        line.extend_from_slice(end);
        says_something.then_some(line)
    }
}

/// The rule in a line; none in an empty line, a comment, or the definition of a macro.
fn rule(line: &[u8]) -> Option<Rule<'_>> {
    let (written, pattern) = head(line)?;
    if pattern.starts_with(pattern::MACRO) && pattern.len() > pattern::MACRO.len() {
        return None;
    }
    let attributes = words(&line[written.end..]).collect();
    Some(Rule { written: &line[written], pattern, attributes })
}

/// Where a line has its pattern, or the name of the macro that it defines, and what that is; none in an empty line or a
/// comment.
fn head(line: &[u8]) -> Option<(Range<usize>, BString)> {
    let bom = line.len() - line.strip_prefix(pattern::BOM).unwrap_or(line).len();
    let start = bom + line[bom..].iter().take_while(|byte| is_blank(**byte)).count();
    let text = &line[start..];
    if text.is_empty() || text[0] == b'#' {
        return None;
    }
    let (pattern, rest) = unquote_prefix(text).unwrap_or_else(|| {
        let (word, rest) = text.split_at(text.iter().take_while(|byte| !is_blank(**byte)).count());
        (word.into(), rest)
    });
    Some((start..line.len() - rest.len(), pattern))
}

/// The attributes after a pattern.
fn words(rest: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    rest.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty())
}

fn line_end(line: &[u8]) -> &[u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(bytes: &str) -> Vec<BString> {
        AttributesFile::parse(bytes.as_bytes()).tracked()
    }

    fn protected() -> String {
        PROTECTED.map(|line| format!("{line}\n")).concat()
    }

    #[test]
    fn lines_that_take_the_filter_away_are_counted() {
        let text = "# -filter\n*.bin -filter\n*.a filter=s3lfs\n\n*.b text !filter\n*.c filter=lfs\n*.d binary\n";
        assert_eq!(AttributesFile::parse(text.as_bytes()).without_filter(), [2, 5, 6]);
    }

    #[test]
    fn protected_lines_may_be_there_and_not_last() {
        let with =
            |before: &str, after: &str| AttributesFile::parse(format!("{before}{}{after}", protected()).as_bytes());
        let first = with("", "# mine\n* text\n\n# end\n");
        assert_eq!((first.has_protected(), first.last_other()), (true, Some(6)));
        let last = with("* text\n", "");
        assert_eq!((last.has_protected(), last.last_other()), (true, Some(1)));
        let half = AttributesFile::parse(PROTECTED[0].as_bytes());
        assert_eq!((half.has_protected(), half.last_other()), (false, None));
    }

    #[test]
    fn every_file_is_kept_byte_for_byte() {
        for text in ["", "\n", "*.a b", "# c\r\n\r\n*.a b\r\n", "\u{feff}*.a -text\n\tx y  \n", "\"open x\n"] {
            assert_eq!(AttributesFile::parse(text.as_bytes()).to_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn tracking_and_untracking_leave_the_file_as_it_was() {
        for text in ["", "# team\n*.txt text\n", "*.txt text\r\n\r\n# x\r\n"] {
            let mut file = AttributesFile::parse(text.as_bytes());
            assert!(file.ensure_protected());
            let before = file.clone();
            let pattern = Pattern::new("my art/*.psd").unwrap();
            assert!(file.track(&pattern) && !file.track(&pattern), "added once");
            assert_eq!(file.tracked(), ["my art/*.psd"]);
            let end = if text.contains('\r') { "\r\n" } else { "\n" };
            let bytes = file.to_bytes();
            assert!(bytes.lines_with_terminator().all(|line| line_end(line) == end.as_bytes()), "the file's line ends");
            assert!(file.untrack("my art/*.psd".into()) && !file.untrack("my art/*.psd".into()));
            assert_eq!(file, before);
        }
    }

    #[test]
    fn the_first_tracked_pattern_brings_the_protected_lines() {
        let mut file = AttributesFile::parse(b"*.txt text");
        assert!(file.track(&Pattern::new("*").unwrap()));
        let expected = format!("*.txt text\n* {TRACKING}\n{}", protected());
        assert_eq!(file.to_bytes().as_bstr(), expected.as_str());
    }

    #[test]
    fn protected_lines_go_back_to_the_end_once() {
        let text = format!("{}# mine\n*.txt text\n.gitignore -filter text\n", protected());
        let mut file = AttributesFile::parse(text.as_bytes());
        assert!(file.ensure_protected());
        let expected = format!("# mine\n*.txt text\n.gitignore -filter text\n{}", protected());
        assert_eq!(file.to_bytes().as_bstr(), expected.as_str(), "lines of the user's own stay");
        assert!(!file.ensure_protected(), "idempotent");

        let spaced = format!("*.b x\n{}\n# end", protected().replace(' ', "\t"));
        let mut file = AttributesFile::parse(spaced.as_bytes());
        assert!(!file.ensure_protected(), "spacing, comments and empty lines change no meaning");
    }

    #[test]
    fn the_last_word_on_a_pattern_counts() {
        let text = "*.a filter=lfs filter=s3lfs\n \t\"b c\" filter=s3lfs\n#x filter=s3lfs\n*.a filter=s3lfs\n";
        assert_eq!(tracked(text), ["*.a", "b c"]);
        assert!(tracked("[attr]big filter=s3lfs\n*.a big\n*.b filter=s3lfs -filter\n").is_empty());
        let text = "*.a filter=s3lfs -text\n*.a -filter\n";
        assert!(tracked(text).is_empty());
        let mut file = AttributesFile::parse(text.as_bytes());
        assert!(file.track(&Pattern::new("*.a").unwrap()), "a later line took it away");
        assert_eq!(file.tracked(), ["*.a"]);
    }

    #[test]
    fn untracking_takes_what_is_ours_and_nothing_else() {
        let text = format!("*.a {TRACKING}\n*.a filter=lfs -text\n*.a {TRACKING} lockable\r\n*.ab {TRACKING}\n");
        let mut file = AttributesFile::parse(text.as_bytes());
        assert!(file.untrack("*.a".into()));
        let expected = format!("*.a filter=lfs -text\n*.a lockable\r\n*.ab {TRACKING}\n");
        assert_eq!(file.to_bytes().as_bstr(), expected.as_str());
    }
}
