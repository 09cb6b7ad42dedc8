//! What can be set about a scheduler.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::limits::RETENTION_DEFAULT;

use crate::daemon::Daemon;

/// How often each daemon looks for work of its own accord; wake-ups come on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Outbox rows. Default 200 ms.
    pub dispatch_outbox: Duration,
    /// Due jobs, while some were due lately. Default 100 ms.
    pub promote_due: Duration,
    /// Due jobs, while none were due lately. Default 400 ms: with the publish, a job starts within half a second of
    /// its time.
    pub promote_due_idle: Duration,
    /// Leases that are over. Default 2 s; above 15 s every look would find the sweep itself away.
    pub expire_leases: Duration,
    /// Expiries and deadlines. Default 1 s.
    pub expire_waiting: Duration,
    /// Children of ended parents. Default 200 ms.
    pub tell_children: Duration,
    /// Edges of Blocked jobs. Default 2 s.
    pub verify_edges: Duration,
    /// Published jobs whose message is gone. Default 15 s.
    pub audit_published: Duration,
    /// Dead letters and their archive. Default 2 s.
    pub keep_dead_letters: Duration,
    /// Retention. Default 30 s.
    pub prune_finished: Duration,
    /// Jobs that wait for a worker that has their function. Default 5 s.
    pub release_parked: Duration,
    /// Ticks of cron entries. Default 250 ms.
    pub fire_cron: Duration,
    /// Cron entries of the configuration file, until they are in the store. Default 5 s.
    pub apply_cron: Duration,
    /// Notices and letters. Default 1 s.
    pub send_notifications: Duration,
    /// Records against their index rows: a bite of each shard. Default 10 s.
    pub compare_indexes: Duration,
    /// Leases over shards. Default 2 s; a lease lasts four of these.
    pub lease_shards: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            dispatch_outbox: Duration::from_millis(200),
            promote_due: Duration::from_millis(100),
            promote_due_idle: Duration::from_millis(400),
            expire_leases: Duration::from_secs(2),
            expire_waiting: Duration::from_secs(1),
            tell_children: Duration::from_millis(200),
            verify_edges: Duration::from_secs(2),
            audit_published: Duration::from_secs(15),
            keep_dead_letters: Duration::from_secs(2),
            prune_finished: Duration::from_secs(30),
            release_parked: Duration::from_secs(5),
            fire_cron: Duration::from_millis(250),
            apply_cron: Duration::from_secs(5),
            send_notifications: Duration::from_secs(1),
            compare_indexes: Duration::from_secs(10),
            lease_shards: Duration::from_secs(2),
        }
    }
}

impl Intervals {
    /// The same interval for every daemon and for the leases: for tests.
    pub const fn all(interval: Duration) -> Self {
        Self {
            dispatch_outbox: interval,
            promote_due: interval,
            promote_due_idle: interval,
            expire_leases: interval,
            expire_waiting: interval,
            tell_children: interval,
            verify_edges: interval,
            audit_published: interval,
            keep_dead_letters: interval,
            prune_finished: interval,
            release_parked: interval,
            fire_cron: interval,
            apply_cron: interval,
            send_notifications: interval,
            compare_indexes: interval,
            lease_shards: interval,
        }
    }

    /// The pause after a pass; `busy` when rows were found lately.
    pub(crate) const fn of(&self, daemon: Daemon, busy: bool) -> Duration {
        match daemon {
            Daemon::DispatchOutbox => self.dispatch_outbox,
            Daemon::PromoteDue if busy => self.promote_due,
            Daemon::PromoteDue => self.promote_due_idle,
            Daemon::ExpireLeases => self.expire_leases,
            Daemon::ExpireWaiting => self.expire_waiting,
            Daemon::TellChildren => self.tell_children,
            Daemon::VerifyEdges => self.verify_edges,
            Daemon::AuditPublished => self.audit_published,
            Daemon::KeepDeadLetters => self.keep_dead_letters,
            Daemon::PruneFinished => self.prune_finished,
            Daemon::ReleaseParked => self.release_parked,
            Daemon::FireCron => self.fire_cron,
            Daemon::ApplyCron => self.apply_cron,
            Daemon::SendNotifications => self.send_notifications,
            Daemon::CompareIndexes => self.compare_indexes,
        }
    }
}

/// How long ended jobs are kept, by how they ended. Default 7 days each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs with their results.
    pub completed: Duration,
    /// Dead letters.
    pub failed: Duration,
    /// Cancelled jobs.
    pub cancelled: Duration,
    /// Expired jobs.
    pub expired: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self::all(RETENTION_DEFAULT)
    }
}

impl Retention {
    /// The same time for every end.
    pub const fn all(time: Duration) -> Self {
        Self {
            completed: time,
            failed: time,
            cancelled: time,
            expired: time,
        }
    }

    /// As the store takes it.
    pub(crate) fn by_status(&self) -> BTreeMap<JobStatus, Duration> {
        BTreeMap::from([
            (JobStatus::Completed, self.completed),
            (JobStatus::Failed, self.failed),
            (JobStatus::Cancelled, self.cancelled),
            (JobStatus::Expired, self.expired),
        ])
    }
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) intervals: Intervals,
    pub(crate) retention: Retention,
    /// Most jobs in one message; as many as their run times allow when nothing is said.
    pub(crate) bundle_max: Option<usize>,
    /// How long a worker may hold a message unstarted.
    pub(crate) hold_limit: Duration,
    /// Rows a second that the audit may publish again.
    pub(crate) audit_rate: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            intervals: Intervals::default(),
            retention: Retention::default(),
            bundle_max: None,
            hold_limit: Duration::from_secs(300),
            audit_rate: 1_000,
        }
    }
}
