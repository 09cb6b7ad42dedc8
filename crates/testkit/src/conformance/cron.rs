//! Cron entries.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::{CronEntry, CronFire};
use longshore_core::{JobId, JobStatus};

use super::rig::Rig;

cases! { Cron:
    an_entry_is_due_at_its_tick,
    a_tick_fires_one_job_and_moves_on ["cron_fire: as read"],
    a_tick_that_was_fired_does_not_fire_again ["cron_fire: changed meanwhile"],
    a_changed_entry_does_not_fire_as_it_was ["cron_fire: changed meanwhile"],
    a_tick_in_the_future_does_not_fire ["cron_fire: not yet"],
    a_tick_can_be_skipped ["cron_fire: as read"],
    of_two_schedulers_one_fires ["cron_fire: as read"],
}

const NAME: &str = "nightly";

struct Tick {
    shard: u16,
    entry: CronEntry,
    job: NewJob,
}

impl Tick {
    fn fire(&self) -> CronFire {
        CronFire {
            name: self.entry.name.clone(),
            version: self.entry.version,
            expected: self.entry.next_at,
            next: self.entry.next_at.after(Duration::from_secs(3600)),
            job: Some(self.job.clone()),
        }
    }
}

async fn put(rig: &Rig, next_at: Timestamp) -> u16 {
    let definition = Bytes::from_static(b"0 3 * * *");
    let entry = CronEntry {
        name: NAME.to_owned(),
        version: 0,
        next_at,
        definition,
    };
    rig.ports.schedule.cron_put(entry).await.unwrap();
    rig.ports.enqueue.shards().of_bytes(NAME.as_bytes())
}

async fn due(rig: &Rig, shard: u16) -> Vec<CronEntry> {
    rig.ports.schedule.cron_due(shard, 10).await.unwrap()
}

/// An entry whose tick is due now, and the job that belongs to it.
async fn due_tick(rig: &Rig) -> Tick {
    let next_at = rig.now().after(Duration::from_secs(60));
    let shard = put(rig, next_at).await;
    rig.pass_secs(61).await;
    let entry = due(rig, shard).await.remove(0);
    let id = JobId::from_cron_tick(NAME, next_at, shard);
    Tick {
        shard,
        entry,
        job: rig.job_in(shard, |spec| spec.id = Some(id)),
    }
}

async fn fire(rig: &Rig, tick: &Tick) -> bool {
    rig.ports
        .schedule
        .cron_fire(tick.shard, tick.fire())
        .await
        .unwrap()
}

async fn an_entry_is_due_at_its_tick(rig: Rig) {
    let next_at = rig.now().after(Duration::from_secs(60));
    let shard = put(&rig, next_at).await;
    assert_eq!(due(&rig, shard).await, []);
    rig.pass_secs(61).await;
    let entries = due(&rig, shard).await;
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name.as_str(), entries[0].next_at), (NAME, next_at));
    assert_eq!(entries[0].definition, Bytes::from_static(b"0 3 * * *"));
}

async fn a_tick_fires_one_job_and_moves_on(rig: Rig) {
    let tick = due_tick(&rig).await;
    assert!(fire(&rig, &tick).await);
    assert_eq!(tick.job.id.carried_shard(), Some(tick.shard));
    let view = rig.view(tick.job.id).await;
    assert_eq!((view.status, view.gen_), (JobStatus::Queued, 1));
    assert_eq!(due(&rig, tick.shard).await, []);
    rig.pass_secs(6).await;
    let leased = rig
        .ports
        .schedule
        .lease_outbox(tick.shard, 10)
        .await
        .unwrap()
        .jobs;
    assert_eq!(
        leased.iter().map(|job| (job.id, job.gen_)).collect::<Vec<_>>(),
        [(tick.job.id, 1)]
    );
    rig.pass_secs(3600).await;
    let entries = due(&rig, tick.shard).await;
    assert_eq!(
        entries[0].next_at,
        tick.entry.next_at.after(Duration::from_secs(3600))
    );
}

async fn a_tick_that_was_fired_does_not_fire_again(rig: Rig) {
    let tick = due_tick(&rig).await;
    assert!(fire(&rig, &tick).await);
    rig.start(&tick.job, 1).await;
    assert!(!fire(&rig, &tick).await);
    assert_eq!(rig.status(tick.job.id).await, Some(JobStatus::Running));
}

async fn a_changed_entry_does_not_fire_as_it_was(rig: Rig) {
    let tick = due_tick(&rig).await;
    put(&rig, tick.entry.next_at).await;
    let changed = due(&rig, tick.shard).await.remove(0);
    assert!(changed.version > tick.entry.version);
    assert!(!fire(&rig, &tick).await);
    assert_eq!(rig.find(tick.job.id).await, None);
    assert!(
        fire(
            &rig,
            &Tick {
                entry: changed,
                ..tick
            }
        )
        .await
    );
}

async fn a_tick_in_the_future_does_not_fire(rig: Rig) {
    let mut tick = due_tick(&rig).await;
    let next_at = rig.now().after(Duration::from_secs(600));
    put(&rig, next_at).await;
    tick.entry.version += 1;
    tick.entry.next_at = next_at;
    assert!(!fire(&rig, &tick).await);
    assert_eq!(rig.find(tick.job.id).await, None);
}

async fn a_tick_can_be_skipped(rig: Rig) {
    let tick = due_tick(&rig).await;
    let skip = CronFire {
        job: None,
        ..tick.fire()
    };
    assert!(rig.ports.schedule.cron_fire(tick.shard, skip).await.unwrap());
    assert_eq!(rig.find(tick.job.id).await, None);
    assert_eq!(due(&rig, tick.shard).await, []);
}

async fn of_two_schedulers_one_fires(rig: Rig) {
    let tick = due_tick(&rig).await;
    let (one, two) = tokio::join!(fire(&rig, &tick), fire(&rig, &tick));
    assert_ne!(one, two);
    assert_eq!(rig.view(tick.job.id).await.gen_, 1);
}
