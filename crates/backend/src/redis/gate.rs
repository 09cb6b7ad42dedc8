//! The start-up gate: is this Redis fit to keep jobs?

use std::collections::HashMap;

use longshore_core::port::Error;
use redis::Value;

use super::link::{self, Link};
use super::{Config, ConnectError};

/// The oldest version with the script flags that we need.
const VERSION_MIN: u64 = 7;

/// Something that makes a Redis unfit, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {fix}")]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// The command, or the step, that mends it.
    pub fix: String,
    /// Nothing can be stored at all: a degraded start is no way out.
    pub fatal: bool,
}

impl Finding {
    fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            fix: fix.into(),
            fatal: false,
        }
    }

    fn fatal(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            fatal: true,
            ..Self::new(problem, fix)
        }
    }
}

/// The findings, one a line.
pub(super) fn lines(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    format!("\n- {}", lines.join("\n- "))
}

/// The answer to `INFO`.
pub(super) struct Info(HashMap<String, String>);

impl Info {
    pub(super) fn parse(value: &Value) -> Self {
        let text = link::text(value).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }
}

/// Checks every master at once. Answers what a degraded start has accepted.
pub(super) async fn check(link: &Link, config: &Config) -> Result<Vec<Finding>, ConnectError> {
    let findings = findings(link, config).await?;
    if findings.is_empty() {
        return Ok(findings);
    }
    if config.allow_degraded && !findings.iter().any(|finding| finding.fatal) {
        for finding in &findings {
            tracing::warn!(redis = %config.url, "DEGRADED: jobs may be lost: {finding}");
        }
        return Ok(findings);
    }
    Err(ConnectError::Unsafe {
        url: config.url.clone(),
        findings,
    })
}

/// What makes a master unfit, of every master at once.
pub(super) async fn findings(link: &Link, config: &Config) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    match link.command_all(&redis::cmd("INFO")).await {
        Ok(nodes) => nodes.iter().for_each(|node| {
            let info = Info::parse(node);
            judge(&info, &mut findings);
            judge_replicas(&info, config, &mut findings);
        }),
        Err(error) => unchecked(
            error,
            "INFO",
            "the version, the role, eviction and the append-only file",
        )?,
    }
    if config.strict {
        let mut fsync = redis::cmd("CONFIG");
        fsync.arg("GET").arg("appendfsync");
        match link.command_all(&fsync).await {
            Ok(nodes) => nodes.iter().for_each(|node| judge_fsync(node, &mut findings)),
            Err(error) => unchecked(error, "CONFIG GET", "appendfsync, which strict durability needs")?,
        }
    }
    findings.dedup();
    Ok(findings)
}

/// A user who may not ask is told what could not be checked; everything else is an error.
fn unchecked(error: Error, command: &str, what: &str) -> Result<(), Error> {
    match error {
        Error::Forbidden { .. } => {}
        Error::Refused { reason, .. } if reason.contains("unknown command") => {}
        other => return Err(other),
    }
    tracing::warn!("the Redis user may not run {command}, so these could not be checked: {what}");
    Ok(())
}

fn judge(info: &Info, findings: &mut Vec<Finding>) {
    let version = info.get("redis_version");
    let major: u64 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    if major < VERSION_MIN {
        findings.push(Finding::fatal(
            format!("Redis {version} is too old"),
            format!("install Redis {VERSION_MIN}.0 or newer"),
        ));
    }
    let role = info.get("role");
    if role != "master" {
        findings.push(Finding::fatal(
            format!("its role is \"{role}\", not master"),
            "connect to the master, or through redis-sentinel://".to_owned(),
        ));
    }
    let policy = info.get("maxmemory_policy");
    if policy != "noeviction" {
        findings.push(Finding::new(
            format!("maxmemory-policy is \"{policy}\": under memory pressure Redis deletes jobs"),
            "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
        ));
    }
    if info.get("aof_enabled") != "1" {
        findings.push(Finding::new(
            "appendonly is off: a restart of Redis loses jobs",
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        ));
    } else if info.get("aof_last_write_status") != "ok" {
        findings.push(Finding::new(
            "the last write of the append-only file failed",
            "make room on the disk of Redis, then see redis-cli INFO persistence",
        ));
    }
}

fn judge_replicas(info: &Info, config: &Config, findings: &mut Vec<Finding>) {
    let connected = info.number("connected_slaves");
    if config.strict && connected < u64::from(config.replicas) {
        findings.push(Finding::new(
            format!(
                "{connected} replicas are connected, and strict durability is to wait for {}",
                config.replicas
            ),
            "connect the replicas (redis-cli REPLICAOF on each), or set redis_replicas to those there are",
        ));
    }
}

fn judge_fsync(node: &Value, findings: &mut Vec<Finding>) {
    let set: HashMap<String, String> = redis::from_redis_value_ref(node).unwrap_or_default();
    let fsync = set.get("appendfsync").map_or("", String::as_str);
    if fsync != "always" {
        findings.push(Finding::new(
            format!("appendfsync is \"{fsync}\", and strict durability needs \"always\""),
            "redis-cli CONFIG SET appendfsync always, and the same in redis.conf",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        judge(&Info::parse(&Value::BulkString(text.into())), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\naof_last_write_status:ok\r\n";

    #[test]
    fn a_fit_redis_has_no_findings() {
        assert_eq!(judged(GOOD), Vec::<String>::new());
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_its_command() {
        let findings =
            judged("redis_version:6.2.1\r\nrole:slave\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n");
        assert_eq!(findings.len(), 4, "{findings:#?}");
        assert!(
            findings
                .iter()
                .any(|text| text.contains("CONFIG SET maxmemory-policy noeviction"))
        );
        assert!(
            findings
                .iter()
                .any(|text| text.contains("CONFIG SET appendonly yes"))
        );
    }
}
