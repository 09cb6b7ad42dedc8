//! Puts the daemons together and runs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::clock::{Clock, SystemClock};
use longshore_core::cron::Definition;
use longshore_core::limits::BUNDLE_JOBS_MAX;
use longshore_core::name::CronName;
use longshore_core::port::Ports;
use longshore_core::random::{Random, SystemRandom};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::context::Context;
use crate::cron::{CronFile, Unread};
use crate::daemon::{Comparison, Daemon, Keeper};
use crate::drive::Driver;
use crate::hints;
use crate::notifications::{Notifications, Notifier};
use crate::publisher::Publisher;
use crate::settings::{Intervals, Retention, Settings};
use crate::shards::{Held, Leases};
use crate::status::Status;
use crate::wakes::Wakes;

/// How long passes in hand may take after a stop before they are dropped. What they leave, a later pass does.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How long messages that a pass has left under way may take after that.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(2);

/// One replica of the scheduler.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) context: Arc<Context>,
    leases: Leases,
    pub(crate) held: watch::Sender<Held>,
    random: Arc<dyn Random>,
    senders: Vec<(Daemon, watch::Sender<Status>)>,
    handle: Handle,
}

/// Sets a scheduler up.
#[derive(Debug)]
pub struct Builder {
    ports: Ports,
    holder: Option<String>,
    settings: Settings,
    cron: Option<BTreeMap<CronName, Definition>>,
    notifications: Notifications,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    stop: CancellationToken,
}

/// Looks at a scheduler while it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    context: Arc<Context>,
    statuses: Vec<(Daemon, watch::Receiver<Status>)>,
}

/// What a scheduler did, when it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The last status of each daemon.
    pub daemons: Vec<(Daemon, Status)>,
    /// Daemons that did not end in time and were dropped; their work is done by a later pass.
    pub dropped: usize,
}

impl Report {
    /// The last status of a daemon.
    pub fn of(&self, daemon: Daemon) -> Option<&Status> {
        self.daemons
            .iter()
            .find(|(of, _)| *of == daemon)
            .map(|(_, status)| status)
    }
}

impl Scheduler {
    /// A scheduler over these ports.
    pub fn builder(ports: Ports) -> Builder {
        Builder {
            ports,
            holder: None,
            settings: Settings::default(),
            cron: None,
            notifications: Notifications::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            stop: CancellationToken::new(),
        }
    }

    /// Looks at it while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs every daemon until the shutdown token is cancelled, then ends the passes in hand and gives the shards
    /// back. No error of a server or daemon ends it earlier. Dropping the future ends it as a crash does: nothing is
    /// given back, and others have its shards when their leases end, after four intervals.
    pub async fn run(self) -> Report {
        let stop = self.context.stop.clone();
        let _publishing = self.context.publisher.end_guard();
        // Shards that a task of nobody goes on to lease are shards that nobody works on.
        let leases = AbortOnDropHandle::new(tokio::spawn(self.leases.hold(self.held, stop.clone())));
        let driver = Driver {
            context: self.context,
            trouble: Arc::default(),
            random: self.random,
        };
        let listening = hints::listen(Arc::clone(&driver.context), Arc::clone(&driver.random));
        let listening = AbortOnDropHandle::new(tokio::spawn(listening));
        let mut daemons = JoinSet::new();
        for (daemon, status) in self.senders {
            daemons.spawn(driver.clone().run(daemon, status));
        }
        stop.cancelled().await;
        let ended = tokio::time::timeout(STOP_DEADLINE, async {
            while daemons.join_next().await.is_some() {}
        })
        .await;
        crate::daemon::finish_notifications(&self.handle.context, STOP_DEADLINE).await;
        self.handle.context.publisher.finish(PUBLISH_DEADLINE).await;
        drop(listening);
        let dropped = if ended.is_ok() { 0 } else { daemons.len() };
        daemons.shutdown().await;
        if tokio::time::timeout(STOP_DEADLINE, leases).await.is_err() {
            tracing::debug!("the leases over shards were not given back in time; they end by themselves");
        }
        Report {
            daemons: self.handle.statuses(),
            dropped,
        }
    }
}

impl Builder {
    /// The name under which it leases shards; no two replicas may share one. Default: process id and random bits.
    #[must_use]
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = Some(holder.into());
        self
    }

    /// How often daemons look for work.
    #[must_use]
    pub fn intervals(mut self, intervals: Intervals) -> Self {
        self.settings.intervals = intervals;
        self
    }

    /// How long ended jobs are kept.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.settings.retention = retention;
        self
    }

    /// Most jobs in one message, 1 to 64, however long they take. Default: as many as take 100 ms by the measured run
    /// time of their function; a job of a function that has not run 20 times lately travels alone.
    #[must_use]
    pub fn bundle_max(mut self, jobs: usize) -> Self {
        self.settings.bundle_max = Some(jobs.clamp(1, BUNDLE_JOBS_MAX));
        self
    }

    /// How long a worker may hold a message unstarted: the audit believes nothing lost before that. Default 5 min,
    /// which is what workers keep to.
    #[must_use]
    pub fn hold_limit(mut self, limit: Duration) -> Self {
        self.settings.hold_limit = limit;
        self
    }

    /// Rows a second that the audit publishes again at most. Default 1,000.
    #[must_use]
    pub fn audit_rate(mut self, rows_per_second: u32) -> Self {
        self.settings.audit_rate = rows_per_second.max(1);
        self
    }

    /// The cron entries of a configuration file: brought into the store at the start; others that came from a file go.
    /// Default: the store's entries stay as they are.
    #[must_use]
    pub fn cron(mut self, entries: BTreeMap<CronName, Definition>) -> Self {
        self.cron = Some(entries);
        self
    }

    /// Who is told of dead letters, lost workers, long queues and missed ticks. Default: nobody.
    #[must_use]
    pub fn notifications(mut self, notifications: Notifications) -> Self {
        self.notifications = notifications;
        self
    }

    /// Where the time comes from. It should agree with the store's within a minute. Default: the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where jitter comes from. Default: the operating system.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Cancelled to stop the scheduler.
    #[must_use]
    pub fn shutdown(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// The scheduler, not yet running.
    pub fn build(self) -> Scheduler {
        let holder = self.holder.unwrap_or_else(|| {
            format!(
                "scheduler-{}-{:08x}",
                std::process::id(),
                self.random.next_u64() >> 32
            )
        });
        let (held, watch_held) = watch::channel(Held::default());
        let leases = Leases::new(self.ports.clone(), holder, self.settings.intervals.lease_shards);
        let publisher = Publisher::new(self.ports.clone(), self.clock.clone(), self.settings.bundle_max);
        let context = Arc::new(Context {
            ports: self.ports,
            clock: self.clock,
            settings: self.settings,
            publisher,
            wakes: Wakes::default(),
            held: watch_held,
            keeper: Keeper::default(),
            comparison: Comparison::default(),
            cron_file: CronFile::new(self.cron),
            unread: Unread::default(),
            notifier: Notifier::new(self.notifications),
            random: self.random.clone(),
            stop: self.stop,
        });
        let senders: Vec<_> = Daemon::ALL
            .into_iter()
            .map(|daemon| (daemon, watch::Sender::new(Status::default())))
            .collect();
        let statuses = senders
            .iter()
            .map(|(daemon, status)| (*daemon, status.subscribe()))
            .collect();
        let handle = Handle {
            context: context.clone(),
            statuses,
        };
        Scheduler {
            context,
            leases,
            held,
            random: self.random,
            senders,
            handle,
        }
    }

    /// Builds and runs it.
    pub async fn run(self) -> Report {
        self.build().run().await
    }
}

impl Handle {
    /// The status of a daemon, as it changes.
    pub fn watch(&self, daemon: Daemon) -> Option<watch::Receiver<Status>> {
        self.statuses
            .iter()
            .find(|(of, _)| *of == daemon)
            .map(|(_, status)| status.clone())
    }

    /// The status of every daemon now.
    pub fn statuses(&self) -> Vec<(Daemon, Status)> {
        self.statuses
            .iter()
            .map(|(daemon, status)| (*daemon, status.borrow().clone()))
            .collect()
    }

    /// Lets a daemon look for work now.
    pub fn wake(&self, daemon: Daemon) {
        self.context.wakes.wake(daemon);
    }

    /// The shards that this scheduler works on now.
    pub fn shards(&self) -> Vec<u16> {
        self.context.held.borrow().shards.clone()
    }
}
