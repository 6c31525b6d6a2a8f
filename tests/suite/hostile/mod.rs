//! A repository from a stranger: nothing in it leads out of the worktree, exhausts this machine, chooses where bytes
//! and signed requests go, or speaks to the terminal (design.md, invariant 6).

mod swapped;
