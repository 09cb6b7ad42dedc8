//! Writes that are acknowledged only when replicas have them.

use std::time::Duration;

use longshore_core::clock::duration_millis;
use longshore_core::port::Error;
use redis::{Pipeline, Value};

use super::call::Call;
use super::fault::{Fault, unknown};
use super::link::Link;

/// How long a write waits for its replicas.
const REPLICA_WAIT: Duration = Duration::from_secs(2);

/// A write of its own, because a script that found its work done writes nothing, and `WAIT` waits only for what its
/// connection has written: a repeated call would be acknowledged unreplicated.
const TOUCH: &str = "#!lua flags=allow-oom\nreturn redis.call('INCR', KEYS[1])";

/// A connection of its own, so that whoever waits for a replica holds nobody else up, and that script and wait go
/// over the same socket.
#[derive(Debug)]
pub(super) struct Strict {
    link: Link,
    replicas: u16,
    wait: Duration,
}

impl Strict {
    pub(super) fn new(link: Link, replicas: u16, response_timeout: Duration) -> Self {
        Self {
            link,
            replicas,
            wait: REPLICA_WAIT.min(response_timeout / 2),
        }
    }

    pub(super) fn close(&self) {
        self.link.close();
    }

    /// Runs a script and waits until as many replicas as are configured have what it wrote; with fewer the outcome is
    /// unknown: it is written here, and may be lost with this server.
    pub(super) async fn run(&self, call: &Call) -> Result<Value, Error> {
        let running = async {
            match self.send(call, call.by_name().clone()).await {
                Err(Fault::NoScript) => Ok(self.send(call, call.by_text()).await?),
                other => Ok(other?),
            }
        };
        self.link.observed(call.operation(), running).await
    }

    async fn send(&self, call: &Call, cmd: redis::Cmd) -> Result<Value, Fault> {
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.add_command(cmd);
        pipeline.cmd("EVAL").arg(TOUCH).arg(1).arg(beside(call.key()));
        pipeline
            .cmd("WAIT")
            .arg(self.replicas)
            .arg(duration_millis(self.wait));
        let mut answers = self.link.pipeline(pipeline, 3, call.key()).await?.into_iter();
        let (Some(answer), _, Some(waited)) = (answers.next(), answers.next(), answers.next()) else {
            return Err(Fault::Port(unknown()));
        };
        let answer = self.link.judge(answer.extract_error(), call.key())?;
        match waited {
            Value::Int(replicas) if replicas >= i64::from(self.replicas) => Ok(answer),
            _ => {
                tracing::warn!(asked = self.replicas, answer = ?waited, "too few replicas have a strict write");
                Err(Fault::Port(unknown()))
            }
        }
    }
}

/// A key in the slot of another one.
fn beside(key: &str) -> String {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or(key, |(tag, _)| tag);
    format!("{{{tag}}}:wait")
}
