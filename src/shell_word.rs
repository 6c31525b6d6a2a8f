//! A word of a command that is shown, as a user pastes it into a shell.
//!
//! Apart because names of files, profiles and buckets stand in such commands, and may hold blanks and quotes.

use std::path::Path;

/// In single quotes, where the shell would take it apart ("Quoting" in POSIX, 2.2).
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+@%,:".contains(c);
    if text.chars().all(plain) && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The command in which the user changes a file by hand; what is to be changed is for a comment behind it.
pub fn edit(file: &Path) -> String {
    const EDITOR: &str = if cfg!(windows) { "notepad" } else { "${EDITOR:-vi}" };
    format!("{EDITOR} {}", quoted(&file.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("a/b-c.bin"), "a/b-c.bin");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
