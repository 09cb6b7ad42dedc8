//! `[worker]`

use super::{DAY, Key, Kind, LONGEST, SECOND, key};

pub(super) const KEYS: &[Key] = &[
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
        "How long a handler may go on after it was told to stop, by a cancel, a time limit or a drain; then it is aborted.",
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
];
