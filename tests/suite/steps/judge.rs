//! What must hold at any moment, and what the end of a line is.
//!
//! Apart from the bench because it knows nothing of faults: it looks at a repository and its store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use s3lfs::manifest::Manifest;
use s3lfs::store::codec::decode;

use crate::world::{MANIFEST, Place, World, oid, snapshot, worktree_files};

/// What a scenario puts in the place of cached content, to have it mended.
pub const DAMAGE: &[u8] = b"damaged by a scenario\n";

/// All that a user could tell one end from another by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub hooks: BTreeMap<PathBuf, Vec<u8>>,
    pub index: String,
    pub status: String,
    pub config: BTreeSet<String>,
    /// Names of objects, not their bytes: compression may differ.
    pub stored: BTreeSet<String>,
}

impl State {
    pub fn of(world: &World) -> Self {
        let work = world.at("work");
        let plain = world.at("work").env("GIT_OPTIONAL_LOCKS", "0");
        State {
            files: worktree_files(&work).into_iter().collect(),
            hooks: files_in(&work.join(".git/hooks")),
            status: plain.git(&["status", "--porcelain"]).ok().stdout,
            index: plain.git(&["ls-files", "-s"]).ok().stdout,
            config: plain.git(&["config", "--local", "-l"]).ok().stdout.lines().map(str::to_owned).collect(),
            stored: stored(world).into_keys().collect(),
        }
    }

    /// The first thing in which two differ, in words.
    pub fn difference(&self, other: &State) -> Option<String> {
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        let changed = |one: &BTreeMap<PathBuf, Vec<u8>>, two: &BTreeMap<PathBuf, Vec<u8>>| {
            (names(one) != names(two)).then(|| format!("files {:?} and {:?}", names(one), names(two))).or_else(|| {
                let path = one.keys().find(|path| one[*path] != two[*path])?;
                let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
                Some(format!("{}: {:?} and {:?}", path.display(), show(&one[path]), show(&two[path])))
            })
        };
        let texts = |name: &str, one: &dyn std::fmt::Debug, two: &dyn std::fmt::Debug| {
            let (one, two) = (format!("{one:?}"), format!("{two:?}"));
            (one != two).then(|| format!("{name}: {one} and {two}"))
        };
        changed(&self.files, &other.files)
            .or_else(|| changed(&self.hooks, &other.hooks))
            .or_else(|| texts("index", &self.index, &other.index))
            .or_else(|| texts("status", &self.status, &other.status))
            .or_else(|| texts("config", &self.config, &other.config))
            .or_else(|| texts("stored", &self.stored, &other.stored))
    }
}

fn objects_in(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if dir.is_dir() { snapshot(dir) } else { Vec::new() }
}

fn files_in(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = if dir.is_dir() { snapshot(dir) } else { Vec::new() };
    // Temporary files are looked for elsewhere.
    files.into_iter().filter(|(path, _)| !is_temporary(path)).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn is_temporary(path: &Path) -> bool {
    name(path).starts_with(".s3lfs-")
}

/// Name and bytes of each object of the store. What has a `#` is half of one, which nobody sees.
fn stored(world: &World) -> BTreeMap<String, Vec<u8>> {
    let store = world.path("store");
    let files = if store.is_dir() { snapshot(&store) } else { Vec::new() };
    let is_object = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    files.into_iter().map(|(path, bytes)| (name(&path), bytes)).filter(|(name, _)| is_object(name)).collect()
}

/// Whatever just happened to s3lfs: nothing is torn, and everything is as before or as it was to be.
pub fn nothing_is_torn(world: &World, before: &State, after: &State, what: &str) {
    let work = world.at("work");
    // What clones share is there only with the name of who may need it.
    let (shared, register) = (objects_in(&world.path("cache/objects")), files_in(&world.path("cache/clones")));
    let is_registered = register.values().any(|entry| !entry.is_empty());
    assert!(shared.is_empty() || is_registered, "{what}: content is shared, and nobody stands in the register");
    for (path, bytes) in objects_in(&work.join(".git/s3lfs/objects")).into_iter().chain(shared) {
        assert!(bytes == DAMAGE || oid(&bytes) == name(&path), "{what}: a cached object is what its name says");
    }
    for (name, bytes) in stored(world) {
        let mut content = Vec::new();
        let _ = decode(bytes.as_slice(), &mut content, 1 << 30);
        assert!(oid(&content) == name || oid(&bytes) == name, "{what}: stored {name} is what its name says");
    }
    for (path, bytes) in worktree_files(&work) {
        assert!(!is_temporary(&path), "{what}: {} lies in the worktree", path.display());
        let known = [before, after].iter().any(|state| state.files.get(&path) == Some(&bytes));
        let is_pointer = s3lfs::pointer::Pointer::parse(&bytes).is_some();
        let is_on_its_way = match path.file_name().and_then(|name| name.to_str()) {
            Some(".gitattributes") => is_between(lines(&bytes), |state| of(state, &path, lines), before, after),
            Some(MANIFEST) => is_between(entries(&bytes), |state| of(state, &path, entries), before, after),
            // Migrating takes a whole line out of it for each file.
            Some(".gitignore") => bytes.ends_with(
                b"
",
            ),
            _ => false,
        };
        assert!(
            known || is_pointer || is_on_its_way,
            "{what}: {} is neither old nor new: {} bytes",
            path.display(),
            bytes.len()
        );
    }
    for path in before.files.keys().filter(|path| after.files.contains_key(*path)) {
        // Git itself removes a file before it writes it anew.
        let is_gits = before.files[path] != after.files[path] && !path.ends_with(MANIFEST);
        assert!(path.exists() || is_gits, "{what}: {} is gone", path.display());
    }
    for (path, bytes) in files_in(&work.join(".git/hooks")) {
        let known = [before, after].iter().any(|state| state.hooks.get(&path) == Some(&bytes));
        assert!(known, "{what}: the hook {} is neither old nor new", path.display());
    }
    for (path, bytes) in &before.hooks {
        assert!(path.exists() || !after.hooks.contains_key(path), "{what}: {} is gone: {bytes:?}", path.display());
    }
    if work.exists(MANIFEST) {
        assert!(Manifest::parse(&work.read(MANIFEST)).is_ok(), "{what}: the manifest parses");
    }
    assert!(!work.exists(".git/index.lock"), "{what}: no index.lock stays");
}

/// One comes or goes for each of several files, of which some may fail: what both ends have stays, and nothing else
/// comes than what one of them has.
fn is_between(now: Set, of: impl Fn(&State) -> Set, before: &State, after: &State) -> bool {
    let (before, after) = (of(before), of(after));
    before.intersection(&after).all(|one| now.contains(one))
        && now.iter().all(|one| before.contains(one) || after.contains(one))
}

type Set = BTreeSet<String>;

fn of(state: &State, path: &Path, read: fn(&[u8]) -> Set) -> Set {
    state.files.get(path).map(|bytes| read(bytes)).unwrap_or_default()
}

fn lines(bytes: &[u8]) -> Set {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Path and oid of each file of a manifest.
fn entries(bytes: &[u8]) -> Set {
    let manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let files = manifest["files"].as_object().cloned().unwrap_or_default();
    files.into_iter().map(|(path, oid)| format!("{path} {oid}")).collect()
}

/// What was left goes with the next command that sweeps: at once in our own directory, elsewhere once it is old.
pub fn leftovers_go(work: &Place<'_>, what: &str) {
    let tmp = work.join(".git/s3lfs/tmp");
    let leftovers = || -> Vec<PathBuf> {
        let files = snapshot(&work.dir).into_iter().map(|(path, _)| path);
        files.filter(|path| is_temporary(path) || path.starts_with(&tmp)).collect()
    };
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(20 * 24 * 3600);
    let left = leftovers();
    if left.is_empty() {
        return;
    }
    for path in left.iter().filter(|path| !path.starts_with(&tmp)) {
        fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    // After an uninstallation no store is accepted, and nothing that sweeps goes on.
    let is_set_up = work.git(&["config", "--get", "s3lfs.store"]).code == 0;
    if !is_set_up || left.iter().any(|path| path.starts_with(work.join(".git/hooks"))) {
        work.s3lfs(&["git-setup"]).ok();
    }
    // What is on its way there, git-lfs sweeps with its next command.
    if left.iter().any(|path| path.starts_with(work.join(".git/lfs"))) {
        work.git(&["lfs", "ls-files"]).ok();
    }
    work.s3lfs(&["prune"]).ok();
    assert_eq!(leftovers(), Vec::<PathBuf>::new(), "{what}: what a killed process left is swept");
}
