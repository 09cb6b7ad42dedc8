//! The store on real Redis servers: the contract of every backend, and what is Redis's own.
#![cfg(test)]

mod real_servers;
