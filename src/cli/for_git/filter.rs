//! `filter-process`, `clean` and `smudge`: what Git calls for every filtered file.
//!
//! Apart because here stdin and stdout belong to Git (`pipes`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};

use bstr::{BString, ByteSlice};
use clap::Args;

use crate::cli::Global;
use crate::cli::error::{CliError, one_line};
use crate::cli::for_git::fetcher::Fetcher;
use crate::cli::for_git::pipes::Pipes;
use crate::cli::local_cache::local_cache;
use crate::cli::ui;
use crate::cli::ui::progress::Reading;
use crate::error::{advised, chain};
use crate::filter::clean::clean as clean_content;
use crate::filter::server::{ServeError, Summary, Surroundings, serve};
use crate::filter::smudge::{Blob, SmudgeError, deliver};
use crate::filter::watched::Watched;
use crate::filter::{Fetch, Next, Start, TOO_LARGE, Wanted};
use crate::git::{Repo, index::file as index_file};
use crate::pointer::Form;
use crate::repo_path::Printable;

/// Arguments of the single commands.
#[derive(Args, Debug)]
pub struct Single {
    #[command(flatten)]
    whose: Whose,
    /// Where the content belongs, for messages; the content itself comes on stdin
    pathname: Option<OsString>,
}

impl Single {
    /// The raw pathname.
    fn bytes(&self) -> &[u8] {
        self.pathname.as_ref().map(|name| name.as_encoded_bytes()).unwrap_or_default()
    }

    fn name(&self) -> String {
        let name = self.pathname.as_ref().map(|name| name.to_string_lossy().into_owned());
        Printable(name.as_deref().unwrap_or("standard input").as_bytes()).to_string()
    }
}

/// Whose pointers Git has at these paths.
#[derive(Args, Debug, Clone, Copy)]
pub struct Whose {
    /// Those of Git LFS, in whose place s3lfs answers
    #[arg(long)]
    lfs: bool,
}

impl Whose {
    fn form(self) -> Form {
        if self.lfs { Form::Lfs } else { Form::Ours }
    }
}

/// How many names a summary lists before it counts the rest.
const NAMES: usize = 10;

/// Questions are short, and what is longer passes the buffer by.
const QUESTIONS: usize = 8 << 10;

/// Large reads of a single file.
const INPUT_BUFFER: usize = 256 << 10;

/// The long-running process.
pub fn process(global: &Global, whose: Whose) -> Result<(), CliError> {
    let pipes = Pipes::take()?;
    pipes.widen();
    let repo = Repo::discover()?;
    let cache = local_cache(&repo);
    // Until Git has written its index, and is gone.
    let _in_use = cache.hold();
    let mut fetcher = Fetcher::new(global, &repo);
    let shown = Reading::default();
    let around = Surroundings {
        cache: &cache,
        form: whose.form(),
        hung_up: &|| pipes.hung_up(),
        say: &|line| ui::warn(line),
        reading: &|path, so_far| shown.so_far(path, so_far),
    };
    let result = serve(pipes.reader(QUESTIONS), &pipes.output, &mut fetcher, around);
    if let Err(e) = fetcher.finish() {
        tracing::warn!("what was fetched could not be noted: {}", e.message);
    }
    match result {
        Ok(summary) => {
            tell(&summary);
            // A new clone has none yet, and Git itself says how to go on.
            if summary.broke_off && index_file(repo.git_dir()).exists() {
                ui::warn(WAY_OUT);
            }
            fetcher.fill()
        }
        // Git is gone: nobody waits for an explanation, and downloads must not keep us here.
        Err(ServeError::HungUp | ServeError::Output(_)) => Err(CliError::user("Git went away before it was answered")),
        Err(e) => Err(CliError::user(chain(&e))),
    }
}

/// Git has written what comes before the file, and takes that for the user's own changes when it is told to try again.
const WAY_OUT: &str = "  hint: Git stops here, and may have written other files of that commit ('git status' lists them). If it refuses to \
                       go over them the next time: git stash -u, the same command again, then see 'git stash show -u'";

/// Content on stdin, pointer on stdout.
pub fn clean(args: Single) -> Result<(), CliError> {
    let pipes = Pipes::take()?;
    let mut output = &pipes.output;
    let cache = local_cache(&Repo::discover()?);
    let _in_use = cache.hold();
    let mut input = pipes.reader(INPUT_BUFFER);
    let shown = Reading::default();
    let name = args.bytes().as_bstr();
    let cleaned = clean_content(
        &mut Watched::new(&mut input, |so_far| shown.so_far(name, Some(so_far))),
        &cache,
        args.whose.form(),
    );
    shown.so_far(name, None);
    let cleaned = cleaned.map_err(|e| CliError::user(format!("{}: {}", args.name(), advised(&e))))?;
    if cleaned.resembles_pointer {
        tell(&Summary { resembling: vec![args.name().into()], ..Summary::default() });
    }
    output.write_all(&cleaned.blob).and_then(|()| output.flush()).map_err(unwritable)
}

/// Pointer on stdin, content on stdout.
pub fn smudge(global: &Global, args: Single) -> Result<(), CliError> {
    let pipes = Pipes::take()?;
    let mut output = &pipes.output;
    let repo = Repo::discover()?;
    let cache = local_cache(&repo);
    let _in_use = cache.hold();
    let name = args.name();
    let failed = |why: String| CliError::user(format!("{name}: {why}"));
    let mut input = pipes.reader(INPUT_BUFFER);
    let blob = Blob::read(&mut input, &cache, args.whose.form()).map_err(|e| failed(one_line(e)))?;
    let (pointer, bytes) = match blob {
        Blob::Pointer { pointer, bytes, .. } => (pointer, bytes),
        Blob::Newer(bytes) => {
            if Fetcher::new(global, &repo).policy().map_err(failed)?.skip_smudge {
                return output.write_all(&bytes).map_err(unwritable);
            }
            return Err(failed("its pointer was written by a newer s3lfs; update s3lfs".into()));
        }
        Blob::Raw { bytes, resembles } => {
            if resembles {
                tell(&Summary { resembling: vec![name.clone().into()], ..Summary::default() });
            }
            return bytes.write_to(&mut output).map_err(|e| failed(one_line(e)));
        }
    };
    let mut fetcher = Fetcher::new(global, &repo);
    let policy = fetcher.policy().map_err(failed)?;
    let mut leave = |why: String| {
        tell(&Summary { left: vec![(name.clone().into(), why)], ..Summary::default() });
        output.write_all(&bytes).map_err(unwritable)
    };
    let wanted = Wanted { pointer: &pointer, pathname: args.bytes().as_bstr(), treeish: None };
    if policy.skip_smudge || fetcher.leaves_out(&wanted).map_err(failed)? {
        return output.write_all(&bytes).map_err(unwritable);
    }
    if !cache.contains(&pointer) {
        if policy.defers(&pointer) {
            fetcher.defer(args.bytes().as_bstr()).map_err(failed)?;
            return leave(TOO_LARGE.to_owned());
        }
        let outcome = match fetcher.start(&wanted) {
            Start::LeavePointer(why) => return leave(why),
            Start::Impossible(why) => Err(why),
            Start::Started => wait_for_one(&mut fetcher),
        };
        match outcome {
            Ok(()) => {}
            Err(why) if policy.skip_download_errors => return leave(why),
            Err(why) => return Err(failed(why)),
        }
    }
    let content = cache.load(&pointer)?.ok_or_else(|| failed(SmudgeError::Damaged(pointer).to_string()))?;
    deliver(content, &pointer, &cache, &mut output).map_err(|e| failed(one_line(e)))?;
    output.flush().map_err(unwritable)
}

fn wait_for_one(fetcher: &mut Fetcher<'_>) -> Result<(), String> {
    loop {
        match fetcher.next_done(std::time::Duration::from_millis(100)) {
            Next::Done(_, outcome) => return outcome,
            Next::Timeout => {}
            Next::Idle => return Err("its download ended without an answer".to_owned()),
        }
    }
}

fn unwritable(e: io::Error) -> CliError {
    CliError::user(format!("cannot write to standard output: {e}"))
}

/// What the user should hear once all files are through.
fn tell(summary: &Summary) {
    let mut by_reason: BTreeMap<&str, Vec<&BString>> = BTreeMap::new();
    for (name, why) in &summary.left {
        by_reason.entry(why).or_default().push(name);
    }
    for (why, names) in &by_reason {
        ui::warn(format!("{} left as pointers: {why}", listed(names)));
    }
    if by_reason.keys().any(|why| *why != TOO_LARGE) {
        ui::warn("'s3lfs download-all' fills them");
    }
    if !summary.resembling.is_empty() {
        // Git asks for a file twice where it is not sure of what it had.
        let mut seen = BTreeSet::new();
        let names: Vec<&BString> = summary.resembling.iter().filter(|name| seen.insert(*name)).collect();
        ui::warn(format!("{} begin like a pointer but are none, and were taken as content", listed(&names)));
    }
}

fn listed(names: &[&BString]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| Printable(name).to_string()).collect();
    let rest = names.len().saturating_sub(NAMES);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{} ({}{more})", ui::count(names.len(), "file"), shown.join(", "))
}
