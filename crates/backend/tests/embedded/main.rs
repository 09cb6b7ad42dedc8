//! The embedded store as whole processes see it: what survives, who owns a folder, how guests reach it. What every
//! backend does is in the conformance suite.
#![cfg(test)]

mod broker;
mod folder;
mod guests;
mod notices;
mod rate;
mod retention;
mod rig;
