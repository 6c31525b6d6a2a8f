//! s3lfs: large files out of Git, straight into the user's own S3 bucket, with no server in between.
//!
//! A [`mod@pointer`] in Git names content by its [`oid`] and size, and is the only truth in history.
//! Content lives in a local cache and in a store, under a key derived from the oid alone. *Clean*
//! turns content into a pointer and never touches the network; *smudge* turns a pointer into
//! content, from the cache, else from the store. The [`manifest`] is committed, says where the store
//! is, and projects the pointers of Git's index. One transfer engine serves the filter, the commands
//! and the hooks.
#![deny(missing_docs)]

pub mod attributes;
pub mod believed;
pub mod buffer;
pub mod cache;
pub mod cli;
pub mod config;
pub mod deferred;
pub mod error;
pub mod filter;
pub mod fs;
pub mod git;
pub mod hooks;
pub mod manifest;
pub mod names;
pub mod oid;
pub mod pointer;
pub mod python_traces;
pub mod remote;
pub mod repo_path;
pub mod shell_word;
pub mod sparse;
pub mod store;
pub mod transfer;
pub mod uploaded;
pub mod vouched;
pub mod worktree;
pub mod written;
