//! `[cron.NAME]`

use super::{DAY, Key, Kind, LONGEST, SECOND, key};

pub(super) const KEYS: &[Key] = &[
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
];
