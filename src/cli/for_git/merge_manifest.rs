//! `merge-manifest`: Git's merge driver for `.s3_manifest.json` (gitattributes(5), "Defining a custom
//! merge driver").

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::manifest_file::conflict_commands;
use crate::cli::threads::each;
use crate::cli::ui;
use crate::fs::{read_committed, replace};
use crate::manifest::{Manifest, merge};
use crate::shell_word::quoted;

/// What Git passes: %O %A %B %P.
#[derive(Args, Debug)]
pub struct MergeManifest {
    base: PathBuf,
    ours: PathBuf,
    theirs: PathBuf,
    #[arg(default_value = ".s3_manifest.json")]
    pathname: PathBuf,
}

/// Leave the result in the file of our side; fail if a person has to decide.
pub fn run(args: MergeManifest) -> Result<(), CliError> {
    let read = |path: &PathBuf| -> Result<Option<Manifest>, CliError> {
        let bytes = read_committed(path)?.unwrap_or_default();
        // Git passes an empty base where both sides added the file.
        if bytes.is_empty() { Ok(None) } else { Ok(Some(Manifest::parse(&bytes)?)) }
    };
    let mut sides = each([&args.base, &args.ours, &args.theirs], read).into_iter();
    let mut side = || sides.next().transpose().map(Option::flatten);
    let base = side()?;
    let (Some(ours), Some(theirs)) = (side()?, side()?) else {
        return Err(CliError::user(format!("{}: one side is empty, which can't be merged", args.pathname.display())));
    };
    let merged = merge(base.as_ref(), &ours, &theirs);
    // They may be large, and so is what is written.
    drop((base, ours, theirs));
    replace(&args.ours, &merged.manifest.to_bytes()?)?;
    if merged.conflicts.is_empty() {
        return Ok(());
    }
    for conflict in &merged.conflicts {
        ui::warn(format!("{}: {conflict}", args.pathname.display()));
    }
    let path = args.pathname.display().to_string();
    let [ours, theirs] = conflict_commands(&quoted(&path));
    Err(CliError::user(format!("{path} needs a decision; ours was kept where the sides differ"))
        .hint(format!("to take one side whole: {ours}; or: {theirs}"))
        .hint(format!("for something of both: edit it, then: git add {path}")))
}
