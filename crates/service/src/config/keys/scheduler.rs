//! `[scheduler]`

use super::{BUNDLE, DAY, INTERVAL, Key, Kind, RETENTION, SECOND, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "scheduler.bundle_max",
        Kind::Count(1, BUNDLE),
        "",
        "Most jobs that the scheduler puts into one message, however long they take; unless set as many as take 100 ms by the measured run time of their function.",
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
        "scheduler.intervals.send_notifications",
        INTERVAL,
        "1s",
        "How often notices are made into notifications, and those that are due are sent.",
    ),
    key(
        "scheduler.intervals.compare_indexes",
        INTERVAL,
        "10s",
        "How often the next 200 records or index rows of each shard are compared, and put right.",
    ),
    key(
        "scheduler.intervals.lease_shards",
        Kind::Time(10, 60 * SECOND),
        "2s",
        "How often leases over shards are renewed; a lease lasts four of these.",
    ),
];
