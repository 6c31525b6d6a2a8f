//! `man`: manual pages out of the definition of the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::fs::PathContext;

/// Arguments of `man`.
#[derive(Args, Debug)]
pub struct Manual {
    /// Print the page of this command ("s3lfs man ls | man -l -")
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    name: Option<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// `git s3lfs --help` is `man git-s3lfs` (git-help(1)).
const GITS: (&str, &str) = ("git-s3lfs.1", ".so man1/s3lfs.1\n");

/// Print one page, or write all.
pub fn run(definition: Command, args: &Manual) -> Result<(), CliError> {
    // A page is as long as it takes; it would have these without a word about them.
    let definition = definition.mut_args(|arg| arg.hide_short_help(false));
    if let Some(dir) = &args.dir {
        return write_all(definition, dir);
    }
    let mut definition = definition.disable_help_subcommand(true);
    definition.build();
    let page = match &args.name {
        None => definition,
        Some(name) => {
            let found = definition.find_subcommand(name).filter(|command| !command.is_hide_set());
            found.cloned().ok_or_else(|| CliError::usage(format!("there is no command {name}")).hint("s3lfs help"))?
        }
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text).map_err(|e| CliError::user(format!("cannot make the page: {e}")))?;
    ui::answer_raw(&text)
}

fn write_all(definition: Command, dir: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).context("make the directory", dir)?;
    clap_mangen::generate_to(definition, dir).context("write manual pages into", dir)?;
    let (name, text) = GITS;
    std::fs::write(dir.join(name), text).context("write", &dir.join(name))?;
    ui::say(format!("Wrote the manual pages into {}. They are found beneath a man1 of MANPATH.", dir.display()));
    Ok(())
}
