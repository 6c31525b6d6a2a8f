//! Why a hook that has our line would not run it.
//!
//! Apart because nothing is run to find out: whoever asks what is wrong does not want hooks of his to act.

use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::Hook;
use super::block::{BEGIN, calls_us, has_block, has_crlf_shebang};

/// Why Git would not run the hook at `path`, or the hook would not come to our line, as far as that can be
/// told without running it.
pub fn obstacle(path: &Path, hook: Hook) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    if !may_be_run(path) {
        return Some("this user may not run it, or its disk is mounted so that nothing is run from it".to_owned());
    }
    if has_crlf_shebang(&bytes) {
        return Some("its first line ends with CR LF, and the CR is taken for a part of the program's name".to_owned());
    }
    if let Some(program) = interpreter(&bytes)
        && find(&program).is_none()
    {
        return Some(format!("its first line names {}, which is not here", program.display()));
    }
    let above = bytes.lines().take_while(|line| line.trim() != BEGIN && !calls_us(line, hook));
    let ends = above.map(|line| line.trim_end()).find(|line| ends_script(line))?;
    Some(format!("its line {:?} ends it before ours is run", ends.to_str_lossy()))
}

/// Whether the hook at `path` has a block of ours, of whatever version.
pub fn has_block_at(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| has_block(&bytes))
}

/// Only what stands at the very beginning of a line: what is indented belongs to a condition or a function.
fn ends_script(line: &[u8]) -> bool {
    let word = line.fields().next().unwrap_or_default();
    line.starts_with(word) && matches!(word, b"exit" | b"exec") && !line.starts_with_str("exec <")
}

/// The program of the first line; with `env`, the one that it looks for.
fn interpreter(bytes: &[u8]) -> Option<PathBuf> {
    let mut words = bytes.lines().next()?.strip_prefix(b"#!")?.fields();
    let program = words.next()?;
    let named = match program.rsplit(|byte| *byte == b'/').next() {
        Some(b"env") => words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?,
        _ => program,
    };
    named.to_path().ok().map(Path::to_owned)
}

/// Git for Windows has a shell of its own at these paths.
fn find(program: &Path) -> Option<PathBuf> {
    if cfg!(windows) || program.is_absolute() {
        return (cfg!(windows) || program.exists()).then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.exists())
}

#[cfg(unix)]
fn may_be_run(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn may_be_run(_: &Path) -> bool {
    true
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn told(text: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pre-push");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        obstacle(&path, Hook::PrePush)
    }

    #[test]
    fn a_hook_that_never_comes_to_our_line_is_told() {
        let block = Hook::PrePush.block();
        assert_eq!(told(Hook::PrePush.script()), None);
        assert_eq!(told(&format!("#!/usr/bin/env sh\nif x; then\n  exit 1\nfi\n{block}exit 0\n")), None);
        for end in ["exit 0", "exec other \"$@\"", "exit"] {
            let why = told(&format!("#!/bin/sh\n{end}\n{block}")).unwrap_or_default();
            assert!(why.contains(end.split('"').next().unwrap().trim()), "{why}");
        }
        for shebang in ["#!/no/such/shell", "#!/usr/bin/env no-such-shell"] {
            assert!(told(&format!("{shebang}\n{block}")).unwrap().contains("no"), "{shebang}");
        }
    }
}
