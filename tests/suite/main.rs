//! suite

mod restore;
