//! The tree keeps its own rules: crate arrows, the walls around the servers' clients, file sizes, and words that do not
//! belong here.
#![cfg(test)]

mod arrows;
mod states;
mod tree;
