//! The worker on a real store: the embedded one, which keeps the same promises as RabbitMQ and Redis.
#![cfg(test)]

mod cut;
mod faults;
mod outage;
mod rig;
mod rules;
mod run;
mod stop;
