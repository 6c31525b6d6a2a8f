//! The command line: what can be typed, and which file does it.
//!
//! Read top down: parse, run, one match. A command is a function from its arguments to `Result`; its
//! exit code is decided here and nowhere else. Commands live in rooms by what they are for: `set_up`,
//! `tracking`, `fetch`, `check`, `doctor`, `du`, `cleanup`, `migrate`, `shell`, and `for_git`, which no user types. All
//! stand on `context`, `session`, `manifest_file` and `ui`.

mod check;
mod cleanup;
mod context;
mod doctor;
mod du;
mod error;
mod fetch;
mod for_git;
mod help;
mod interrupted;
mod leftovers;
mod lfs_objects;
mod local_cache;
mod manifest_file;
mod migrate;
mod out_of_date;
mod own_choice;
mod place;
mod proxy;
mod session;
mod set_up;
mod shell;
mod threads;
mod trace;
mod tracking;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{GitConfig, Overrides, check_policy};
use error::CliError;
use interrupted::Repeat;

/// Large files out of Git, straight into your own S3 bucket.
#[derive(Parser, Debug)]
#[command(
    name = "s3lfs",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    propagate_version = false,
    after_help = help::TOPICS_LINE
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Over options that say which store is meant.
const STORE: &str = "Store options";
/// Over options that change how any command runs.
const EVERYWHERE: &str = "Global options";

/// Options of every command. They come after its own; `-h` leaves out what is rarely said by hand.
#[derive(Args, Debug)]
struct Global {
    /// Bucket or store URL, in place of the manifest's
    #[arg(long, global = true, env = "S3LFS_BUCKET", value_name = "BUCKET", hide_env_values = true, help_heading = STORE, hide_short_help = true)]
    bucket: Option<String>,
    /// Prefix of all keys, in place of the manifest's
    #[arg(long, global = true, env = "S3LFS_REPO_PREFIX", value_name = "PREFIX", hide_env_values = true, help_heading = STORE, hide_short_help = true)]
    repo_prefix: Option<String>,
    /// Endpoint of the S3 service, in place of the manifest's
    #[arg(long, global = true, env = "S3LFS_ENDPOINT_URL", value_name = "URL", hide_env_values = true, help_heading = STORE, hide_short_help = true)]
    endpoint_url: Option<String>,
    /// Region of the bucket
    #[arg(long, global = true, env = "S3LFS_REGION", value_name = "REGION", hide_env_values = true, help_heading = STORE, hide_short_help = true)]
    region: Option<String>,
    /// Profile of ~/.aws/config whose credentials are used (else AWS_PROFILE)
    #[arg(long, global = true, value_name = "NAME", help_heading = STORE, hide_short_help = true)]
    profile: Option<String>,
    /// Do not sign requests (public buckets)
    #[arg(long, global = true, help_heading = STORE, hide_short_help = true)]
    no_sign_request: bool,
    /// Run as if started in this directory
    #[arg(short = 'C', id = "run-in", global = true, value_name = "DIR", help_heading = EVERYWHERE, hide_short_help = true)]
    directory: Option<PathBuf>,
    /// Requests in flight at the most (else 64 to 256, fewer where the service wants that)
    #[arg(short, long, global = true, env = "S3LFS_JOBS", value_name = "N", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = EVERYWHERE, hide_short_help = true)]
    jobs: Option<u16>,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    verbose: bool,
    /// Answer in JSON, where a command reports
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

impl Global {
    fn overrides(&self) -> Overrides {
        Overrides {
            bucket: self.bucket.clone().filter(|v| !v.is_empty()),
            repo_prefix: self.repo_prefix.clone(),
            endpoint_url: self.endpoint_url.clone().filter(|v| !v.is_empty()),
            region: self.region.clone().filter(|v| !v.is_empty()),
            profile: self.profile.clone().filter(|v| !v.is_empty()),
            no_sign_request: self.no_sign_request,
            jobs: self.jobs.map(usize::from),
        }
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Choose the store: write .s3_manifest.json and check that the store answers
    Init(set_up::init::Init),
    /// Set up this clone: filter, hooks, attributes, accepted store
    GitSetup(set_up::setup::GitSetup),
    /// Accept the store that the manifest names
    Trust(set_up::trust::Trust),
    /// Let Git store files that match a pattern through s3lfs; without a pattern, list them
    Track(tracking::track::Track),
    /// Take back `track`
    Untrack(tracking::track::Untrack),
    /// Stage files as 'git add' does, on all cores
    Add(tracking::add::Add),
    /// Upload files, and track and stage them
    Upload(tracking::upload::Upload),
    /// Upload, track and stage a whole directory
    TrackSubtree(tracking::track_subtree::TrackSubtree),
    /// Stage what changed, upload it, bring the manifest up to date
    TrackModified(tracking::track_modified::TrackModified),
    /// Fetch the content of files
    Download(fetch::download::Download),
    /// Fetch the content of all tracked files
    DownloadAll(fetch::download::DownloadAll),
    /// Fetch the content of some directories only, now and with later checkouts
    SparseCheckout(fetch::sparse_checkout::SparseCheckout),
    /// Stop tracking files; they stay on disk
    Remove(tracking::remove::Remove),
    /// Stop tracking all files beneath a directory; they stay on disk
    RemoveSubtree(tracking::remove::RemoveSubtree),
    /// Take over a repository of Git LFS or the Python s3lfs, or large files in Git; and back
    ///
    /// Without a subcommand: turn the files of a repository of the Python s3lfs into pointers that Git tracks.
    Migrate(migrate::Migrate),
    /// Tell whether everything that is named is in the store
    Verify(check::verify::Verify),
    /// Check cache, worktree and pointers against the content that they name
    Fsck(check::fsck::Fsck),
    /// Drop cached content that the store has and nothing here needs
    Prune(check::prune::Prune),
    /// Clone a repository with its large files
    Clone(set_up::clone::Clone),
    /// Show tracked files that differ from the index, or are not here, or not uploaded
    Status(check::status::Status),
    /// List tracked files with oid and size
    Ls(check::ls::Ls),
    /// Check every part of the set-up, and say how to mend it
    Doctor(doctor::Doctor),
    /// Show what the files and their history take in the store
    Du(du::Du),
    /// Delete from the store what nothing names any more
    Cleanup(cleanup::Cleanup),
    /// Print the script that completes commands and tracked files in a shell
    Completions(shell::completions::Completions),
    /// Print or write manual pages
    Man(shell::man::Manual),
    /// (for Git) Content on stdin, pointer on stdout
    #[command(hide = true)]
    Clean(for_git::filter::Single),
    /// (for Git) Pointer on stdin, content on stdout
    #[command(hide = true)]
    Smudge(for_git::filter::Single),
    /// (for Git) The long-running filter process
    #[command(hide = true)]
    FilterProcess(for_git::filter::Whose),
    /// (for Git) What the installed hooks call
    #[command(hide = true)]
    Hook(for_git::hook::HookArgs),
    /// (for Git) The merge driver of .s3_manifest.json
    #[command(hide = true)]
    MergeManifest(for_git::merge_manifest::MergeManifest),
}

/// With the topics at the end of each `--help`. So there is more of each command, which `-h` then says, too: clap does not
/// count the options that commands inherit.
fn with_more(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|command| with_more(command).after_long_help(help::TOPICS_LINE))
}

/// Parse the command line, run it, and tell the exit code.
pub fn main() -> ExitCode {
    shell::complete(Cli::command);
    let definition = with_more(Cli::command());
    if let Some(topic) = help::asked(&definition, std::env::args_os()) {
        return ended(ui::answer_raw(topic.as_bytes()));
    }
    let parsed = definition.clone().try_get_matches().and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((name, Cli::from_arg_matches(&matches)?))
    });
    let (name, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(e) => {
            // Clap's own exit: 0 for help and version, 2 for usage. It writes to the right stream.
            let printed = e.print();
            if let Some(hint) = help::instead(&e) {
                ui::warn(hint);
            }
            return if e.use_stderr() { ExitCode::from(2) } else { ended(ui::answered(printed)) };
        }
    };
    init_logging(cli.global.verbose);
    crate::fs::ask_for_sharing(crate::git::sharing);
    crate::fs::ask_for_scratch(crate::git::scratch);
    if cli.global.quiet {
        ui::be_quiet();
    }
    // What Git calls has its stdout for Git.
    let for_users = definition.find_subcommand(&name).is_some_and(|command| !command.is_hide_set());
    let json = cli.global.json && for_users;
    if json {
        ui::progress::off();
    }
    interrupted::exit_on_interrupt(match for_users {
        true => Repeat::Ours,
        false if matches!(cli.command, Command::Hook(_)) => Repeat::Gits,
        false => Repeat::Filtering,
    });
    let done = run(cli);
    interrupted::wait_for_the_end();
    ended(done.inspect_err(|e| {
        if json {
            ui::refuse_in_json(&name, e);
        }
    }))
}

/// Say why, if it did not end well.
fn ended(result: Result<(), CliError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            ui::fail(&e);
            ExitCode::from(e.failure as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let Cli { global, command } = cli;
    if let Some(dir) = &global.directory {
        std::env::set_current_dir(dir)
            .map_err(|e| CliError::user(format!("cannot go to directory {}: {e}", dir.display())))?;
    }
    if checks_settings(&command)
        && let Ok(config) = GitConfig::load()
    {
        check_policy(&config)?;
    }
    match command {
        Command::Init(args) => set_up::init::run(&global, args),
        Command::GitSetup(args) => set_up::setup::run(&global, args),
        Command::Trust(args) => set_up::trust::run(&global, &args),
        Command::Track(args) => tracking::track::run(&global, args),
        Command::Untrack(args) => tracking::track::untrack(&global, args),
        Command::Add(args) => tracking::add::run(&global, args),
        Command::Upload(args) => tracking::upload::run(&global, args),
        Command::TrackSubtree(args) => tracking::track_subtree::run(&global, args),
        Command::TrackModified(args) => tracking::track_modified::run(&global, args),
        Command::Download(args) => fetch::download::run(&global, args),
        Command::DownloadAll(args) => fetch::download::run_all(&global, args),
        Command::SparseCheckout(args) => fetch::sparse_checkout::run(&global, args),
        Command::Remove(args) => tracking::remove::run(&global, args),
        Command::RemoveSubtree(args) => tracking::remove::run_subtree(&global, args),
        Command::Migrate(args) => migrate::run(&global, args),
        Command::Verify(args) => check::verify::run(&global, args),
        Command::Fsck(args) => check::fsck::run(&global, args),
        Command::Prune(args) => check::prune::run(&global, args),
        Command::Clone(args) => set_up::clone::run(&global, args),
        Command::Status(args) => check::status::run(&global, args),
        Command::Ls(args) => check::ls::run(&global, args),
        Command::Doctor(args) => doctor::run(&global, &args),
        Command::Du(args) => du::run(&global, &args),
        Command::Cleanup(args) => cleanup::run(&global, args),
        Command::Completions(args) => shell::completions::run(&args),
        Command::Man(args) => shell::man::run(Cli::command(), &args),
        Command::Clean(args) => for_git::filter::clean(args),
        Command::Smudge(args) => for_git::filter::smudge(&global, args),
        Command::FilterProcess(whose) => for_git::filter::process(&global, whose),
        Command::Hook(args) => for_git::hook::run(&global, args),
        Command::MergeManifest(args) => for_git::merge_manifest::run(args),
    }
}

/// What Git calls goes on with the default in place of a setting that can't be meant; `doctor` names all of them, and
/// these need none.
fn checks_settings(command: &Command) -> bool {
    match command {
        Command::TrackModified(args) => !args.is_hook(),
        Command::Clean(_)
        | Command::Smudge(_)
        | Command::FilterProcess(_)
        | Command::Hook(_)
        | Command::MergeManifest(_) => false,
        Command::Doctor(_) | Command::Completions(_) | Command::Man(_) => false,
        _ => true,
    }
}

/// `S3LFS_LOG` takes tracing's filter syntax (`debug`, `s3lfs=trace`); everything goes to stderr.
fn init_logging(verbose: bool) {
    let default = if verbose { "s3lfs=info" } else { "s3lfs=warn" };
    let filter = EnvFilter::try_from_env("S3LFS_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // What libraries trace are requests and answers, with what is secret in them. Spans are for S3LFS_TRACE.
    let harmless =
        filter_fn(|told| told.is_event() && (*told.level() < Level::TRACE || told.target().starts_with("s3lfs")));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).without_time();
    let registry = tracing_subscriber::registry().with(layer.with_ansi(false).with_filter(filter.and(harmless)));
    // A second call in one process would fail; there is none. Without a trace there is no layer that would want spans:
    // then each of them costs a look at a flag.
    let (_, problem) = match trace::from_environment() {
        Some(Ok(trace)) => (registry.with(trace.with_filter(filter_fn(trace::is_ours))).try_init(), None),
        Some(Err(problem)) => (registry.try_init(), Some(problem)),
        None => (registry.try_init(), None),
    };
    if let Some(problem) = problem {
        ui::warn(problem);
    }
}
