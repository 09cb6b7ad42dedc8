//! A look at the server itself.

use std::collections::HashMap;

use longshore_core::clock::{Clock as _, SystemClock, Timestamp};
use longshore_core::port::Error;
use redis::Value;
use tokio::time::{Duration, Instant};

use super::super::gate::{self, Info};
use super::super::link::Link;
use super::super::reply::Reader;
use super::super::{Config, target};
use crate::checkup::{Finding, ServerReport, Severity};

/// Round trips of which the median is told.
const PINGS: usize = 5;
/// A round trip that is slower than this holds every job up.
const SLOW: Duration = Duration::from_millis(50);
/// Memory in use, in percent of `maxmemory`, from which on it is told.
const FULL_PERCENT: u64 = 85;
/// Clients, in percent of `maxclients`, from which on it is told.
const CLIENTS_PERCENT: u64 = 85;
/// Clocks that differ by more than this are told.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// Looks at every master.
pub(crate) async fn examine(config: &Config) -> ServerReport {
    let mut report = ServerReport::new("Redis", &config.url);
    let target = match target::Target::new(config) {
        Ok(target) => target,
        Err(error) => {
            unreachable(&mut report, &error.to_string());
            return report;
        }
    };
    let link = Link::new(target, config.response_timeout, "checkup", &config.telemetry);
    match look(&link, config, &mut report).await {
        Ok(()) => {}
        Err(error @ Error::Forbidden { .. }) => report.find(
            Severity::Warning,
            error.to_string(),
            "what this user may not ask was not looked at; it says nothing of the server",
            "give the user what deploy/redis/commands.txt lists, or look as another one",
        ),
        Err(error) => unreachable(&mut report, &error.to_string()),
    }
    link.close();
    report
}

fn unreachable(report: &mut ServerReport, problem: &str) {
    report.find(
        Severity::Error,
        problem.to_owned(),
        "records and leases are kept here: nothing can be enqueued, started or finished",
        "start Redis, or correct redis_url",
    );
}

async fn look(link: &Link, config: &Config, report: &mut ServerReport) -> Result<(), Error> {
    let mut trips = Vec::new();
    for _ in 0..PINGS {
        let start = Instant::now();
        link.command(&redis::cmd("PING")).await?;
        trips.push(start.elapsed());
    }
    trips.sort_unstable();
    report.latency = trips.get(PINGS / 2).copied();
    if report.latency.is_some_and(|latency| latency > SLOW) {
        report.find(
            Severity::Warning,
            format!("a round trip takes {} ms", trips.get(PINGS / 2).map_or(0, Duration::as_millis)),
            "every start and every end of a job takes one",
            "bring workers and Redis closer together, or look for what keeps Redis busy (redis-cli SLOWLOG GET)",
        );
    }
    for finding in gate::findings(link, config).await? {
        report.findings.push(Finding::new(
            Severity::Error,
            "Redis",
            finding.problem,
            "a Redis that is set up so may lose jobs, and services refuse to start on it",
            finding.fix,
        ));
    }
    // A user who may not ask was told so by the gate.
    for node in link.command_all(&redis::cmd("INFO")).await.unwrap_or_default() {
        judge(&Info::parse(&node), report);
    }
    judge_fsync(link, report).await;
    judge_clock(link, report).await
}

fn judge(info: &Info, report: &mut ServerReport) {
    report.version = Some(info.get("redis_version").to_owned()).filter(|version| !version.is_empty());
    let evicted = info.number("evicted_keys");
    if evicted > 0 {
        report.find(
            Severity::Error,
            format!("{evicted} keys were evicted since it started"),
            "evicted keys may have been jobs",
            "redis-cli CONFIG SET maxmemory-policy noeviction, then run `longshore doctor` again for what is missing",
        );
    }
    let (used, most) = (info.number("used_memory"), info.number("maxmemory"));
    if most > 0 && used.saturating_mul(100) / most >= FULL_PERCENT {
        report.find(
            Severity::Warning,
            format!("{used} of {most} bytes of maxmemory are in use"),
            "when it is full, new jobs are refused until others are deleted",
            "raise maxmemory, shorten the retention, or run `longshore job cleanup`",
        );
    }
    let (clients, most) = (info.number("connected_clients"), info.number("maxclients"));
    if most > 0 && clients.saturating_mul(100) / most >= CLIENTS_PERCENT {
        report.find(
            Severity::Warning,
            format!("{clients} of {most} clients are connected"),
            "further workers cannot connect",
            "raise maxclients, or look for who leaves connections open (redis-cli CLIENT LIST)",
        );
    }
    let rewrite = info.get("aof_last_bgrewrite_status");
    if !rewrite.is_empty() && rewrite != "ok" {
        report.find(
            Severity::Warning,
            "the last rewrite of the append-only file failed".to_owned(),
            "the file grows, and a restart takes longer each day",
            "make room on the disk of Redis and look into its log",
        );
    }
}

async fn judge_fsync(link: &Link, report: &mut ServerReport) {
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET").arg("appendfsync");
    let nodes = link.command_all(&ask).await.unwrap_or_default();
    let never = |node: &Value| {
        let set: HashMap<String, String> = redis::from_redis_value_ref(node).unwrap_or_default();
        set.get("appendfsync").is_some_and(|fsync| fsync == "no")
    };
    if nodes.iter().any(never) {
        report.find(
            Severity::Warning,
            "appendfsync is \"no\"".to_owned(),
            "power loss costs what the system had not written yet, half a minute or so",
            "redis-cli CONFIG SET appendfsync everysec, and the same in redis.conf",
        );
    }
}

async fn judge_clock(link: &Link, report: &mut ServerReport) -> Result<(), Error> {
    let mut time = Reader::new(link.command(&redis::cmd("TIME")).await?)?;
    let there = Timestamp(time.number()?.saturating_mul(1_000));
    let here = SystemClock.now();
    let apart = here.since(there).max(there.since(here));
    if apart > CLOCKS_APART {
        report.find(
            Severity::Warning,
            format!("its clock and this machine's are {} s apart", apart.as_secs()),
            "times that producers give (--at, deadlines) come early or late by as much",
            "let both machines follow the same time server",
        );
    }
    Ok(())
}
