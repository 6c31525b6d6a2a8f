//! Lines that give files from one keeper to another: from Git LFS to s3lfs, and back, or to Git itself.
//!
//! Apart because here lines change that somebody else wrote, definitions of macros among them, and everything that
//! they say besides has to stay.

use bstr::{BString, ByteSlice};

use super::{AttributesFile, Pattern, TRACKING, head, line_end, words};

/// Who keeps the content of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeper {
    /// s3lfs.
    S3lfs,
    /// Git LFS.
    Lfs,
    /// Git: the content is the blob.
    Git,
}

impl Keeper {
    /// What its lines say of filter, diff and merge.
    fn attributes(self) -> [&'static [u8]; 3] {
        match self {
            Keeper::S3lfs => [b"filter=s3lfs", b"diff=s3lfs", b"merge=binary"],
            Keeper::Lfs => [b"filter=lfs", b"diff=lfs", b"merge=lfs"],
            Keeper::Git => [b"", b"", b""],
        }
    }
}

impl AttributesFile {
    /// Let each line that gives files to `from` give them to `to`; of the lines that stay, nothing else changes. Returns
    /// whether there were any.
    pub fn give(&mut self, from: Keeper, to: Keeper) -> bool {
        let before = std::mem::take(&mut self.lines);
        self.lines = before.iter().filter_map(|line| given(line, from, to)).collect();
        self.lines != before
    }

    /// Give exactly this pattern from s3lfs to `to`: by the lines that it has, else by one below all others. Returns
    /// whether something changed.
    pub fn give_pattern(&mut self, pattern: &Pattern, to: Keeper) -> bool {
        let before = self.lines.clone();
        let is_its = |line: &BString| head(line).is_some_and(|(_, name)| name == pattern.as_bstr());
        let change = |line: &BString| if is_its(line) { given(line, Keeper::S3lfs, to) } else { Some(line.clone()) };
        self.lines = before.iter().filter_map(change).collect();
        if self.lines != before {
            return true;
        }
        // A wider pattern has these files.
        let words: &[u8] = match to {
            Keeper::S3lfs => TRACKING.as_bytes(),
            Keeper::Lfs => b"filter=lfs diff=lfs merge=lfs -text",
            Keeper::Git => b"!filter !diff !merge !text",
        };
        let line = [pattern.quoted().as_slice(), b" ", words].concat();
        if before.iter().any(|known| known.trim_end() == line) {
            return false;
        }
        self.append(&line);
        self.ensure_protected();
        true
    }
}

/// `None`: the line has nothing left to say.
fn given(line: &BString, from: Keeper, to: Keeper) -> Option<BString> {
    let Some((pattern, _)) = head(line) else { return Some(line.clone()) };
    let (theirs, ours) = (from.attributes(), to.attributes());
    let rest = &line[pattern.end..];
    let is_theirs = |word: &[u8]| theirs.iter().position(|attribute| *attribute == word);
    let gives = words(rest).any(|word| word == theirs[0]);
    // `merge=binary` is a word of Git's own: beside our filter alone it is ours.
    let counts = |at: usize| gives || !(from == Keeper::S3lfs && at == 2);
    if !words(rest).any(|word| is_theirs(word).is_some_and(counts)) {
        return Some(line.clone());
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for word in words(rest) {
        match is_theirs(word).filter(|at| counts(*at)) {
            Some(at) if ours[at].is_empty() => {}
            Some(at) => kept.push(ours[at]),
            // Content is stored as it is; whatever Git would do to its line ends, it did before.
            None if to == Keeper::Git && word == b"-text" && gives => {}
            None => kept.push(word),
        }
    }
    let names_text = |word: &&[u8]| {
        let name = word.strip_prefix(b"-").or(word.strip_prefix(b"!")).unwrap_or(word);
        name == b"text" || name.starts_with(b"text=") || name == b"binary"
    };
    if gives && to != Keeper::Git && !kept.iter().any(names_text) {
        kept.push(b"-text");
    }
    if kept.is_empty() {
        return None;
    }
    let mut now = BString::from(&line[..pattern.end]);
    for word in kept {
        now.push(b' ');
        now.extend_from_slice(word);
    }
    now.extend_from_slice(line_end(line));
    Some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, from: Keeper, to: Keeper) -> String {
        let mut file = AttributesFile::parse(text.as_bytes());
        let changed = file.give(from, to);
        let after = String::from_utf8(file.to_bytes()).unwrap();
        assert_eq!(changed, after != text, "it says whether it changed something");
        after
    }

    const OURS: &str = "filter=s3lfs diff=s3lfs merge=binary -text";
    const LFS: &str = "filter=lfs diff=lfs merge=lfs -text";

    #[test]
    fn lines_of_git_lfs_become_ours_and_theirs_again() {
        let text = "# all\n*.psd {}\n\"a b\" {} lockable\r\n\t*.txt text\n[attr]big {}\n*.bin big\n*.iso {}";
        let (ours, lfs) = (text.replace("{}", OURS), text.replace("{}", LFS));
        assert_eq!(given(&lfs, Keeper::Lfs, Keeper::S3lfs), ours);
        assert_eq!(given(&ours, Keeper::S3lfs, Keeper::Lfs), lfs);
        for (same, from) in [(&ours, Keeper::Lfs), (&lfs, Keeper::S3lfs)] {
            assert_eq!(given(same, from, Keeper::Git), *same, "what is another's stays");
        }
    }

    #[test]
    fn what_is_spread_over_lines_is_found() {
        let text = "*.a filter=lfs\n*.a diff=lfs merge=lfs\n*.b filter=lfs text\n*.c -filter\n*.d merge=binary\n";
        let ours = "*.a filter=s3lfs -text\n*.a diff=s3lfs merge=binary\n*.b filter=s3lfs text\n*.c -filter\n*.d merge=binary\n";
        assert_eq!(given(text, Keeper::Lfs, Keeper::S3lfs), ours);
        assert_eq!(given("*.d merge=binary\n", Keeper::S3lfs, Keeper::Git), "*.d merge=binary\n", "that is not ours");
    }

    #[test]
    fn one_pattern_is_given_and_the_others_stay() {
        let text = format!("*.psd {OURS}\n*.bin {OURS}\n");
        let only = |pattern: &str, to: Keeper| {
            let mut file = AttributesFile::parse(text.as_bytes());
            assert!(file.give_pattern(&Pattern::new(pattern).unwrap(), to));
            assert!(!file.give_pattern(&Pattern::new(pattern).unwrap(), to) || to == Keeper::Git, "once");
            String::from_utf8(file.to_bytes()).unwrap()
        };
        assert_eq!(only("*.psd", Keeper::Lfs).lines().next(), Some(format!("*.psd {LFS}").as_str()));
        assert!(only("*.psd", Keeper::Git).starts_with(&format!("*.bin {OURS}\n")));
        let one = only("/a.psd", Keeper::Git);
        assert!(
            one.starts_with(&format!("{text}/a.psd !filter !diff !merge !text\n.gitattributes -filter\n")),
            "{one}"
        );
    }

    #[test]
    fn what_goes_to_git_leaves_no_line_behind() {
        let text = format!("*.txt text\n*.psd {OURS}\n*.bin {OURS} lockable\n");
        assert_eq!(given(&text, Keeper::S3lfs, Keeper::Git), "*.txt text\n*.bin lockable\n");
    }
}
