//! `cleanup`: what it must never delete, and that it does delete the rest (design.md, section 6).

mod age;
pub mod bench;
mod leftovers;
mod prompt;
mod property;
mod refusals;
mod roots;
mod rules;
mod scale;
mod service;
mod shapes;
mod sight;
mod terminal;
pub mod time;
mod worktrees;
