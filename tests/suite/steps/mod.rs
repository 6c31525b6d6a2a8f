//! A failure at every step: s3lfs is killed, or gets an error, before each call that changes something on the disk.
//!
//! Apart because nothing here knows what a command does: a scenario is a line that somebody types and what it leads
//! to, and the steps are counted. Some of them are taken; with `S3LFS_TEST_FULL=1` three times as many, and
//! all of a short scenario; with `S3LFS_TEST_STEPS=each` every one (`all`: with each error of a disk at it).
//! `S3LFS_TEST_SHOW=1` shows the steps, and what is said. Needs Linux on x86-64, python3 and leave to trace one's own
//! children; elsewhere it is left out, and says so.

mod adding;
mod bench;
mod deleting;
mod filling;
mod injected;
mod judge;
mod migrating;
mod recording;
mod setting_up;
mod sharing;
mod synced;
mod tracking;
