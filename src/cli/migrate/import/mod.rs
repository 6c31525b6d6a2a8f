//! `migrate import`: history that holds large files raw, rewritten with pointers in their place.
//!
//! Read top down: nothing may be in the way; which files; the new commits, beside the old ones; then all refs at once,
//! and the worktree. Until the refs move, nothing is changed but for objects that nobody names; content is in the cache
//! before a pointer to it is written. A run that was stopped after that is gone on with by the next one (`following`). Git's objects are read one by one and written into a pack, and not by `git fast-export`, which
//! drops what it does not know of a commit.

mod choice;
mod following;
mod refs;
mod rewrite;
mod text;
mod tracked;
mod trees;
mod worktree;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::BufReader;
use std::process::Stdio;

use bstr::io::BufReadExt;
use bstr::{BString, ByteSlice};
use clap::{ArgGroup, Args};
use serde_json::json;

use crate::cli::Global;
use crate::cli::cleanup::reachable::require_whole_history;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::tracking::track::patterns;
use crate::cli::tracking::upload::require_filter;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::fs::replace_state;
use crate::git::objects::{self, ObjectId};
use crate::git::reader::Reader;
use crate::git::{Git, GitError};
use crate::repo_path::Printable;
use choice::{Choice, Chosen};
use refs::Moves;
use rewrite::{Rewriter, Rewritten};

/// Arguments of `migrate import`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("large").args(["include", "above"]).required(true).multiple(true)))]
pub struct Import {
    /// Files that match this pattern, as in .gitattributes; quote it from the shell
    #[arg(long, value_name = "PATTERN")]
    include: Vec<OsString>,
    /// But not those that match this one
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
    /// Only files of which some version is larger (500k, 10MB, 1GiB); these are then tracked one by one
    #[arg(long, value_name = "SIZE", value_parser = choice::bytes)]
    above: Option<u64>,
    /// Only say which files, and how many bytes
    #[arg(long)]
    dry_run: bool,
    /// Also rewrite commits that a remote has
    #[arg(long)]
    yes: bool,
    /// Branches and tags whose history is rewritten; all, if none is named
    refs: Vec<String>,
}

/// How many names are shown before the rest is counted.
const NAMES: usize = 20;

/// Rewrite history.
pub fn run(global: &Global, args: &Import) -> Result<(), CliError> {
    let context = Context::open()?;
    if !args.dry_run {
        require_filter(&GitConfig::load()?)?;
    }
    require_whole_history()?;
    require_own_objects()?;
    if !args.dry_run {
        following::go_on(&context)?;
    }
    let choice = Choice {
        include: patterns(&context, &args.include)?,
        exclude: patterns(&context, &args.exclude)?,
        above: args.above,
    };
    let mut reader = Reader::start()?;
    let refs = refs::chosen(&mut reader, &args.refs)?;
    if !args.dry_run {
        worktree::require_settled(&context, &refs)?;
    }
    let tips: Vec<ObjectId> = refs.iter().map(|one| one.commit.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let chosen = if tips.is_empty() { Chosen::default() } else { choice.look(&mut reader, &tips)? };
    tell_chosen(&chosen, args.dry_run);
    if args.dry_run || chosen.blobs.is_empty() {
        let item = |(kind, (blobs, bytes)): (&BString, &(usize, u64))| json!({ "kind": kind.to_string(), "blobs": blobs, "bytes": bytes });
        return answer(global, chosen.kinds.iter().map(item).collect());
    }
    refs::require_no_original()?;
    let rewritten = Rewriter::new(&choice, &chosen, context.cache(), &mut reader)?.run(&tips)?;
    let moves = refs::moves(&mut reader, &refs, &rewritten, &context.cache().tmp())?;
    tracked::require_tracked(&choice, &chosen, &rewritten)?;
    agree(&rewritten, args.yes)?;
    write_map(&context, &rewritten)?;
    // Rewriting takes its time, and so does an answer.
    worktree::require_settled(&context, &refs)?;
    let head = Git::new(["symbolic-ref", "--quiet", "HEAD"]).line_if_any()?.unwrap_or_default();
    let own = moves.moves.iter().find(|one| one.name == head);
    if let Some(own) = own {
        following::begin(&context, own)?;
    }
    refs::apply(&moves.moves)?;
    if own.is_some() {
        worktree::follow()?;
        following::end(&context)?;
    }
    tell(&context, &rewritten, &moves)?;
    if !global.json {
        let map: Vec<u8> = rewritten.commits.iter().flat_map(|(old, new)| line(old, new)).collect();
        return ui::answer(&map);
    }
    let item = |(old, new): &(ObjectId, ObjectId)| json!({ "old": old.to_string(), "new": new.to_string() });
    answer(global, rewritten.commits.iter().map(item).collect())
}

fn line(old: &ObjectId, new: &ObjectId) -> Vec<u8> {
    [old.as_slice(), b" ", new, b"\n"].concat()
}

fn answer(global: &Global, items: Vec<serde_json::Value>) -> Result<(), CliError> {
    if global.json { ui::answer_json("migrate", items, Vec::new()) } else { Ok(()) }
}

/// What stands in for other objects would be lost, and what is not here can't be rewritten.
fn require_own_objects() -> Result<(), CliError> {
    if !Git::new(["replace", "--list"]).output()?.is_empty() {
        return Err(CliError::user("this repository has replaced objects (refs/replace)")
            .hint("delete them first: git replace --list; git replace --delete <object>"));
    }
    let grafts = Git::locate(["--git-path", "info/grafts"]).path()?;
    if std::fs::metadata(&grafts).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(CliError::user(format!("this repository has grafts ({})", grafts.display())));
    }
    if !objects::promisors()?.is_empty() {
        return Err(CliError::user("this is a partial clone: not all of its history is here")
            .hint("make a whole one, without --filter, and run it there"));
    }
    Ok(())
}

fn tell_chosen(chosen: &Chosen, dry_run: bool) {
    if chosen.blobs.is_empty() {
        return ui::say("There is nothing to rewrite: no such file, or all of them are pointers or empty.");
    }
    let mut kinds: Vec<_> = chosen.kinds.iter().collect();
    kinds.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    for (kind, (blobs, bytes)) in kinds.iter().take(NAMES) {
        ui::say(format!("{kind}: {} ({})", ui::count(*blobs, "version"), ui::bytes(*bytes)));
    }
    if kinds.len() > NAMES {
        ui::say(format!("and {}", ui::count(kinds.len() - NAMES, "other kind")));
    }
    let bytes = ui::bytes(chosen.blobs.values().sum());
    let (files, blobs) = (ui::count(chosen.paths.len(), "path"), ui::count(chosen.blobs.len(), "version"));
    ui::say(format!("{} {files}, {blobs} ({bytes}).", if dry_run { "Would become pointers:" } else { "Large:" }));
}

/// Whoever has the old commits has to leave them too.
fn agree(rewritten: &Rewritten, yes: bool) -> Result<(), CliError> {
    let mut published = 0;
    let mut list = Git::new(["rev-list", "--remotes"]).start(Stdio::null())?;
    for line in BufReader::new(list.stdout()).byte_lines() {
        let id = line.map_err(|source| GitError::Local { action: "read from 'git rev-list'", source })?;
        published += usize::from(rewritten.changed(id.as_bstr()));
    }
    list.finish()?;
    if published == 0 || yes {
        return Ok(());
    }
    let commits = ui::count(published, "commit");
    match ui::ask(&format!("{commits} of these are on a remote: everyone has to leave the old ones. Rewrite them?")) {
        Some(true) => Ok(()),
        _ => Err(CliError::user(format!("nothing was changed: a remote has {commits} of these"))
            .hint("agree with everyone who has them, and say --yes: afterwards they have to clone anew")),
    }
}

/// Beside the local state, for `git notes copy --stdin` and the like.
fn write_map(context: &Context, rewritten: &Rewritten) -> Result<(), CliError> {
    let map: Vec<u8> = rewritten.commits.iter().flat_map(|(old, new)| line(old, new)).collect();
    Ok(replace_state(&context.repo.state_dir().join("import-map"), &map)?)
}

fn tell(context: &Context, rewritten: &Rewritten, moves: &Moves) -> Result<(), CliError> {
    let commits = ui::count(rewritten.commits.len(), "commit");
    ui::say(format!("Rewritten: {commits}; {} moved.", ui::count(moves.moves.len(), "ref")));
    for id in rewritten.unsigned.iter().take(NAMES) {
        ui::warn(format!("the signature of commit {id} was dropped: it was of another text"));
    }
    if rewritten.unsigned.len() > NAMES {
        ui::warn(format!("and of {}", ui::count(rewritten.unsigned.len() - NAMES, "other commit")));
    }
    for name in moves.unsigned.iter().take(NAMES) {
        ui::warn(format!("the signature of {} was dropped", Printable(name)));
    }
    let map = context.repo.state_dir().join("import-map");
    for (pattern, what) in [("refs/notes/", "notes still stand"), ("refs/stash", "the stash still stands")] {
        if !Git::new(["for-each-ref", "--count=1", pattern]).output()?.is_empty() {
            let more = if pattern == "refs/notes/" {
                format!("; to copy the notes: git notes copy --stdin < {}", map.display())
            } else {
                String::new()
            };
            ui::warn(format!("{what} on old commits{more}"));
        }
    }
    ui::say(format!("What each ref named before is at {}: to go back, for each of them:", refs::ORIGINAL));
    ui::say(
        "  git update-ref refs/heads/main refs/original/refs/heads/main; then, with all of yours committed: git reset --hard",
    );
    ui::say("To publish it: git push --force-with-lease <remote> <branch>, which uploads the content.");
    ui::say(format!("To let go of the old history: {}", refs::FORGET));
    ui::say(format!("  then: {}", refs::FORGET_LOGS));
    if manifest_file::for_reading(None)?.is_none() {
        ui::say("There is no store yet: choose one with 's3lfs init <bucket> <repo-prefix>', and commit that.");
    }
    Ok(())
}
