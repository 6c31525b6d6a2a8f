//! The refs whose history is rewritten: which they are, what they become, and how they are moved all at once.
//!
//! Apart because moving them is the one step that changes what a user sees; what they named before stays under
//! `refs/original/`, as `git filter-branch` leaves it.

use bstr::{BString, ByteSlice};

use super::rewrite::Rewritten;
use super::text;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::git::objects::ObjectId;
use crate::git::packer::{Kind, Packer};
use crate::git::reader::Reader;
use crate::git::{Git, GitError};
use crate::repo_path::Printable;

/// Where what they named before stays.
pub const ORIGINAL: &str = "refs/original/";

/// A branch or a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ref {
    /// `refs/heads/main`.
    pub name: BString,
    /// What it names: a commit, or a tag.
    pub id: ObjectId,
    /// The commit in the end.
    pub commit: ObjectId,
}

/// A ref that is moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// The full name.
    pub name: BString,
    /// What it names now.
    pub old: ObjectId,
    /// What it is to name.
    pub new: ObjectId,
}

/// The branches and tags that `asked` names; all of them, if it names none.
pub fn chosen(reader: &mut Reader, asked: &[String]) -> Result<Vec<Ref>, CliError> {
    let mut names = Vec::new();
    for name in asked {
        let full = Git::new(["rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", name]);
        let full = full.run()?.stdout.trim().to_owned();
        if !full.starts_with(b"refs/heads/") && !full.starts_with(b"refs/tags/") {
            return Err(CliError::user(format!(
                "{} is no branch or tag of this repository",
                Printable(name.as_bytes())
            ))
            .hint("git branch --list; git tag --list"));
        }
        names.push(full.to_str_lossy().into_owned());
    }
    if names.is_empty() {
        names = vec!["refs/heads/".into(), "refs/tags/".into()];
    }
    let format = "--format=%(objectname) %(symref)%00%(refname)";
    let listed = Git::new(["for-each-ref", format]).args(&names).output()?;
    let mut refs = Vec::new();
    for line in listed.lines() {
        let (fields, name) = line.split_once_str("\0").ok_or_else(|| GitError::answer("git for-each-ref", line))?;
        let (id, symref) = fields.split_once_str(" ").unwrap_or((fields, b""));
        if !symref.is_empty() {
            continue;
        }
        let id = ObjectId::from(id);
        match peel(reader, &id)? {
            Some(commit) => refs.push(Ref { name: name.into(), id, commit }),
            None => ui::warn(format!("{} names no commit, and stays as it is", Printable(name))),
        }
    }
    Ok(refs)
}

/// The commit that a tag names in the end. `None`: something else.
fn peel(reader: &mut Reader, id: &ObjectId) -> Result<Option<ObjectId>, GitError> {
    let mut id = id.clone();
    loop {
        let object = reader.read(id.as_bstr())?;
        match object.kind.as_slice() {
            b"commit" => return Ok(Some(id)),
            b"tag" => match text::target(&object.bytes) {
                // A large blob is not read for this.
                Some((target, kind)) if kind == "commit" || kind == "tag" => id = target,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }
    }
}

/// What was dropped from annotated tags.
#[derive(Debug, Default)]
pub struct Moves {
    /// Those that name something else now.
    pub moves: Vec<Move>,
    /// Names of tags whose signature was dropped.
    pub unsigned: Vec<BString>,
}

/// What refs become; tags are written anew.
pub fn moves(
    reader: &mut Reader,
    refs: &[Ref],
    rewritten: &Rewritten,
    tmp: &std::path::Path,
) -> Result<Moves, CliError> {
    let mut tags = Packer::start(tmp)?;
    let mut all = Moves::default();
    for one in refs.iter().filter(|one| rewritten.changed(one.commit.as_bstr())) {
        let mut was_signed = false;
        let new = renew(reader, &mut tags, &one.id, rewritten, &mut was_signed)?;
        if was_signed {
            all.unsigned.push(one.name.clone());
        }
        all.moves.push(Move { name: one.name.clone(), old: one.id.clone(), new });
    }
    tags.finish()?;
    Ok(all)
}

/// The commit, or the tag of it, anew.
fn renew(
    reader: &mut Reader,
    tags: &mut Packer,
    id: &ObjectId,
    rewritten: &Rewritten,
    was_signed: &mut bool,
) -> Result<ObjectId, CliError> {
    let object = reader.read(id.as_bstr())?;
    if object.kind != b"tag" {
        return Ok(rewritten.commit(id));
    }
    let broken = || GitError::answer("git cat-file (a tag)", id.clone());
    let (target, _) = text::target(&object.bytes).ok_or_else(broken)?;
    let target = renew(reader, tags, &target, rewritten, was_signed)?;
    let text = text::tag(&object.bytes, target.as_bstr());
    *was_signed |= text.was_signed;
    Ok(tags.write(Kind::Tag, &text.bytes)?)
}

/// Refuse while an earlier rewriting's refs are there.
pub fn require_no_original() -> Result<(), CliError> {
    if Git::new(["for-each-ref", "--count=1", "--format=%(refname)", ORIGINAL]).output()?.is_empty() {
        return Ok(());
    }
    Err(CliError::user(format!("{ORIGINAL} has what refs named before an earlier rewriting"))
        .hint(format!("when it is not needed any more: {FORGET}")))
}

/// The command that lets go of what refs named before.
pub const FORGET: &str = "git for-each-ref --format='delete %(refname)' refs/original | git update-ref --stdin";

/// The command that lets go of the commits behind that. Not `git reflog expire --expire=now --all`: the reflog of
/// refs/stash *is* the list of stashes, and only what is configured for all leaves it alone (git-reflog(1)).
pub const FORGET_LOGS: &str = "git -c gc.reflogExpire=now -c gc.reflogExpireUnreachable=now gc --prune=now";

/// Move them all, or none: a ref that somebody moved meanwhile stops it.
pub fn apply(moves: &[Move]) -> Result<(), CliError> {
    let mut input: Vec<u8> = b"start\0".to_vec();
    for Move { name, old, new } in moves {
        let original = [ORIGINAL.as_bytes(), name].concat();
        input.extend_from_slice(&[b"create ", original.as_slice(), b"\0", old, b"\0"].concat());
        input.extend_from_slice(&[b"update ", name.as_slice(), b"\0", new, b"\0", old, b"\0"].concat());
    }
    input.extend_from_slice(b"prepare\0commit\0");
    let update = Git::new(["update-ref", "--create-reflog", "-m", "s3lfs migrate import", "-z", "--stdin"]);
    update.input(input).output()?;
    Ok(())
}
