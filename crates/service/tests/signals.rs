//! Signals, sent to this very process. One test alone in its process: signals are global.

#![cfg(test)]

use std::time::Duration;

use longshore_service::signals;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_first_signal_stops_gently_and_the_second_at_once() {
    let stop = signals::listen().unwrap();
    kill(Pid::this(), Signal::SIGHUP).unwrap();
    kill(Pid::this(), Signal::SIGTERM).unwrap();
    timeout(SOON, stop.gentle.cancelled())
        .await
        .expect("the first signal is heard");
    assert!(!stop.force.is_cancelled());
    kill(Pid::this(), Signal::SIGINT).unwrap();
    timeout(SOON, stop.force.cancelled())
        .await
        .expect("the second signal is heard");
}
