//! A repository from a stranger: nothing in it leads out of the worktree, exhausts this machine, chooses where bytes
//! and signed requests go, or speaks to the terminal (design.md, invariant 6).

use crate::world::Place;

mod bombs;
pub mod many;
mod paths;
mod stores;
mod swapped;
mod unreadable;

/// Stage a file of these bytes as a commit could bring it, whatever s3lfs or the filesystem would say of it.
fn stage(work: &Place<'_>, path: &str, bytes: &[u8]) {
    let id = work.git_with_input(&["hash-object", "-w", "--no-filters", "--stdin"], bytes).ok().stdout;
    stage_many(work, &[("100644", id.trim(), path)]);
}

/// Stage many, by mode, object id and path.
fn stage_many(work: &Place<'_>, entries: &[(&str, &str, &str)]) {
    let line = |(mode, id, path): &(&str, &str, &str)| format!("{mode} {id}\t{path}\0");
    let lines: String = entries.iter().map(line).collect();
    work.git_with_input(&["update-index", "-z", "--add", "--index-info"], lines.as_bytes()).ok();
}
