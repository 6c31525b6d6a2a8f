//! `cleanup`: what it must never delete, and that it does delete the rest (design.md, section 6).

mod age;
mod bench;
mod refusals;
mod roots;
mod sight;
mod time;
