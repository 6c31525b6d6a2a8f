//! `du`: what the tracked files and their history take in the store, by directory, by kind or by commit.
//!
//! Apart because it looks at both sides: who names content (Git), and how long its object is (the store's
//! listing). Each object is counted once, however many paths and commits name it.

mod table;

use std::collections::BTreeMap;
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::check::named::{Named, Scope};
use crate::cli::check::names::{Group, Places};
use crate::cli::check::verify::revision;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::session::{engine, require_readable, settings_for_reading};
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::git::Git;
use crate::git::objects::ObjectId;
use crate::git::revision::{Revision, head};
use crate::repo_path::in_json;
use crate::transfer::{Item, Patience};

/// Arguments of `du`.
#[derive(Args, Debug)]
pub struct Du {
    /// A commit (all of its tree), or A..B (what its commits add); else the index and all of history
    #[arg(value_name = "REV|A..B")]
    revision: Option<String>,
    /// What is summed up in a line
    #[arg(long, value_enum, default_value_t = By::Directory)]
    by: By,
    /// How many directories deep, with --by directory
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// Also show what it costs a month, at this price for a GiB a month
    #[arg(long, value_name = "PRICE", value_parser = price, allow_negative_numbers = true)]
    cost: Option<f64>,
}

/// A price that can be multiplied.
fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && !price.is_sign_negative());
    price.ok_or_else(|| "a price is wanted, like 0.023".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum By {
    Directory,
    /// By the end of the name
    Kind,
    /// By the first commit that brought the content
    Commit,
}

/// Content that somebody names, and what it takes. There may be a million.
struct Content {
    /// With its size where a pointer or the cache says so.
    item: Item,
    /// Bytes of its object; 0: the store has none.
    stored: u64,
    /// Its number among the [`Groups`]; `None`: it was not committed.
    group: Option<u32>,
    /// Whether the index names it, and not only history.
    now: bool,
}

/// Names of groups, each once.
#[derive(Default)]
struct Groups {
    names: Vec<BString>,
    numbers: BTreeMap<BString, u32>,
}

impl Groups {
    fn number(&mut self, name: BString) -> u32 {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    fn name(&self, number: Option<u32>) -> &BStr {
        number.map_or(b"(not committed)".as_bstr(), |number| self.names[number as usize].as_bstr())
    }
}

/// A line of the table.
#[derive(Clone, Copy, Default, Debug)]
struct Sum {
    objects: u64,
    content: u64,
    stored: u64,
    now: u64,
    /// Of the objects, those that the store does not have.
    missing: u64,
}

impl Sum {
    fn add(&mut self, content: &Content) {
        self.objects += 1;
        // A pointer may say that it has any length.
        self.content = self.content.saturating_add(content.item.size.unwrap_or(content.stored));
        self.stored += content.stored;
        self.missing += u64::from(content.stored == 0);
        self.now += if content.now { content.stored } else { 0 };
    }
}

/// Sum up, and show.
pub fn run(global: &Global, args: &Du) -> Result<(), CliError> {
    let context = Context::open()?;
    let settings = settings_for_reading(global)?;
    require_readable(&settings)?;
    let (mut contents, groups) = named(&context, args)?;
    let nothing = LocalCache::keeping_nothing(context.repo.state_dir());
    let mut transfer = engine(nothing, &settings, Patience::Long)?;
    let mut others = Sum::default();
    let count = Count::new("Looking through the store", 0);
    transfer.list(|listed| {
        count.add(1);
        match contents.binary_search_by(|content| content.item.oid.cmp(&listed.asset.oid())) {
            Ok(at) => contents[at].stored += listed.len,
            Err(_) => {
                others.objects += 1;
                others.stored += listed.len;
            }
        }
    })?;
    drop(count);
    let (mut sums, mut total) = (BTreeMap::<&BStr, Sum>::new(), Sum::default());
    for content in &contents {
        sums.entry(groups.name(content.group)).or_default().add(content);
        total.add(content);
    }
    let mut sums: Vec<(&BStr, Sum)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.stored));
    if global.json {
        let by = args.by.to_possible_value().map(|value| value.get_name().to_owned());
        let item = |(name, sum): &(&BStr, Sum)| {
            json!({
                "by": by, "name": in_json(name), "objects": sum.objects, "content": sum.content, "stored": sum.stored,
                "now": args.revision.is_none().then_some(sum.now), "missing": sum.missing, "cost": args.cost.map(|price| table::cost(sum.stored, price)),
            })
        };
        let error =
            |content: &Content| json!({ "oid": content.item.oid.hex(), "error": "named here, and not in the store" });
        let missing = contents.iter().filter(|content| content.stored == 0).map(error);
        return ui::answer_json("du", sums.iter().map(item), missing);
    }
    ui::answer(table::table(&sums, &total, args.cost).as_bytes())?;
    // Of a commit or a range, the index was not asked.
    let now = match args.revision {
        Some(_) => String::new(),
        None => format!("; the index names {} of that", ui::bytes(total.now)),
    };
    ui::say(format!(
        "{}: {} named {} in {} (content {}){now}.",
        settings.remote,
        ui::count(total.objects as usize, "object"),
        args.revision.as_ref().map_or("here".to_owned(), |text| format!("by {text}")),
        ui::bytes(total.stored),
        ui::bytes(total.content),
    ));
    if total.missing > 0 {
        let count = ui::count(total.missing as usize, "object");
        ui::say(format!("{count} named and not there: see 's3lfs verify --all'."));
    }
    // Of a part of the history, the rest is no garbage.
    if others.objects > 0 && args.revision.is_none() {
        let count = ui::count(others.objects as usize, "object");
        ui::say(format!("{count} more ({}) that nothing here names: see 's3lfs cleanup'.", ui::bytes(others.stored)));
    }
    Ok(())
}

/// All content of the scope, sorted by oid, each once, with the group that it counts for.
fn named(context: &Context, args: &Du) -> Result<(Vec<Content>, Groups), CliError> {
    let mut groups = Groups::default();
    let mut contents: Vec<Content> = Vec::new();
    if args.revision.is_none() {
        Named::within(&Scope::Index, context)?.names.each(|content, places| {
            let group = group(args, content, places, &BTreeMap::new())?.map(|name| groups.number(name));
            contents.push(Content { item: content.item, stored: 0, group, now: true });
            Ok(())
        })?;
    }
    let commits = match &args.revision {
        Some(text) => Scope::At(revision(text)?),
        None => Scope::At(whole_history()?),
    };
    let age = match &commits {
        Scope::At(Revision::Range { commits, .. }) => ages(commits),
        _ => BTreeMap::new(),
    };
    let in_index = contents.len();
    Named::within(&commits, context)?.names.each(|content, places| {
        let known = contents[..in_index].binary_search_by(|known| known.item.cmp(&content.item));
        // The index's names come first; but no commit is theirs.
        if let Ok(at) = known
            && contents[at].group.is_some()
        {
            return Ok(());
        }
        let group = group(args, content, places, &age)?.map(|name| groups.number(name));
        match known {
            Ok(at) => contents[at].group = group,
            Err(_) => contents.push(Content { item: content.item, stored: 0, group, now: false }),
        }
        Ok(())
    })?;
    // What the index names comes first of equal ones; a manifest names no size, and a pointer does.
    contents.sort_by_key(|content| (content.item.oid, !content.now, content.item.size.is_none()));
    contents.dedup_by(|other, same| {
        let is_same = other.item.oid == same.item.oid;
        if is_same {
            same.item.size = same.item.size.or(other.item.size);
        }
        is_same
    });
    let cache = context.cache();
    for item in contents.iter_mut().map(|content| &mut content.item).filter(|item| item.size.is_none()) {
        item.size = cache.find(&item.oid, None).map(|cached| cached.size);
    }
    Ok((contents, groups))
}

/// Every commit of every ref and reflog, under every state that the attributes ever had.
fn whole_history() -> Result<Revision, CliError> {
    let all = ["--no-replace-objects", "rev-list", "--all", "--reflog"];
    let lines = |output: Vec<u8>| output.lines().map(BString::from).collect::<Vec<ObjectId>>();
    let commits = lines(Git::new(all).output()?);
    let changes = Git::new(all).args(["--full-history", "--", ":(top,glob)**/.gitattributes"]);
    let mut tips = lines(changes.output()?);
    tips.extend(head()?);
    Ok(Revision::Range { commits, tips })
}

/// The place of each commit in its list, in which children come before their parents.
fn ages(commits: &[ObjectId]) -> BTreeMap<&BStr, usize> {
    commits.iter().enumerate().map(|(place, id)| (id.as_bstr(), place)).collect()
}

/// What content counts for; of a name without a commit, none by commit.
fn group(
    args: &Du,
    content: &Group,
    places: &mut Places,
    age: &BTreeMap<&BStr, usize>,
) -> Result<Option<BString>, CliError> {
    let mut path: Option<BString> = None;
    let mut oldest: Option<(usize, Rc<ObjectId>)> = None;
    content.each_name(places, |name| {
        if path.as_ref().is_none_or(|first| name.path < *first) {
            path = Some(name.path.clone());
        }
        if let Some(commit) = &name.commit {
            let age = age.get(commit.as_bstr()).copied().unwrap_or(0);
            if oldest.as_ref().is_none_or(|(oldest, _)| age >= *oldest) {
                oldest = Some((age, Rc::clone(commit)));
            }
        }
        Ok(())
    })?;
    Ok(match args.by {
        By::Directory => Some(directory(path.unwrap_or_default().as_bstr(), args.depth)),
        By::Kind => Some(kind(path.unwrap_or_default().as_bstr())),
        By::Commit => oldest.map(|(_, id)| BString::from(&id[..id.len().min(12)])),
    })
}

/// `a/b/` of `a/b/c/d`, two deep.
fn directory(path: &BStr, depth: usize) -> BString {
    let slashes: Vec<usize> = path.find_iter(b"/").collect();
    match slashes.get(..depth.min(slashes.len())).and_then(<[usize]>::last) {
        Some(&at) => path[..=at].into(),
        None => "./".into(),
    }
}

/// `.psd` of `art/A.PSD`.
fn kind(path: &BStr) -> BString {
    let name = path.rsplit_once_str(b"/").map_or(path.as_bytes(), |(_, name)| name);
    match name.rsplit_once_str(b".") {
        Some((start, end)) if !start.is_empty() && !end.is_empty() => [b".", end].concat().to_ascii_lowercase().into(),
        _ => "(no kind)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_parts_of_paths() {
        let dir = |path: &str, depth| directory(path.into(), depth).to_string();
        assert_eq!([dir("a/b/c", 1), dir("a/b/c", 2), dir("a/b/c", 9), dir("c", 1)], ["a/", "a/b/", "a/b/", "./"]);
        assert_eq!(dir("a/b", 0), "./", "everything in one line");
        let kinds = ["art/A.PSD", "x.tar.gz", ".hidden", "a.b/none", "end."].map(|path| kind(path.into()).to_string());
        assert_eq!(kinds, [".psd", ".gz", "(no kind)", "(no kind)", "(no kind)"]);
    }
}
