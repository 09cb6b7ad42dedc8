//! Ticks of cron entries, and the entries of the configuration file.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_core::Timestamp;
use longshore_core::clock::Clock;
use longshore_core::cron::{Definition, Misfire, Overlap, Schedule, Source};
use longshore_core::name::CronName;
use longshore_core::port::cron::{CronEntry, CronPort, CronPut, CronWritten};
use longshore_core::port::{self, Reply};
use longshore_core::shard::Shards;
use longshore_core::view::JobFilter;

use super::*;

fn name(text: &str) -> CronName {
    CronName::new(text).unwrap()
}

/// Every hour, at the full hour.
fn hourly() -> Definition {
    let schedule = Schedule {
        expression: "0 * * * *".parse().unwrap(),
        zone: "UTC".parse().unwrap(),
    };
    Definition::new(schedule, &Factory::spec()).unwrap()
}

impl Rig {
    /// An entry that only a later build can read.
    async fn keep_strange(&self, entry: &str) {
        let put = CronPut {
            name: name(entry),
            definition: Bytes::from_static(b"from tomorrow"),
            next_at: self.clock.now(),
            if_version: None,
        };
        self.ports.cron.cron_put(put).await.unwrap();
    }

    async fn keep_entry(&self, entry: &str, definition: &Definition) -> CronEntry {
        let put = CronPut {
            name: name(entry),
            definition: definition.encode().unwrap(),
            next_at: definition.schedule.next(self.clock.now()).unwrap(),
            if_version: None,
        };
        let written = self.ports.cron.cron_put(put).await.unwrap();
        assert!(matches!(written, CronWritten::Written(_)), "{written:?}");
        self.kept_entry(entry).await.unwrap()
    }

    async fn kept_entry(&self, entry: &str) -> Option<CronEntry> {
        self.ports.cron.cron_entry(name(entry)).await.unwrap()
    }

    fn tick_id(&self, entry: &str, tick: Timestamp) -> JobId {
        let shard = self.ports.enqueue.shards().of_bytes(entry.as_bytes());
        JobId::from_cron_tick(entry, tick, shard)
    }

    /// Moves the clock to so many seconds after a tick.
    fn pass_tick(&self, tick: Timestamp, seconds: u64) {
        self.clock.set(tick.after(Duration::from_secs(seconds)));
    }

    /// The jobs of an entry, the oldest tick first.
    async fn jobs_of(&self, entry: &str) -> Vec<JobId> {
        let filter = JobFilter {
            tags: vec![format!("cron:{entry}")],
            ..JobFilter::default()
        };
        let page = self.ports.inspect.list(filter, None, 1_000).await.unwrap();
        let mut ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
        ids.sort();
        ids
    }
}

fn hours_after(tick: Timestamp, hours: u64) -> Timestamp {
    tick.after(Duration::from_secs(hours * 3_600))
}

#[tokio::test]
async fn a_tick_makes_one_job_and_its_message() {
    let rig = rig();
    let tick = rig.keep_entry("nightly", &hourly()).await.next_at;
    rig.pass_secs(1);
    assert_eq!(rig.run(Daemon::FireCron).await, 0);
    rig.pass_tick(tick, 0);
    assert_eq!(rig.run(Daemon::FireCron).await, 1);
    assert_eq!(rig.run(Daemon::FireCron).await, 0);
    let id = rig.tick_id("nightly", tick);
    assert_eq!(rig.jobs_of("nightly").await, [id]);
    rig.run(Daemon::DispatchOutbox).await;
    assert_eq!(rig.delivered().await, [(id, 1)]);
    let entry = rig.kept_entry("nightly").await.unwrap();
    assert_eq!(entry.next_at, hours_after(tick, 1));
    assert_eq!(entry.last.map(|last| last.id), Some(id));
}

#[tokio::test]
async fn schedulers_that_pass_together_make_one_job_a_tick() {
    let rig = rig();
    let tick = rig.keep_entry("nightly", &hourly()).await.next_at;
    for hours in 0..20 {
        rig.pass_tick(hours_after(tick, hours), 0);
        let (one, two, three) = tokio::join!(
            rig.run(Daemon::FireCron),
            rig.run(Daemon::FireCron),
            rig.run(Daemon::FireCron)
        );
        assert_eq!(one + two + three, 1);
    }
    let expected: Vec<_> = (0..20)
        .map(|hours| rig.tick_id("nightly", hours_after(tick, hours)))
        .collect();
    assert_eq!(rig.jobs_of("nightly").await, expected);
}

#[tokio::test]
async fn missed_ticks_follow_the_entrys_policy() {
    let rig = rig();
    let with = |misfire| Definition { misfire, ..hourly() };
    let tick = rig.keep_entry("skips", &with(Misfire::Skip)).await.next_at;
    rig.keep_entry("once", &with(Misfire::Once)).await;
    rig.keep_entry("all", &with(Misfire::All(3))).await;
    // Nobody ran for ten hours and a half.
    rig.pass_tick(hours_after(tick, 10), 1_800);
    rig.run(Daemon::FireCron).await;
    assert_eq!(rig.jobs_of("skips").await, []);
    assert_eq!(rig.jobs_of("once").await, [rig.tick_id("once", tick)]);
    let newest: Vec<_> = (8..=10)
        .map(|hours| rig.tick_id("all", hours_after(tick, hours)))
        .collect();
    assert_eq!(rig.jobs_of("all").await, newest);
    for entry in ["skips", "once", "all"] {
        assert_eq!(
            rig.kept_entry(entry).await.unwrap().next_at,
            hours_after(tick, 11)
        );
    }
}

#[tokio::test]
async fn a_tick_is_skipped_while_the_last_job_has_not_ended() {
    let rig = rig();
    let overlap = Overlap::Skip;
    let tick = rig
        .keep_entry("long", &Definition { overlap, ..hourly() })
        .await
        .next_at;
    rig.pass_tick(tick, 0);
    rig.run(Daemon::FireCron).await;
    let first = rig.tick_id("long", tick);
    let running = rig.claim(first, 1).await;
    rig.pass_tick(hours_after(tick, 1), 0);
    rig.run(Daemon::FireCron).await;
    assert_eq!(rig.jobs_of("long").await, [first]);
    rig.finish(&running, completed()).await;
    rig.pass_tick(hours_after(tick, 2), 0);
    rig.run(Daemon::FireCron).await;
    let third = rig.tick_id("long", hours_after(tick, 2));
    assert_eq!(rig.jobs_of("long").await, [first, third]);
}

#[tokio::test]
async fn a_tick_cancels_the_last_job() {
    let rig = rig();
    let overlap = Overlap::CancelPrevious;
    let tick = rig
        .keep_entry("fresh", &Definition { overlap, ..hourly() })
        .await
        .next_at;
    for hours in 0..3 {
        rig.pass_tick(hours_after(tick, hours), 0);
        rig.run(Daemon::FireCron).await;
    }
    let mut statuses = Vec::new();
    for id in rig.jobs_of("fresh").await {
        statuses.push(rig.status(id).await);
    }
    assert_eq!(
        statuses,
        [JobStatus::Cancelled, JobStatus::Cancelled, JobStatus::Queued]
    );
}

#[tokio::test]
async fn ticks_fire_beside_each_other_unless_told_otherwise() {
    let rig = rig();
    let tick = rig.keep_entry("plain", &hourly()).await.next_at;
    for hours in 0..3 {
        rig.pass_tick(hours_after(tick, hours), 0);
        rig.run(Daemon::FireCron).await;
    }
    assert_eq!(rig.jobs_of("plain").await.len(), 3);
    for id in rig.jobs_of("plain").await {
        assert_eq!(rig.status(id).await, JobStatus::Queued);
    }
}

#[tokio::test]
async fn a_job_with_jitter_waits_for_its_time() {
    let rig = rig();
    let jitter = Duration::from_secs(600);
    let definition = Definition { jitter, ..hourly() };
    let tick = rig.keep_entry("spread", &definition).await.next_at;
    let due = tick.after(definition.jitter_of(&name("spread"), tick));
    assert!(due > tick, "this entry's first tick has some");
    rig.pass_tick(tick, 0);
    rig.run(Daemon::FireCron).await;
    let id = rig.tick_id("spread", tick);
    assert_eq!(rig.status(id).await, JobStatus::Scheduled);
    rig.clock.set(due);
    rig.run(Daemon::PromoteDue).await;
    assert_eq!(rig.status(id).await, JobStatus::Queued);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_holds_no_other_up() {
    let rig = rig();
    let tick = rig.keep_entry("good", &hourly()).await.next_at;
    rig.keep_strange("strange").await;
    rig.pass_tick(tick, 0);
    assert_eq!(rig.run(Daemon::FireCron).await, 1);
    assert_eq!(rig.jobs_of("good").await.len(), 1);
    assert_eq!(rig.jobs_of("strange").await, []);
}

#[tokio::test]
async fn a_crowd_that_cannot_be_read_holds_no_other_up() {
    let rig = rig();
    let shards = rig.ports.enqueue.shards();
    let tick = rig.keep_entry("good", &hourly()).await.next_at;
    let beside = |entry: &String| shards.of_bytes(entry.as_bytes()) == shards.of_bytes(b"good");
    let crowd = (0..).map(|number| format!("strange-{number}")).filter(beside);
    for entry in crowd.take(200) {
        rig.keep_strange(&entry).await;
    }
    rig.pass_tick(tick, 0);
    assert_eq!(rig.run(Daemon::FireCron).await, 1);
    assert_eq!(rig.jobs_of("good").await.len(), 1);
}

#[tokio::test]
async fn a_paused_entry_does_not_fire() {
    let rig = rig();
    let tick = rig.keep_entry("quiet", &hourly()).await.next_at;
    rig.ports
        .cron
        .cron_pause(name("quiet"), true, tick)
        .await
        .unwrap();
    rig.pass_tick(hours_after(tick, 5), 0);
    assert_eq!(rig.run(Daemon::FireCron).await, 0);
    assert_eq!(rig.jobs_of("quiet").await, []);
}

/// A rig with this configuration file.
fn rig_of(file: &[(&str, Definition)]) -> Rig {
    rig_of_over(file, |_| {})
}

fn rig_of_over(file: &[(&str, Definition)], change: impl FnOnce(&mut Ports)) -> Rig {
    let entries = file.iter().map(|(text, definition)| {
        let source = Source::File;
        (
            name(text),
            Definition {
                source,
                ..definition.clone()
            },
        )
    });
    let entries: BTreeMap<_, _> = entries.collect();
    rig_over(|builder| builder.cron(entries), change)
}

#[tokio::test]
async fn the_files_entries_are_brought_into_the_store_once() {
    let rig = rig_of(&[("a", hourly()), ("b", hourly())]);
    assert_eq!(rig.run(Daemon::ApplyCron).await, 2);
    assert!(rig.kept_entry("a").await.is_some());
    rig.ports.cron.cron_remove(name("b")).await.unwrap();
    assert_eq!(rig.run(Daemon::ApplyCron).await, 0, "it was done");
    assert_eq!(rig.kept_entry("b").await, None);
}

#[tokio::test]
async fn a_restart_with_the_same_file_misses_no_tick() {
    let file = Definition {
        source: Source::File,
        ..hourly()
    };
    let rig = rig_of(&[("a", hourly())]);
    let before = rig.keep_entry("a", &file).await;
    // The entry's tick came while no scheduler ran.
    rig.pass_tick(before.next_at, 30);
    assert_eq!(rig.run(Daemon::ApplyCron).await, 0);
    assert_eq!(rig.kept_entry("a").await, Some(before.clone()));
    rig.run(Daemon::FireCron).await;
    assert_eq!(rig.jobs_of("a").await, [rig.tick_id("a", before.next_at)]);
}

#[tokio::test]
async fn a_change_that_leaves_the_schedule_keeps_a_due_tick() {
    let rig = rig_of(&[("a", hourly())]);
    let overlap = Overlap::Skip;
    let before = rig.keep_entry("a", &Definition { overlap, ..hourly() }).await;
    rig.pass_tick(before.next_at, 30);
    assert_eq!(rig.run(Daemon::ApplyCron).await, 1);
    let after = rig.kept_entry("a").await.unwrap();
    assert!(after.version > before.version);
    assert_eq!(after.next_at, before.next_at);
}

#[tokio::test]
async fn entries_that_left_the_file_go_and_others_stay() {
    let rig = rig_of(&[("kept", hourly())]);
    let source = Source::File;
    rig.keep_entry("left", &Definition { source, ..hourly() }).await;
    rig.keep_entry("by-hand", &hourly()).await;
    assert_eq!(rig.run(Daemon::ApplyCron).await, 2);
    assert!(rig.kept_entry("kept").await.is_some());
    assert_eq!(rig.kept_entry("left").await, None);
    assert!(rig.kept_entry("by-hand").await.is_some());
}

#[tokio::test]
async fn a_scheduler_without_a_file_leaves_entries_alone() {
    let rig = rig();
    let source = Source::File;
    rig.keep_entry("a", &Definition { source, ..hourly() }).await;
    assert_eq!(rig.run(Daemon::ApplyCron).await, 0);
    assert!(rig.kept_entry("a").await.is_some());
}

#[tokio::test]
async fn an_entry_whose_shard_is_away_holds_no_other_of_the_file_up() {
    let is_away = Arc::new(AtomicBool::new(true));
    let rig = rig_of_over(&[("a", hourly()), ("b", hourly()), ("c", hourly())], |ports| {
        let shards = ports.enqueue.shards();
        let away = shards.of_bytes(b"a");
        assert!(![shards.of_bytes(b"b"), shards.of_bytes(b"c")].contains(&away));
        ports.cron = Arc::new(Partly {
            inner: Arc::clone(&ports.cron),
            shards,
            away,
            is_away: Arc::clone(&is_away),
        });
    });
    let source = Source::File;
    rig.keep_entry("d", &Definition { source, ..hourly() }).await;
    let error = rig.try_run(Daemon::ApplyCron).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    assert!(rig.kept_entry("b").await.is_some());
    assert!(rig.kept_entry("c").await.is_some());
    assert_eq!(rig.kept_entry("d").await, None, "it is in the file no more");
    is_away.store(false, Ordering::Relaxed);
    assert_eq!(rig.run(Daemon::ApplyCron).await, 1, "the file was not done");
    assert!(rig.kept_entry("a").await.is_some());
}

/// A store one shard of which is away for a while.
struct Partly {
    inner: Arc<dyn CronPort>,
    shards: Shards,
    away: u16,
    is_away: Arc<AtomicBool>,
}

impl Partly {
    fn check(&self, shard: u16) -> Result<(), port::Error> {
        if shard != self.away || !self.is_away.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(port::Error::Unavailable {
            server: "Redis",
            reason: "injected".to_owned(),
        })
    }

    fn shard_of(&self, name: &CronName) -> u16 {
        self.shards.of_bytes(name.as_str().as_bytes())
    }
}

impl CronPort for Partly {
    fn cron_put(&self, entry: CronPut) -> Reply<'_, CronWritten> {
        Box::pin(async move {
            self.check(self.shard_of(&entry.name))?;
            self.inner.cron_put(entry).await
        })
    }

    fn cron_remove(&self, name: CronName) -> Reply<'_, bool> {
        Box::pin(async move {
            self.check(self.shard_of(&name))?;
            self.inner.cron_remove(name).await
        })
    }

    fn cron_pause(&self, name: CronName, paused: bool, next_at: Timestamp) -> Reply<'_, bool> {
        self.inner.cron_pause(name, paused, next_at)
    }

    fn cron_entry(&self, name: CronName) -> Reply<'_, Option<CronEntry>> {
        Box::pin(async move {
            self.check(self.shard_of(&name))?;
            self.inner.cron_entry(name).await
        })
    }

    fn cron_entries(&self, shard: u16, after: Option<CronName>, limit: usize) -> Reply<'_, Vec<CronEntry>> {
        Box::pin(async move {
            self.check(shard)?;
            self.inner.cron_entries(shard, after, limit).await
        })
    }

    fn cron_run(&self, name: CronName, job: NewJob) -> Reply<'_, Option<Enqueued>> {
        self.inner.cron_run(name, job)
    }
}
