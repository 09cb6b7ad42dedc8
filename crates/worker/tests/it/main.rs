//! The worker on a real store: the embedded one, which keeps the same promises as RabbitMQ and Redis.
#![cfg(test)]

mod ahead;
mod cut;
mod elsewhere;
mod faults;
mod lost;
mod outage;
mod rig;
mod rules;
mod run;
mod stop;
