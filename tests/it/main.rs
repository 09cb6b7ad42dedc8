//! The whole system on real servers, in one process: producers, schedulers and workers with connections of their own,
//! and servers that fail under them.
#![cfg(test)]

mod children;
mod gateway;
mod hog;
mod least_privilege;
mod long_life;
mod makespan;
mod outages;
mod panics;
mod pause;
mod paused;
mod priority;
mod races;
mod rig;
mod tls;
mod upgrade;
mod why;
