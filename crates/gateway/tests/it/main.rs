//! The gateway as programs, browsers and attackers meet it: a real listener, on the embedded store.
#![cfg(test)]

mod api;
mod attacks;
mod auth;
mod document;
mod events;
mod hidden;
mod limits;
mod log;
mod oidc;
mod operators;
mod purge;
mod rawhttp;
mod replicas;
mod rig;
mod traces;
mod watch;
