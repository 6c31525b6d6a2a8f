//! Every Git command that moves content, with the real Git, in every kind of repository: one table.
//!
//! Each row runs in a fresh copy of a prepared world. After each step the worktree has the right
//! bytes, the index holds canonical pointers, `git status` says what it should, and no lock and no
//! filter process is left. `S3LFS_TEST_FULL=1` runs all rows in all forms; without it, the forms other
//! than the usual one run the rows that are marked.

mod changes;
mod checkouts;
mod checks;
mod clones;
mod failures;
mod history;
mod trees;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::scratch::{Scratch, run};
use world::{Form, World};

/// Whether a row runs in every form also without `S3LFS_TEST_FULL`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Always,
    InFull,
}

use Runs::{Always, InFull};

struct Row(&'static str, Runs, fn(&mut World));

const TABLE: &[Row] = &[
    Row("add", InFull, changes::add),
    Row("add -p", InFull, changes::add_patch),
    Row("commit", InFull, changes::commit),
    Row("commit -a", InFull, changes::commit_all),
    Row("commit <path>", Always, changes::commit_path),
    Row("commit --amend", InFull, changes::commit_amend),
    Row("mv", InFull, changes::mv),
    Row("rm", InFull, changes::rm),
    Row("stash", Always, changes::stash),
    Row("stash -p", InFull, changes::stash_patch),
    Row("odd paths", Always, changes::odd_paths),
    Row("switch", Always, checkouts::switch),
    Row("checkout -- <path>", InFull, checkouts::checkout_paths),
    Row("restore", InFull, checkouts::restore),
    Row("reset --hard", Always, checkouts::reset_hard),
    Row("reset --mixed", InFull, checkouts::reset_mixed),
    Row("sparse-checkout", InFull, checkouts::sparse_checkout),
    Row("sparse index", InFull, checkouts::sparse_index),
    Row("bisect", InFull, checkouts::bisect),
    Row("worktree add", InFull, checkouts::worktree_add),
    Row("archive", InFull, checkouts::archive),
    Row("merge", Always, history::merge),
    Row("merge, fast forward", InFull, history::merge_fast_forward),
    Row("merge with a conflict", Always, history::merge_conflict),
    Row("rebase", Always, history::rebase),
    Row("rebase with a conflict", InFull, history::rebase_conflict),
    Row("pull --rebase --autostash", Always, history::pull_rebase_autostash),
    Row("cherry-pick", InFull, history::cherry_pick),
    Row("revert", InFull, history::revert),
    Row("am", InFull, history::am),
    Row("apply", InFull, history::apply),
    Row("clone", Always, clones::clone),
    Row("clone --filter=blob:none", InFull, clones::partial_clone),
    Row("submodule update", InFull, clones::submodule),
    Row("an object is missing", InFull, failures::missing_object),
];

#[test]
fn git_commands_in_a_usual_repository() {
    run_table(Form::Usual);
}

#[test]
fn git_commands_in_a_sha256_repository() {
    run_table(Form::Sha256);
}

#[test]
fn git_commands_in_a_reftable_repository() {
    run_table(Form::Reftable);
}

#[test]
fn git_commands_in_a_linked_worktree() {
    run_table(Form::Linked);
}

/// How many rows of one form run at a time.
const WORKERS: usize = 2;

fn run_table(form: Form) {
    if !is_known_to_git(form) {
        eprintln!("git_commands: this Git knows no {form:?} repositories, so they were left out");
        return;
    }
    let full = form == Form::Usual || std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    // One row, for whoever works on it.
    let only = std::env::var("S3LFS_TEST_ROW").ok();
    let wanted = |row: &&Row| only.as_deref().map_or(full || row.1 == Always, |name| row.0 == name);
    let rows: Vec<&Row> = TABLE.iter().filter(wanted).collect();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(rows.len()) {
            scope.spawn(|| {
                let mut world = World::new(form);
                let is_prepared = guarded(&mut world, "the template", World::prepare, &failures);
                while is_prepared && let Some(Row(name, _, run)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = |world: &mut World| {
                        world.reset();
                        run(world);
                    };
                    guarded(&mut world, name, row, &failures);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} rows failed\n\n{}", failures.len(), rows.len(), failures.join("\n\n"));
}

/// Run one row; note its failure with what came before it. `true`: it succeeded.
fn guarded(world: &mut World, name: &str, row: impl FnOnce(&mut World), failures: &Mutex<Vec<String>>) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| row(world))) else { return true };
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let steps = world.log[world.log.len().saturating_sub(8)..].join("\n");
    let form = world.form;
    failures.lock().unwrap().push(format!("=== {form:?}, {name}: {}\n{steps}", text.unwrap_or("a panic")));
    false
}

fn is_known_to_git(form: Form) -> bool {
    let scratch = Scratch::new();
    run(scratch.command("git").arg("init").args(form.init_options()).arg("probe"), b"").status.success()
}
