//! How far the reading of one file is, for which Git waits: it says neither how long the file is, nor that it waits.
//!
//! Apart from what is counted or measured, because it comes in the midst of Git's own work: a bar on a terminal after a
//! while, and never a line.

use std::cell::RefCell;

use bstr::{BStr, BString};

use super::{Far, Form, PATIENCE_READING, Shown};
use crate::repo_path::Printable;

/// One file after another.
#[derive(Default)]
pub struct Reading(RefCell<Option<(BString, Shown)>>);

impl Reading {
    /// So much of the file was read by now; `None`: all of it.
    pub fn so_far(&self, path: &BStr, bytes: Option<u64>) {
        let mut current = self.0.borrow_mut();
        let Some(bytes) = bytes else {
            *current = None;
            return;
        };
        let (_, shown) = match &mut *current {
            Some(file) if file.0 == path => file,
            _ => current.insert((path.to_owned(), begin(path))),
        };
        shown.update(Far { bytes, ..Far::default() });
    }
}

fn begin(path: &BStr) -> Shown {
    let mut shown = Shown::new(format!("Hashing {}", Printable(path)));
    shown.patience = PATIENCE_READING;
    // A pager has the screen (git(1), "GIT_PAGER_IN_USE").
    let is_paged = std::env::var_os("GIT_PAGER_IN_USE").is_some();
    if is_paged || matches!(shown.form, Form::Lines(..)) {
        shown.form = Form::Nothing;
    }
    shown
}
