//! The table of keys: what can be configured, its kind, default and meaning. Reading, checking, dumping and the
//! reference all work from it.

use longshore_core::limits::{BUNDLE_JOBS_MAX, DURATION_MAX, TIMEOUT_DEFAULT};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The URL of a server; its user, password and query are secret. The text tells the schemes.
    Server(&'static str),
    /// The URL of an HTTP endpoint; everything but scheme and host is secret.
    Endpoint,
    /// Text that is never shown.
    Secret,
    /// A file or folder.
    Path,
    /// A log filter.
    Filter,
    /// A text that somebody else reads; this is what they call it.
    Text(&'static str),
    /// `true` or `false`.
    Switch,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A duration from the first to the second, in milliseconds.
    Time(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of queue names.
    Queues,
    /// A list of arguments of a program; only the names of options are shown.
    Arguments,
    /// A table of texts that are never shown.
    SecretTable,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path; `*` stands for a name that the user gives.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its default as text; empty when there is none.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        meaning,
    }
}

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
const LONGEST: u64 = DURATION_MAX.as_secs() * SECOND;
const BUNDLE: u64 = BUNDLE_JOBS_MAX as u64;
const INTERVAL: Kind = Kind::Time(10, 3_600 * SECOND);
const RETENTION: Kind = Kind::Time(60 * SECOND, LONGEST);
// The text of a default below must say the same.
const _: () = assert!(TIMEOUT_DEFAULT.as_secs() == 3_600);

/// Every key.
pub const KEYS: &[Key] = &[
    key(
        "amqp_url",
        Kind::Server("URL (amqp, amqps)"),
        "",
        "RabbitMQ, for example `amqps://user:password@host:5671/vhost`. Needs `redis_url`.",
    ),
    key(
        "redis_url",
        Kind::Server("URL"),
        "",
        "Redis, for example `rediss://user:password@host:6379`; `redis-cluster://host:port,host:port` and `redis-sentinel://host:port,host:port/master` work too. Needs `amqp_url`.",
    ),
    key(
        "embedded",
        Kind::Path,
        ".longshore",
        "Folder of the embedded store, which is used instead of the two servers.",
    ),
    key(
        "profile",
        Kind::Choice(&["quorum", "classic"]),
        "quorum",
        "How queues are laid out in RabbitMQ: a quorum queue per priority, or one classic queue with priorities (a single node; a host's power loss may lose messages).",
    ),
    key(
        "shards",
        Kind::Count(1, 4096),
        "",
        "Shards of a new installation; 4 on one Redis and embedded, 64 on a cluster unless set. An existing one keeps its number.",
    ),
    key(
        "allow_degraded",
        Kind::Switch,
        "false",
        "Start although Redis is set up so that it may lose jobs (eviction, no append-only file).",
    ),
    key(
        "durability",
        Kind::Choice(&["default", "strict"]),
        "default",
        "`strict`: an enqueue, finish or requeue is on disk, and on `redis_replicas` replicas, before it is acknowledged.",
    ),
    key(
        "redis_replicas",
        Kind::Count(0, 16),
        "0",
        "How many replicas of Redis must have a strict write; every master must have as many connected at the start. Counts only with `durability = strict`.",
    ),
    key(
        "amqp_ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of an `amqps://` server, instead of the system's.",
    ),
    key(
        "redis_ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of a `rediss://` server, instead of the system's.",
    ),
    key(
        "consumer_timeout",
        Kind::Time(60 * SECOND, 7 * DAY),
        "30m",
        "RabbitMQ's own `consumer_timeout`: deliveries are acknowledged well before it.",
    ),
    key(
        "worker.max_workers",
        Kind::Count(1, 10_000),
        "8",
        "Jobs that one worker runs at once.",
    ),
    key(
        "worker.job_timeout",
        Kind::Time(SECOND, LONGEST),
        "1h",
        "Run time limit of an attempt whose job sets none.",
    ),
    key(
        "worker.queues",
        Kind::Queues,
        "default",
        "Queues that a worker consumes.",
    ),
    key(
        "worker.drain_deadline",
        Kind::Time(0, DAY),
        "30s",
        "How long running jobs may go on after a stop; then they are cancelled.",
    ),
    key(
        "worker.cancel_grace",
        Kind::Time(0, DAY),
        "10s",
        "How long a cancelled job may take to stop; then it is dropped and given back.",
    ),
    key(
        "worker.commands.*.program",
        Kind::Path,
        "",
        "A function that runs this program: arguments as JSON on its stdin.",
    ),
    key(
        "worker.commands.*.args",
        Kind::Arguments,
        "",
        "Fixed arguments of the program. Nothing of a job becomes an argument or goes through a shell.",
    ),
    key(
        "worker.commands.*.env",
        Kind::SecretTable,
        "",
        "Extra environment of the program.",
    ),
    key(
        "worker.commands.*.cwd",
        Kind::Path,
        "",
        "Working directory of the program; the worker's unless set.",
    ),
    key(
        "worker.commands.*.timeout",
        Kind::Time(SECOND, LONGEST),
        "",
        "Run time limit of an attempt; the job's own unless this is shorter.",
    ),
    key(
        "worker.http.*.url",
        Kind::Endpoint,
        "",
        "A function that posts to this URL: arguments in a signed JSON envelope, outcome by status.",
    ),
    key(
        "worker.http.*.secret",
        Kind::Secret,
        "",
        "Key of the signature (Standard Webhooks); unsigned unless set.",
    ),
    key(
        "worker.http.*.timeout",
        Kind::Time(SECOND, LONGEST),
        "",
        "Run time limit of an attempt; the job's own unless this is shorter.",
    ),
    key(
        "worker.http.*.headers",
        Kind::SecretTable,
        "",
        "Extra headers of the request.",
    ),
    key(
        "scheduler.bundle_max",
        Kind::Count(1, BUNDLE),
        "1",
        "Most jobs that the scheduler puts into one message.",
    ),
    key(
        "scheduler.hold_limit",
        Kind::Time(SECOND, DAY),
        "5m",
        "The audit takes no published job for lost before this. Not below the time for which workers hold messages.",
    ),
    key(
        "scheduler.audit_rate",
        Kind::Count(1, 1_000_000),
        "1000",
        "Jobs a second that the audit publishes again at most.",
    ),
    key(
        "scheduler.retention.completed",
        RETENTION,
        "7d",
        "How long completed jobs and their results are kept.",
    ),
    key(
        "scheduler.retention.failed",
        RETENTION,
        "7d",
        "How long dead letters are kept.",
    ),
    key(
        "scheduler.retention.cancelled",
        RETENTION,
        "7d",
        "How long cancelled jobs are kept.",
    ),
    key(
        "scheduler.retention.expired",
        RETENTION,
        "7d",
        "How long expired jobs are kept.",
    ),
    key(
        "scheduler.intervals.dispatch_outbox",
        INTERVAL,
        "200ms",
        "How often the outbox is looked at.",
    ),
    key(
        "scheduler.intervals.promote_due",
        INTERVAL,
        "100ms",
        "How often due jobs are looked for while some were due lately.",
    ),
    key(
        "scheduler.intervals.promote_due_idle",
        INTERVAL,
        "400ms",
        "How often due jobs are looked for otherwise.",
    ),
    key(
        "scheduler.intervals.expire_leases",
        Kind::Time(10, 10 * SECOND),
        "2s",
        "How often running jobs without beats are looked for.",
    ),
    key(
        "scheduler.intervals.expire_waiting",
        INTERVAL,
        "1s",
        "How often expiries and deadlines are looked at.",
    ),
    key(
        "scheduler.intervals.tell_children",
        INTERVAL,
        "200ms",
        "How often ended parents are looked for.",
    ),
    key(
        "scheduler.intervals.verify_edges",
        INTERVAL,
        "2s",
        "How often open edges are looked at.",
    ),
    key(
        "scheduler.intervals.audit_published",
        INTERVAL,
        "15s",
        "How often published jobs are compared with the broker.",
    ),
    key(
        "scheduler.intervals.keep_dead_letters",
        INTERVAL,
        "2s",
        "How often dead letters are looked at.",
    ),
    key(
        "scheduler.intervals.prune_finished",
        INTERVAL,
        "30s",
        "How often ended jobs are looked at.",
    ),
    key(
        "scheduler.intervals.release_parked",
        INTERVAL,
        "5s",
        "How often parked jobs are looked at.",
    ),
    key(
        "scheduler.intervals.fire_cron",
        INTERVAL,
        "250ms",
        "How often ticks of cron entries are looked for.",
    ),
    key(
        "scheduler.intervals.apply_cron",
        INTERVAL,
        "5s",
        "How often the entries below are brought into the store until that succeeds.",
    ),
    key(
        "scheduler.intervals.lease_shards",
        Kind::Time(10, 60 * SECOND),
        "2s",
        "How often leases over shards are renewed; a lease lasts four of these.",
    ),
    key(
        "cron.*.expression",
        Kind::Text("cron expression"),
        "",
        "When the entry NAME makes a job: five or six fields or a nickname, see [cron](cron.md). An entry that leaves the file leaves the store when a scheduler starts.",
    ),
    key(
        "cron.*.zone",
        Kind::Text("IANA time zone"),
        "",
        "Time zone of the expression; UTC unless set.",
    ),
    key(
        "cron.*.function",
        Kind::Text("function"),
        "",
        "The function that its jobs run.",
    ),
    key(
        "cron.*.args",
        Kind::Secret,
        "",
        "Arguments of its jobs: JSON in a text; null unless set.",
    ),
    key(
        "cron.*.queue",
        Kind::Text("queue"),
        "",
        "Queue of its jobs; `default` unless set.",
    ),
    key(
        "cron.*.priority",
        Kind::Choice(&["low", "normal", "high", "critical"]),
        "",
        "Priority of its jobs; normal unless set.",
    ),
    key(
        "cron.*.misfire",
        Kind::Text("skip, once, all or all:N"),
        "",
        "What becomes of ticks that were missed for over a minute: dropped, one job for all of them, or a job each for the newest 100 or N. Once unless set.",
    ),
    key(
        "cron.*.overlap",
        Kind::Choice(&["allow", "skip", "cancel-previous"]),
        "",
        "What a tick does while the last job has not ended; allow unless set.",
    ),
    key(
        "cron.*.jitter",
        Kind::Time(0, DAY),
        "",
        "Each job is due up to this much after its tick; none unless set.",
    ),
    key(
        "cron.*.max_retries",
        Kind::Count(0, 10_000),
        "",
        "Retries of its jobs after transient errors; 3 unless set.",
    ),
    key(
        "cron.*.timeout",
        Kind::Time(SECOND, LONGEST),
        "",
        "Run time limit of an attempt; that of the worker unless set.",
    ),
    key(
        "cron.*.expires_in",
        Kind::Time(SECOND, LONGEST),
        "",
        "How long a job may wait for its start; for ever unless set.",
    ),
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        "text",
        "Lines for people, or JSON for machines.",
    ),
    key(
        "log.level",
        Kind::Filter,
        "info",
        "Lowest level: `error`, `warn`, `info`, `debug`, `trace`, or `target=level` pairs separated by commas.",
    ),
];

impl Key {
    /// The key of this path, with the name that stands for its `*`.
    pub(crate) fn find(path: &[String]) -> Option<(&'static Self, Option<String>)> {
        let whole = path.join(".");
        KEYS.iter().find_map(|key| match key.path.split_once('*') {
            // A name may have dots of its own.
            Some((before, after)) => {
                let name = whole.strip_prefix(before)?.strip_suffix(after)?;
                (!name.is_empty()).then(|| (key, Some(name.to_owned())))
            }
            None => (whole == key.path).then_some((key, None)),
        })
    }

    /// Whether paths below this key belong to it.
    pub(crate) const fn is_table(&self) -> bool {
        matches!(self.kind, Kind::SecretTable)
    }

    /// Its environment variable.
    pub fn env_name(&self) -> String {
        format!(
            "LONGSHORE_{}",
            self.path.replace('.', "__").replace('*', "NAME").to_uppercase()
        )
    }

    /// What it holds, for people.
    pub fn type_name(&self) -> String {
        match self.kind {
            Kind::Server(name) | Kind::Text(name) => name.to_owned(),
            Kind::Endpoint => "URL (http, https)".to_owned(),
            Kind::Secret => "secret".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Filter => "log filter".to_owned(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Count(min, max) => format!("{min} to {max}"),
            Kind::Time(min, max) => format!("duration, {} to {}", shown(min), shown(max)),
            Kind::Choice(words) => words.join(" or "),
            Kind::Queues => "list of queue names".to_owned(),
            Kind::Arguments => "list of texts".to_owned(),
            Kind::SecretTable => "table of texts".to_owned(),
        }
    }
}

/// A bound of a duration, for people.
pub(crate) fn shown(millis: u64) -> String {
    crate::duration::format(std::time::Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_may_have_dots() {
        let (key, name) = Key::find(&path(&["worker", "commands", "sample.hash", "program"])).unwrap();
        assert_eq!(
            (key.path, name.as_deref()),
            ("worker.commands.*.program", Some("sample.hash"))
        );
        assert!(Key::find(&path(&["worker", "commands", "program"])).is_none());
        assert!(Key::find(&path(&["worker", "max_worker"])).is_none());
    }

    #[test]
    fn keys_are_unique_and_lower_case() {
        for (at, key) in KEYS.iter().enumerate() {
            assert_eq!(key.path, key.path.to_lowercase());
            assert!(
                KEYS[at + 1..].iter().all(|other| other.path != key.path),
                "{}",
                key.path
            );
        }
    }
}
