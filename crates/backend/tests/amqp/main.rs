//! RabbitMQ, a real one, as the broker module sees it: confirms, returns, acknowledgements, outages, wrong URLs. What
//! every backend does is in the conformance suite.
#![cfg(test)]

mod rig;

/// The name puts them into the group of tests that share the processor with servers.
mod real_servers {
    mod connecting;
    mod consuming;
    mod outages;
    mod publishing;
    mod rate;
    mod sick_queues;
}
