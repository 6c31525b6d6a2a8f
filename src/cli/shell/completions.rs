//! `completions`: the script that a shell reads once, so that it asks this program at each press of Tab.

use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

use super::COMPLETE;
use crate::cli::error::CliError;
use crate::cli::ui;

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// `git s3lfs ...` in Git's own completion, which looks for a function of this name and has the words in
/// variables of its own (git-completion.bash, `__git_complete_command`).
const GIT_BASH: &str = r#"
_git_s3lfs() {
    local COMP_WORDS=(s3lfs "${words[@]:__git_cmd_idx+1}") COMP_CWORD=$((cword - __git_cmd_idx))
    _clap_complete_s3lfs s3lfs "$cur" "$prev"
}
"#;

/// As above, in zsh's (`_git`).
const GIT_ZSH: &str = "\n_git-s3lfs() {\n    words[1]=s3lfs\n    _clap_dynamic_completer_s3lfs\n}\n";

/// As above, in fish's (`git.fish`), where options before the command's name are words, too.
const GIT_FISH: &str = "
function __s3lfs_of_git
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l at (contains --index -- s3lfs $words); or return
    S3LFS_COMPLETE=fish s3lfs -- $words[$at..-1] (commandline --current-token)
end
complete --command git --condition '__fish_seen_subcommand_from s3lfs' --keep-order --exclusive \\
    --arguments '(__s3lfs_of_git)'
";

/// Print the script.
pub fn run(args: &Completions) -> Result<(), CliError> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).expect("each of these shells is a builtin");
    let mut script = Vec::new();
    let written = shell.write_registration(COMPLETE, "s3lfs", "s3lfs", "s3lfs", &mut script);
    written.map_err(|e| CliError::user(format!("cannot make the script for {name}: {e}")))?;
    script.extend_from_slice(match args.shell {
        Shell::Bash => GIT_BASH.as_bytes(),
        Shell::Zsh => GIT_ZSH.as_bytes(),
        Shell::Fish => GIT_FISH.as_bytes(),
        _ => b"",
    });
    ui::answer_raw(&script)
}
