//! Makes the configuration out of its values, and looks at what no value shows alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::shard::Shards;
use longshore_core::{FunctionName, QueueName};

use super::problem::{Origin, Problem};
use super::read::Values;
use super::secret::Secret;
use super::{
    CommandFunction, Config, Durability, Endpoints, HttpFunction, Intervals, Log, LogFormat, Profile,
    Retention, Scheduler, Worker,
};

/// Makes the configuration. `None` when something without a default is missing, which is a problem as well.
pub(super) fn build(mut values: Values, problems: &mut Vec<Problem>) -> Option<Config> {
    let endpoints = endpoints(&mut values, problems);
    let worker = worker(&values, problems);
    check_files(&values, endpoints.as_ref(), problems);
    Some(Config {
        endpoints: endpoints?,
        profile: if values.text("profile") == "classic" {
            Profile::Classic
        } else {
            Profile::Quorum
        },
        shards: values.count("shards").and_then(|count| Shards::new(count).ok()),
        bundle_max: values.count("bundle_max"),
        allow_degraded: values.switch("allow_degraded"),
        durability: if values.text("durability") == "strict" {
            Durability::Strict
        } else {
            Durability::Default
        },
        redis_replicas: values.count("redis_replicas").unwrap_or(0),
        amqp_ca_file: values.path("amqp_ca_file"),
        redis_ca_file: values.path("redis_ca_file"),
        consumer_timeout: time(&values, "consumer_timeout"),
        worker,
        scheduler: scheduler(&values),
        cron: super::cron::entries(&values, problems),
        notify: super::notify::section(&values, problems),
        gateway: super::gateway::build(&values, problems),
        api: super::api::build(&values),
        log: Log {
            format: if values.text("log.format") == "json" {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            level: values.text("log.level"),
        },
        telemetry: super::telemetry::telemetry(&values),
        health: super::telemetry::health(&values, problems),
        values,
    })
}

fn problem(values: &Values, key: &str, message: impl Into<String>) -> Problem {
    Problem {
        key: key.to_owned(),
        origin: values.origin(key),
        message: message.into(),
    }
}

/// Two servers or one folder. What a stronger source says replaces what a weaker one said of the other kind.
fn endpoints(values: &mut Values, problems: &mut Vec<Problem>) -> Option<Endpoints> {
    let layer = |key: &str| values.origin(key).layer();
    let (servers, folder) = (layer("amqp_url").max(layer("redis_url")), layer("embedded"));
    if servers > 0 && servers == folder {
        let message = "cannot be used together with amqp_url and redis_url; keep the servers or the folder";
        problems.push(problem(values, "embedded", message));
        return None;
    }
    if folder >= servers {
        values.0.retain(|key, _| key != "amqp_url" && key != "redis_url");
        return values.path("embedded").map(Endpoints::Embedded);
    }
    values.0.remove("embedded");
    let had_problem = |key: &str| problems.iter().any(|problem| problem.key == key);
    match (values.secret("amqp_url"), values.secret("redis_url")) {
        (Some(amqp), Some(redis)) => Some(Endpoints::Servers { amqp, redis }),
        (amqp, _) => {
            let (missing, given) = if amqp.is_none() {
                ("amqp_url", "redis_url")
            } else {
                ("redis_url", "amqp_url")
            };
            if !had_problem(missing) {
                let message = format!(
                    "is missing, and {given} is set ({}); RabbitMQ and Redis are used together",
                    values.origin(given)
                );
                problems.push(problem(values, missing, message));
            }
            None
        }
    }
}

/// Files that are named must be there, and must be of use.
fn check_files(values: &Values, endpoints: Option<&Endpoints>, problems: &mut Vec<Problem>) {
    let url = |key: &str| match (endpoints, key) {
        (Some(Endpoints::Servers { amqp, .. }), "amqp_url") => Some(amqp.clone()),
        (Some(Endpoints::Servers { redis, .. }), _) => Some(redis.clone()),
        _ => None,
    };
    for (key, of, scheme) in [
        ("amqp_ca_file", "amqp_url", "amqps"),
        ("redis_ca_file", "redis_url", "rediss"),
    ] {
        let Some(path) = values.path(key) else { continue };
        if let Err(error) = std::fs::File::open(&path) {
            problems.push(problem(
                values,
                key,
                format!("{} cannot be read: {error}", path.display()),
            ));
        }
        if url(of).is_some_and(|url: Secret| !url.expose().starts_with(scheme)) {
            let message = format!(
                "has no effect, because {of} does not use TLS; use {scheme}:// there, or leave this key out"
            );
            problems.push(problem(values, key, message));
        }
    }
}

fn worker(values: &Values, problems: &mut Vec<Problem>) -> Worker {
    let drain_deadline = time(values, "worker.drain_deadline");
    let cancel_grace = time(values, "worker.cancel_grace");
    let commands = functions(values, "worker.commands.", problems, |at, problems| {
        required(values, &format!("{at}.program"), problems, Values::path)
            .map(|program| command(values, at, program))
    });
    let http = functions(values, "worker.http.", problems, |at, problems| {
        required(values, &format!("{at}.url"), problems, Values::secret).map(|url| http(values, at, url))
    });
    for name in commands.keys().filter(|name| http.contains_key(*name)) {
        let key = format!("worker.http.{name}");
        let message = format!("worker.commands.{name} names the same function; keep one of them");
        problems.push(Problem {
            key,
            origin: Origin::Default,
            message,
        });
    }
    Worker {
        max_workers: values.count("worker.max_workers").unwrap_or(8),
        job_timeout: time(values, "worker.job_timeout"),
        queues: values
            .list("worker.queues")
            .iter()
            .filter_map(|name| QueueName::new(name).ok())
            .collect(),
        drain_deadline,
        cancel_grace,
        commands,
        http,
    }
}

/// Every function under a prefix that is whole.
fn functions<T>(
    values: &Values,
    prefix: &str,
    problems: &mut Vec<Problem>,
    one: impl Fn(&str, &mut Vec<Problem>) -> Option<T>,
) -> BTreeMap<FunctionName, T> {
    let mut found = BTreeMap::new();
    for (name, origin) in values.names(prefix) {
        let at = format!("{prefix}{name}");
        let function = one(&at, problems);
        match super::read::function(&name) {
            Ok(name) => found.extend(function.map(|function| (name, function))),
            Err(message) => problems.push(Problem {
                key: at,
                origin,
                message,
            }),
        }
    }
    found
}

/// A value that has no default. One that was given and is wrong was told already.
fn required<T>(
    values: &Values,
    key: &str,
    problems: &mut Vec<Problem>,
    get: impl Fn(&Values, &str) -> Option<T>,
) -> Option<T> {
    let value = get(values, key);
    if value.is_none() && !problems.iter().any(|problem| problem.key == key) {
        problems.push(problem(
            values,
            key,
            "is missing; the function cannot run without it",
        ));
    }
    value
}

fn command(values: &Values, at: &str, program: PathBuf) -> CommandFunction {
    CommandFunction {
        program,
        args: values.list(&format!("{at}.args")),
        env: values.table(&format!("{at}.env")),
        cwd: values.path(&format!("{at}.cwd")),
        timeout: values.time(&format!("{at}.timeout")),
    }
}

fn http(values: &Values, at: &str, url: Secret) -> HttpFunction {
    HttpFunction {
        url,
        secret: values.secret(&format!("{at}.secret")),
        timeout: values.time(&format!("{at}.timeout")),
        headers: values.table(&format!("{at}.headers")),
    }
}

fn scheduler(values: &Values) -> Scheduler {
    let kept = |status: &str| time(values, &format!("scheduler.retention.{status}"));
    let every = |daemon: &str| time(values, &format!("scheduler.intervals.{daemon}"));
    Scheduler {
        bundle_max: values.count("scheduler.bundle_max"),
        hold_limit: time(values, "scheduler.hold_limit"),
        audit_rate: values.count("scheduler.audit_rate").unwrap_or(1),
        retention: Retention {
            completed: kept("completed"),
            failed: kept("failed"),
            cancelled: kept("cancelled"),
            expired: kept("expired"),
        },
        intervals: Intervals {
            dispatch_outbox: every("dispatch_outbox"),
            promote_due: every("promote_due"),
            promote_due_idle: every("promote_due_idle"),
            expire_leases: every("expire_leases"),
            expire_waiting: every("expire_waiting"),
            tell_children: every("tell_children"),
            verify_edges: every("verify_edges"),
            audit_published: every("audit_published"),
            keep_dead_letters: every("keep_dead_letters"),
            prune_finished: every("prune_finished"),
            release_parked: every("release_parked"),
            fire_cron: every("fire_cron"),
            apply_cron: every("apply_cron"),
            send_notifications: every("send_notifications"),
            compare_indexes: every("compare_indexes"),
            lease_shards: every("lease_shards"),
        },
    }
}

/// A time that has a default in the table of keys; a test holds that every such key has one.
pub(super) fn time(values: &Values, key: &str) -> Duration {
    values.time(key).unwrap_or_default()
}
