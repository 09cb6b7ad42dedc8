//! The whole system on real servers, in one process: producers, schedulers and workers with connections of their own,
//! and servers that fail under them.
#![cfg(test)]

mod gateway;
mod least_privilege;
mod long_life;
mod outages;
mod pause;
mod paused;
mod priority;
mod rig;
mod tls;
mod why;
