//! The tree keeps its own rules: crate arrows, the walls around the servers' clients, licences, file sizes and module
//! names.
#![cfg(test)]

mod arrows;
mod chart;
mod faults;
mod guide;
mod servers;
mod states;
mod supply;
mod tree;
