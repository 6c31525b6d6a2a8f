//! Time that passes in a test: everything that carries a time becomes older.
//!
//! Apart because cleanup judges by five clocks at once: when an object was written, when it was marked,
//! when a clone last proved it, when a remote-tracking ref last moved, and when it last fetched anything. A test that forgets one of
//! them tests another world.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many days pass for the store `store` of this world, and for every repository in it.
pub fn days_pass(world: &World, days: u32) {
    store_ages(&world.path("store"), DAY * days);
    clones_age(world, DAY * days);
}

/// Objects, and the marks on them.
pub fn store_ages(store: &Path, by: Duration) {
    for path in files(store) {
        if path.parent().is_some_and(|dir| dir.ends_with("cleanup")) && path.extension().is_some_and(|x| x == "json") {
            marks_age(&path, by);
        }
        let file = fs::File::open(&path).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - by).unwrap();
    }
}

/// Marks are `"<oid>": "<RFC 3339>"`.
fn marks_age(path: &Path, by: Duration) {
    let mut marks: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let times = marks["unreachable"].as_object_mut().expect("marks by oid");
    for time in times.values_mut() {
        let then = DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap().with_timezone(&Utc) - by;
        *time = then.to_rfc3339_opts(SecondsFormat::Millis, true).into();
    }
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, serde_json::to_vec(&marks).unwrap()).unwrap();
    fs::File::open(path).unwrap().set_modified(modified).unwrap();
}

/// What every clone remembers.
pub fn clones_age(world: &World, by: Duration) {
    for entry in fs::read_dir(world.path("")).unwrap() {
        let git_dir = entry.unwrap().path().join(".git");
        if git_dir.is_dir() {
            files(&git_dir.join("s3lfs/uploaded")).iter().for_each(|record| record_ages(record, by));
            files(&git_dir.join("logs/refs/remotes")).iter().for_each(|log| reflog_ages(log, by));
            if let Ok(fetched) = fs::File::options().append(true).open(git_dir.join("FETCH_HEAD")) {
                fetched.set_modified(fetched.metadata().unwrap().modified().unwrap() - by).unwrap();
            }
        }
    }
}

/// 40 bytes each: an oid, and big-endian seconds.
fn record_ages(path: &Path, by: Duration) {
    let mut bytes = fs::read(path).unwrap();
    for record in bytes.chunks_exact_mut(40) {
        let time = u64::from_be_bytes(record[32..].try_into().unwrap()).saturating_sub(by.as_secs());
        record[32..].copy_from_slice(&time.to_be_bytes());
    }
    fs::write(path, bytes).unwrap();
}

/// `<old> <new> <name> <mail> <seconds> <zone>\t<message>`.
fn reflog_ages(path: &Path, by: Duration) {
    let mut log = String::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let (who, message) = line.split_once('\t').unwrap_or((line, ""));
        let mut fields: Vec<String> = who.split(' ').map(str::to_owned).collect();
        let at = fields.len() - 2;
        fields[at] = (fields[at].parse::<u64>().unwrap() - by.as_secs()).to_string();
        log.push_str(&format!("{}\t{message}\n", fields.join(" ")));
    }
    fs::write(path, log).unwrap();
}

/// Every file beneath a directory, which need not be there.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}
