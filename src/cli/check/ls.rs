//! `ls`: the tracked files with oid and size, by the index and the manifest alone.
//!
//! Apart from `status`, which looks at the worktree too.

use std::io::Write as _;

use bstr::BString;
use clap::Args;

use crate::cli::Global;
use crate::cli::check::tracked::{Listing, entry, entry_in_conflict, lies_beneath, read, shown};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::cli::ui::colour::{Colour, paint};
use crate::git::path_from_bytes;
use crate::repo_path::Printable;
use crate::transfer::Item;

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct Ls {
    /// Only what lies beneath these paths
    paths: Vec<std::path::PathBuf>,
    /// Paths alone, as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
}

/// List paths with oid and size.
pub fn run(global: &Global, args: Ls) -> Result<(), CliError> {
    let context = Context::open()?;
    let mut pathspecs: Vec<BString> = Vec::new();
    for path in &args.paths {
        match context.beneath(path)? {
            Some(path) => pathspecs.push(path.as_bstr().to_owned()),
            // The top: everything.
            None => break,
        }
    }
    if pathspecs.len() < args.paths.len() {
        pathspecs.clear();
    }
    let (listed, manifest) = read(&pathspecs)?;
    let Listing { files, in_conflict, raw } = Listing::of(listed, manifest.as_ref(), &pathspecs);
    drop(manifest);
    let named = || files.iter().map(|file| &file.path).chain(in_conflict.iter().map(|file| &file.path));
    for pathspec in &pathspecs {
        let known = named().chain(&raw).any(|path| lies_beneath(path, pathspec));
        if !known && std::fs::symlink_metadata(path_from_bytes(pathspec)).is_err() {
            let path = Printable(pathspec);
            return Err(CliError::user(format!("{path}: there is no such file, and none is tracked beneath it")));
        }
    }
    if global.json {
        let files = files.iter().map(|file| entry(file, None));
        let in_conflict = in_conflict.iter().map(|file| entry_in_conflict(file, None, |_, _| {}));
        return ui::answer_json("ls", files.chain(in_conflict), Vec::new());
    }
    if args.nul {
        return ui::answer_nul_ended(named());
    }
    let mut text = Vec::new();
    let mut line = |item: &Item, path: String| {
        let oid = if global.verbose { item.oid.hex() } else { item.oid.short() };
        let size = item.size.map_or("-".to_owned(), ui::bytes);
        // Into memory: this can't fail.
        let _ = writeln!(text, "{} {size:>10}  {path}", paint(oid, Colour::Look));
    };
    files.iter().for_each(|file| line(&file.item, shown(&file.path, file.form)));
    for file in &in_conflict {
        line(&file.item(), format!("{} (in conflict)", shown(&file.path, file.form)));
    }
    ui::answer(&text)
}
