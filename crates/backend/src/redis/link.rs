//! One connection, made anew when it is lost.

use std::time::Duration;

use longshore_core::port::Error;
use longshore_core::random::{Random as _, SystemRandom, unit_f64};
use longshore_core::telemetry::{Event, Telemetry};
use parking_lot::Mutex;
use redis::aio::ConnectionLike as _;
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Arg, Cmd, Pipeline, RedisResult, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::call::Call;
use super::fault::{Fault, asked_by, ends_connection, of_command, refused, unknown};
use super::target::{Conn, Pipe, Target};

/// First and longest pause after a dial that failed, before jitter.
const REDIAL_FIRST: Duration = Duration::from_millis(200);
const REDIAL_MAX: Duration = Duration::from_secs(2);

/// A connection to Redis that is opened when it is needed. All callers share it.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    timeout: Duration,
    /// Which of the process's connections this is.
    name: &'static str,
    telemetry: Telemetry,
    /// Where the connections' tasks run.
    runtime: Handle,
    state: Mutex<State>,
    /// Held by the one who dials.
    dialling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    conn: Option<Conn>,
    /// The last dial, when it failed.
    failed: Option<Failed>,
    closed: bool,
}

/// A dial that failed: until the time is over, others fail with it and do not dial.
struct Failed {
    error: Error,
    until: Instant,
    /// How many failed one after the other.
    times: u32,
}

impl Failed {
    fn now(error: Error, before: u32) -> Self {
        let pause = REDIAL_FIRST.saturating_mul(1 << before.min(8)).min(REDIAL_MAX);
        // Processes that lost the server together do not come back together.
        let spread = 0.5 + unit_f64(SystemRandom.next_u64()) / 2.0;
        Self {
            error,
            until: Instant::now() + pause.mul_f64(spread),
            times: before.saturating_add(1),
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("connected", &self.conn.is_some())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(target: Target, timeout: Duration, name: &'static str, telemetry: &Telemetry) -> Self {
        Self {
            target,
            timeout,
            name,
            telemetry: telemetry.clone(),
            runtime: Handle::current(),
            state: Mutex::default(),
            dialling: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.target.is_cluster()
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.conn = None;
    }

    /// Runs a script; a server that does not know it gets its text.
    pub(super) async fn run(&self, call: &Call) -> Result<Value, Error> {
        self.observed(call.operation(), async {
            let answer = match self.send(call.by_name(), None).await {
                Err(Fault::NoScript) => self.send(&call.by_text(), None).await,
                other => other,
            };
            Ok(answer.map_err(|fault| {
                let asked = || format!("{} on {}", call.operation(), call.key());
                asked_by(fault, self.target.user(), asked)
            })?)
        })
        .await
    }

    /// Sends a command to where its key is.
    pub(super) async fn command(&self, cmd: &Cmd) -> Result<Value, Error> {
        self.observed("command", async {
            let answer = self.send(cmd, None).await;
            Ok(answer.map_err(|fault| asked_by(fault, self.target.user(), || shown(cmd)))?)
        })
        .await
    }

    /// Tells whoever observes how long a call took.
    pub(super) async fn observed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if !self.telemetry.is_on() {
            return call.await;
        }
        let began = Instant::now();
        let answer = call.await;
        self.telemetry.observe(&Event::Called {
            server: "redis",
            operation,
            took: began.elapsed(),
            ok: answer.is_ok(),
        });
        answer
    }

    fn tell_connected(&self, connected: bool) {
        self.telemetry.observe(&Event::Connection {
            server: "redis",
            connection: self.name,
            connected,
        });
    }

    /// Sends a command to every master; answers one value a master.
    pub(super) async fn command_all(&self, cmd: &Cmd) -> Result<Vec<Value>, Error> {
        if !self.is_cluster() {
            return Ok(vec![self.command(cmd).await?]);
        }
        let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        match self.send(cmd, Some(everywhere)).await? {
            Value::Map(answers) => Ok(answers.into_iter().map(|(_, answer)| answer).collect()),
            Value::Array(answers) => Ok(answers.into_iter().map(without_address).collect()),
            other => Ok(vec![other]),
        }
    }

    /// Sends commands over one socket, to where the key is; answers one value a command, errors among them.
    pub(super) async fn pipeline(
        &self,
        pipeline: Pipeline,
        count: usize,
        key: &str,
    ) -> Result<Vec<Value>, Fault> {
        let conn = self.connected().await.map_err(Fault::Port)?;
        let sending = query_all(conn.pipe.clone(), pipeline, count, key);
        self.answered(&conn, sending).await
    }

    async fn send(&self, cmd: &Cmd, route: Option<RoutingInfo>) -> Result<Value, Fault> {
        let conn = self.connected().await.map_err(Fault::Port)?;
        self.answered(&conn, query(conn.pipe.clone(), cmd, route)).await
    }

    async fn answered<T>(
        &self,
        conn: &Conn,
        sending: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Fault> {
        // The connection has its own time-out; this one is for what waits before it.
        match tokio::time::timeout(self.timeout.saturating_mul(3), sending).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if ends_connection(&error) {
                    self.drop_connection(conn);
                }
                Err(of_command(&error, self.target.hosts()))
            }
            Err(_) => {
                self.drop_connection(conn);
                Err(Fault::Port(unknown()))
            }
        }
    }

    /// What one answer of a pipeline means.
    pub(super) fn judge(&self, answer: RedisResult<Value>, key: &str) -> Result<Value, Fault> {
        answer.map_err(|error| {
            let fault = of_command(&error, self.target.hosts());
            asked_by(fault, self.target.user(), || format!("a script on {key}"))
        })
    }

    /// A cluster's connection mends itself; another one is made anew.
    fn drop_connection(&self, conn: &Conn) {
        let mut state = self.state.lock();
        if !self.is_cluster() && state.conn.as_ref().is_some_and(|current| current.is(conn)) {
            state.conn = None;
            self.tell_connected(false);
        }
    }

    fn current(&self) -> Result<Option<Conn>, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.conn.as_ref().is_some_and(Conn::is_broken) {
            state.conn = None;
            self.tell_connected(false);
        }
        match (&state.conn, &state.failed) {
            // Whoever waited while somebody else failed fails with them, as does whoever comes right after.
            (None, Some(failed)) if Instant::now() < failed.until => Err(failed.error.clone()),
            (conn, _) => Ok(conn.clone()),
        }
    }

    async fn connected(&self) -> Result<Conn, Error> {
        if let Some(conn) = self.current()? {
            return Ok(conn);
        }
        let _turn = self.dialling.lock().await;
        if let Some(conn) = self.current()? {
            return Ok(conn);
        }
        let target = self.target.clone();
        let dialled = self.runtime.spawn(async move { target.dial().await }).await;
        match dialled.unwrap_or(Err(Error::Closed)) {
            Ok(conn) => {
                let mut state = self.state.lock();
                if state.closed {
                    return Err(Error::Closed);
                }
                state.conn = Some(conn.clone());
                state.failed = None;
                self.tell_connected(true);
                Ok(conn)
            }
            Err(error) => {
                let mut state = self.state.lock();
                let before = state.failed.as_ref().map_or(0, |failed| failed.times);
                state.failed = Some(Failed::now(error.clone(), before));
                Err(error)
            }
        }
    }
}

/// A command and its first argument, which is a key or a word: never a value.
fn shown(cmd: &Cmd) -> String {
    let words = cmd.args_iter().take(2).filter_map(|arg| match arg {
        Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn query(mut pipe: Pipe, cmd: &Cmd, route: Option<RoutingInfo>) -> RedisResult<Value> {
    let value = match (&mut pipe, route) {
        (Pipe::One(connection), _) => connection.req_packed_command(cmd).await?,
        (Pipe::Cluster(connection), None) => connection.req_packed_command(cmd).await?,
        (Pipe::Cluster(connection), Some(route)) => connection.route_command(cmd.clone(), route).await?,
    };
    value.extract_error()
}

async fn query_all(mut pipe: Pipe, pipeline: Pipeline, count: usize, key: &str) -> RedisResult<Vec<Value>> {
    match &mut pipe {
        Pipe::One(connection) => connection.req_packed_commands(&pipeline, 0, count).await,
        Pipe::Cluster(connection) => {
            let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
            connection.route_pipeline(pipeline, 0, count, route).await
        }
    }
}

/// Some answers of many nodes come as pairs of address and answer.
fn without_address(answer: Value) -> Value {
    match answer {
        Value::Array(mut pair) if pair.len() == 2 => pair.pop().unwrap_or_default(),
        other => other,
    }
}

/// A command whose answer must be text.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    redis::from_redis_value_ref(value).map_err(|_| refused("it answered something that is no text"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::Config;
    use super::*;
    use crate::secret::SecretUrl;

    /// Something that hangs up on everybody, and counts them.
    async fn nobody() -> (String, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let callers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&callers);
        drop(tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }));
        (url, callers)
    }

    #[tokio::test]
    async fn after_a_dial_that_failed_nobody_dials_for_a_while() {
        let (url, callers) = nobody().await;
        let config = Config::new(SecretUrl::parse(&url).unwrap());
        let link = Link::new(
            Target::new(&config).unwrap(),
            config.response_timeout,
            "calls",
            &config.telemetry,
        );
        let ping = redis::cmd("PING");
        for _ in 0..2_000 {
            let error = link.command(&ping).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        }
        let dialled = callers.load(Ordering::SeqCst);
        assert!((1..20).contains(&dialled), "{dialled} dials for 2,000 commands");
    }

    #[test]
    fn the_pause_grows_and_is_bounded() {
        let began = Instant::now();
        for (before, least, most) in [(0, 100, 200), (1, 200, 400), (40, 1_000, 2_000)] {
            let failed = Failed::now(Error::Closed, before);
            let pause = failed.until - began;
            // Some milliseconds for the machine.
            assert!(
                (least..=most + 50).contains(&pause.as_millis()),
                "{before}: {pause:?}"
            );
        }
    }
}
