//! The three-way merge of manifests, for the merge driver `s3lfs-manifest`.
//!
//! Apart because Git's line merge gets it wrong both ways: it conflicts where two branches add neighbouring lines, and
//! it silently joins what must not be joined.
//!
//! A path's state is its kind and its oid, and is merged as one value. Pointer-tracked states never conflict: ours is
//! taken, the pointer's own conflict decides, and the next projection follows. Manifest-only states stand nowhere else,
//! so change against another change is a conflict, and a manifest-only entry of either side only goes when the other
//! side deleted it (or moved it into Git) and this one left it unchanged. A result of a conflict keeps ours, with two
//! exceptions that keep a manifest-only entry of theirs: against ours deleted, and against ours pointer-tracked, which
//! Git carries anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Manifest, along};
use crate::oid::Oid;
use crate::repo_path::Printable;

/// The outcome of [`merge`].
#[derive(Clone, PartialEq, Debug)]
pub struct Merged {
    /// Everything that merged, and for each conflict the side kept.
    pub manifest: Manifest,
    /// What a person must decide; empty if the merge is clean. Settings first, then paths, each sorted.
    pub conflicts: Vec<Conflict>,
}

/// Two sides changed one thing differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// A key at the top of the manifest.
    Setting {
        /// The key.
        key: String,
    },
    /// A manifest-only path.
    Path {
        /// The key in `files`.
        path: String,
        /// Our content; `None`: deleted.
        ours: Option<Oid>,
        /// Their content; `None`: deleted.
        theirs: Option<Oid>,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |oid: &Option<Oid>| oid.map_or("deleted".to_owned(), |oid| oid.hex());
        match self {
            Conflict::Setting { key } => write!(f, "`{}` was changed on both sides", Printable(key.as_bytes())),
            Conflict::Path { path, ours, theirs } => {
                let path = Printable(path.as_bytes());
                write!(f, "`{path}` was changed on both sides (ours: {}, theirs: {})", side(ours), side(theirs))
            }
        }
    }
}

/// Merge two manifests that come from `base` (`None`: they have no common one).
pub fn merge(base: Option<&Manifest>, ours: &Manifest, theirs: &Manifest) -> Merged {
    let mut merged = Merged { manifest: settings_of(ours), conflicts: Vec::new() };
    merged.settings(base, ours, theirs);
    merged.conflicts.sort_by(|a, b| a.key().cmp(b.key()));
    merged.paths(base, ours, theirs);
    merged
}

/// All but the paths.
fn settings_of(manifest: &Manifest) -> Manifest {
    Manifest {
        bucket_name: manifest.bucket_name.clone(),
        repo_prefix: manifest.repo_prefix.clone(),
        files: BTreeMap::new(),
        manifest_only: None,
        project: manifest.project,
        format: manifest.format,
        repository_id: manifest.repository_id.clone(),
        endpoint_url: manifest.endpoint_url.clone(),
        region: manifest.region.clone(),
        server_side_encryption: manifest.server_side_encryption.clone(),
        kms_key_id: manifest.kms_key_id.clone(),
        compression: manifest.compression.clone(),
        unknown: manifest.unknown.clone(),
    }
}

/// Which side a three-way merge takes.
enum Pick {
    Ours,
    Theirs,
    Clash,
}

fn pick<T: PartialEq>(base: T, ours: T, theirs: T) -> Pick {
    if ours == theirs || theirs == base {
        Pick::Ours
    } else if ours == base {
        Pick::Theirs
    } else {
        Pick::Clash
    }
}

impl Conflict {
    fn key(&self) -> &str {
        match self {
            Conflict::Setting { key } => key,
            Conflict::Path { path, .. } => path,
        }
    }
}

impl Merged {
    /// `manifest` has ours already; whether theirs is to be taken instead.
    fn takes_theirs<T: PartialEq>(&mut self, key: &str, base: T, ours: T, theirs: T) -> bool {
        match pick(base, ours, theirs) {
            Pick::Ours => false,
            Pick::Theirs => true,
            Pick::Clash => {
                self.conflicts.push(Conflict::Setting { key: key.to_owned() });
                false
            }
        }
    }

    fn settings(&mut self, base: Option<&Manifest>, ours: &Manifest, theirs: &Manifest) {
        let bucket = base.map(|base| &base.bucket_name);
        if self.takes_theirs("bucket_name", bucket, Some(&ours.bucket_name), Some(&theirs.bucket_name)) {
            self.manifest.bucket_name.clone_from(&theirs.bucket_name);
        }
        let prefix = base.map(|base| &base.repo_prefix);
        if self.takes_theirs("repo_prefix", prefix, Some(&ours.repo_prefix), Some(&theirs.repo_prefix)) {
            self.manifest.repo_prefix.clone_from(&theirs.repo_prefix);
        }
        for (at, (key, text)) in theirs.texts().into_iter().enumerate() {
            let old = base.and_then(|base| base.texts()[at].1.as_ref());
            if self.takes_theirs(key, old, ours.texts()[at].1.as_ref(), text.as_ref())
                && let Some(merged) = self.manifest.text_mut(key)
            {
                merged.clone_from(text);
            }
        }
        // Two values can't both differ from a third: this never clashes.
        if self.takes_theirs("project", base.is_none_or(|base| base.project), ours.project, theirs.project) {
            self.manifest.project = theirs.project;
        }
        self.manifest.format = ours.format.max(theirs.format);

        let keys: BTreeSet<&String> = ours.unknown.keys().chain(theirs.unknown.keys()).collect();
        for key in keys {
            let old = base.and_then(|base| base.unknown.get(key));
            if self.takes_theirs(key, old, ours.unknown.get(key), theirs.unknown.get(key)) {
                match theirs.unknown.get(key) {
                    Some(value) => self.manifest.unknown.insert(key.clone(), value.clone()),
                    None => self.manifest.unknown.remove(key),
                };
            }
        }
    }

    fn paths(&mut self, base: Option<&Manifest>, ours: &Manifest, theirs: &Manifest) {
        let (mut files, mut only) = (Vec::new(), Vec::new());
        let paths: BTreeSet<&String> = ours.files.keys().chain(theirs.files.keys()).collect();
        let mut before = base.map(states);
        let (mut of_ours, mut of_theirs) = (states(ours), states(theirs));
        for path in paths {
            let old = before.as_mut().and_then(|before| before(path, None));
            let (our, their) = (of_ours(path, old), of_theirs(path, old));
            let result = match pick(old, our, their) {
                Pick::Ours => our,
                Pick::Theirs => their,
                Pick::Clash => {
                    let (result, clean) = State::clash(our, their);
                    if !clean {
                        let (ours, theirs) = (our.map(|s| s.oid), their.map(|s| s.oid));
                        self.conflicts.push(Conflict::Path { path: path.clone(), ours, theirs });
                    }
                    result
                }
            };
            if let Some(State { kind, oid }) = result {
                files.push((path.clone(), oid));
                if kind == Kind::ManifestOnly {
                    only.push(path.clone());
                }
            }
        }
        let somebody_tells = [base, Some(ours), Some(theirs)].into_iter().flatten().any(|m| m.manifest_only.is_some());
        self.manifest.files = files.into_iter().collect();
        self.manifest.manifest_only = somebody_tells.then(|| only.into_iter().collect());
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pointer,
    ManifestOnly,
}

#[derive(Clone, Copy, PartialEq)]
struct State {
    kind: Kind,
    oid: Oid,
}

/// The states of paths in order; each is asked for with its state in the base. In the Python tool's manifest, which does
/// not tell kinds, a path is what it was in the base, else manifest-only: if that is wrong, the next projection finds the
/// pointer and mends it.
fn states(manifest: &Manifest) -> impl FnMut(&str, Option<State>) -> Option<State> {
    let mut files = along::map(&manifest.files);
    let mut only = manifest.manifest_only.as_ref().map(along::set);
    move |path, base| {
        let oid = *files.at(path)?;
        let kind = match only.as_mut().map(|only| only.at(path)) {
            Some(Some(())) => Kind::ManifestOnly,
            Some(None) => Kind::Pointer,
            None => base.map_or(Kind::ManifestOnly, |base| base.kind),
        };
        Some(State { kind, oid })
    }
}

impl State {
    /// What to keep of two states that both differ from the base and from each other, and whether that is clean.
    fn clash(ours: Option<State>, theirs: Option<State>) -> (Option<State>, bool) {
        let only = |side: Option<State>| side.is_some_and(|state| state.kind == Kind::ManifestOnly);
        let kept = if only(theirs) && !only(ours) { theirs } else { ours };
        let same_content = ours.is_some_and(|ours| theirs.is_some_and(|theirs| ours.oid == theirs.oid));
        (kept, same_content || !(only(ours) || only(theirs)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, random_manifest};
    use super::*;

    /// `"path content"` is pointer-tracked, `"!path content"` manifest-only.
    fn manifest(entries: &[&str]) -> Manifest {
        let mut manifest = Manifest::new("b", "p");
        let mut only = BTreeSet::new();
        for entry in entries {
            let (path, content) = entry.split_once(' ').unwrap();
            let name = path.trim_start_matches('!');
            if path != name {
                only.insert(name.to_owned());
            }
            manifest.files.insert(name.to_owned(), Oid::of(content.as_bytes()));
        }
        manifest.manifest_only = Some(only);
        manifest
    }

    fn python(entries: &[&str]) -> Manifest {
        Manifest { manifest_only: None, ..manifest(entries) }
    }

    fn conflicts(merged: &Merged) -> Vec<&str> {
        merged.conflicts.iter().map(Conflict::key).collect()
    }

    #[test]
    fn one_path_in_every_combination() {
        // base, ours, theirs, result, conflict
        let cases = [
            ("", "x 1", "", "x 1", false),
            ("", "", "x 1", "x 1", false),
            ("x 1", "x 1", "", "", false),
            ("x 1", "", "x 1", "", false),
            ("!x 1", "!x 1", "", "", false),
            ("!x 1", "", "!x 1", "", false),
            ("x 1", "x 1", "x 2", "x 2", false),
            ("!x 1", "!x 1", "!x 2", "!x 2", false),
            // Pointer-tracked: ours, always.
            ("x 1", "x 2", "x 3", "x 2", false),
            ("", "x 2", "x 3", "x 2", false),
            ("x 1", "", "x 3", "", false),
            ("x 1", "x 2", "", "x 2", false),
            // Manifest-only: change against change conflicts, and no entry is lost.
            ("!x 1", "!x 2", "!x 3", "!x 2", true),
            ("", "!x 2", "!x 3", "!x 2", true),
            ("!x 1", "!x 2", "!x 2", "!x 2", false),
            ("!x 1", "!x 2", "", "!x 2", true),
            ("!x 1", "", "!x 3", "!x 3", true),
            // One kind on each side.
            ("!x 1", "x 2", "!x 1", "x 2", false),
            ("!x 1", "!x 1", "x 2", "x 2", false),
            ("x 1", "!x 2", "x 1", "!x 2", false),
            ("x 1", "x 1", "!x 2", "!x 2", false),
            ("", "!x 1", "x 1", "!x 1", false),
            ("", "x 1", "!x 1", "!x 1", false),
            ("", "!x 1", "x 2", "!x 1", true),
            ("", "x 1", "!x 2", "!x 2", true),
            ("x 1", "x 2", "!x 1", "!x 1", true),
            ("x 1", "", "!x 1", "!x 1", true),
            ("!x 1", "x 1", "!x 2", "!x 2", true),
        ];
        for case @ (base, ours, theirs, result, conflict) in cases {
            let of = |text: &str| manifest(&[text].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>());
            let merged = merge(Some(&of(base)), &of(ours), &of(theirs));
            assert_eq!(merged.manifest, of(result), "{case:?}");
            assert_eq!(conflicts(&merged), if conflict { vec!["x"] } else { vec![] }, "{case:?}");
        }
    }

    #[test]
    fn neighbours_added_on_both_sides_merge() {
        let merged =
            merge(Some(&manifest(&["a 1"])), &manifest(&["a 1", "b 1", "!e 1"]), &manifest(&["a 1", "!d 1", "c 1"]));
        assert_eq!(merged, Merged { manifest: manifest(&["a 1", "b 1", "c 1", "!d 1", "!e 1"]), conflicts: vec![] });
    }

    #[test]
    fn the_python_tools_entries_are_manifest_only_unless_the_base_knows_better() {
        let merged = merge(None, &python(&["a 1", "b 1"]), &python(&["a 2", "c 1"]));
        assert_eq!(merged.manifest, python(&["a 1", "b 1", "c 1"]), "nobody tells kinds, so the projection will");
        assert_eq!(conflicts(&merged), ["a"]);

        let merged =
            merge(Some(&python(&["a 1", "b 1"])), &manifest(&["!a 1", "b 1"]), &python(&["a 2", "b 1", "c 1"]));
        let expected = Merged { manifest: manifest(&["!a 2", "b 1", "!c 1"]), conflicts: vec![] };
        assert_eq!(merged, expected, "ours tells kinds; what only the Python tool added must outlive the projection");

        let merged = merge(Some(&manifest(&["a 1", "!b 1"])), &manifest(&["!b 1"]), &python(&["a 1", "b 2"]));
        assert_eq!(merged, Merged { manifest: manifest(&["!b 2"]), conflicts: vec![] }, "the base tells kinds");
    }

    #[test]
    fn settings_and_unknown_keys_merge_by_key() {
        let mut base = manifest(&[]);
        base.region = Some("1".into());
        base.unknown.extend([("gone".to_owned(), 1.into()), ("later".to_owned(), 1.into())]);
        let (mut ours, mut theirs) = (base.clone(), base.clone());
        ours.bucket_name = "ours".into();
        ours.compression = Some("gzip".into());
        ours.region = None;
        ours.unknown.insert("later".into(), 2.into());
        theirs.bucket_name = "theirs".into();
        theirs.repo_prefix = "q".into();
        theirs.region = Some("2".into());
        theirs.kms_key_id = Some("k".into());
        theirs.project = false;
        theirs.format = Some(2);
        theirs.unknown.insert("later".into(), 3.into());
        theirs.unknown.insert("new".into(), 1.into());
        theirs.unknown.remove("gone");
        let merged = merge(Some(&base), &ours, &theirs);
        assert_eq!(conflicts(&merged), ["bucket_name", "later", "region"], "both sides changed these");
        let mut expected = ours.clone();
        expected.repo_prefix = "q".into();
        expected.kms_key_id = Some("k".into());
        expected.project = false;
        expected.format = Some(2);
        expected.unknown.insert("new".into(), 1.into());
        expected.unknown.remove("gone");
        assert_eq!(merged.manifest, expected, "a conflict keeps ours; everything else is taken from who changed it");

        assert_eq!(conflicts(&merge(None, &ours, &base)), ["bucket_name", "later"], "without a base, values clash");
        assert!(merged.conflicts[0].to_string().contains("`bucket_name`"), "a conflict names its key");
    }

    #[test]
    fn laws_of_a_three_way_merge() {
        let mut random = Random(7);
        for _ in 0..5000 {
            let [base, ours, theirs] = [0; 3].map(|_| random_manifest(&mut random));
            if base.manifest_only.is_some() && ours.manifest_only.is_some() {
                let clean = Merged { manifest: ours.clone(), conflicts: vec![] };
                // `format` never goes back.
                let base = Manifest { format: None, ..base.clone() };
                assert_eq!(merge(Some(&base), &ours, &base), clean, "theirs did nothing");
                assert_eq!(merge(Some(&base), &base, &ours), clean, "ours did nothing");
                assert_eq!(merge(Some(&base), &ours, &ours), clean, "both did the same");
            }
            let merged = merge(Some(&base), &ours, &theirs);
            let mirrored = merge(Some(&base), &theirs, &ours);
            assert_eq!(conflicts(&merged), conflicts(&mirrored), "what conflicts does not depend on the side");
            for (side, other) in [(&ours, &theirs), (&theirs, &ours)] {
                for path in side.files.keys().filter(|path| side.is_manifest_only(path)) {
                    let unchanged = base.files.get(path) == side.files.get(path);
                    let lost = !merged.manifest.files.contains_key(path);
                    assert!(!lost || unchanged && !other.files.contains_key(path), "{path} was lost");
                }
            }
        }
    }
}
