//! Cron entries.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::name::CronName;
use longshore_core::port::cron::{CronEntry, CronJob, CronPut, CronWritten};
use longshore_core::port::enqueue::{CancelRequest, Enqueued, NewJob};
use longshore_core::port::schedule::CronFire;
use longshore_core::{JobId, JobStatus};

use super::rig::Rig;

cases! { Cron:
    an_entry_is_due_at_its_tick,
    a_tick_fires_one_job_and_moves_on ["cron_fire: as read"],
    a_tick_that_was_fired_does_not_fire_again ["cron_fire: changed meanwhile"],
    a_changed_entry_does_not_fire_as_it_was ["cron_fire: changed meanwhile"],
    a_tick_in_the_future_does_not_fire ["cron_fire: not yet"],
    a_tick_can_be_skipped ["cron_fire: as read"],
    a_tick_cancels_what_it_takes_the_place_of ["cron_fire: as read"],
    a_tick_that_does_not_fire_cancels_nothing ["cron_fire: changed meanwhile"],
    of_two_schedulers_one_fires ["cron_fire: as read"],
    a_ticks_job_waits_for_no_producer ["cron_fire: as read"],
    an_entry_remembers_its_last_job ["cron_fire: as read", "cron_run: a known entry"],
    an_entry_that_says_the_same_keeps_its_tick ["cron_put: unchanged"],
    an_entry_is_written_over_the_version_that_was_read ["cron_put: the version as read", "cron_put: another version"],
    an_entry_that_is_made_anew_goes_on_above_its_old_version ["cron_put: the version as read", "cron_remove"],
    a_removed_entry_does_not_fire ["cron_remove"],
    a_paused_entry_is_not_due_until_it_is_resumed ["cron_pause"],
    a_change_leaves_a_paused_entry_paused ["cron_pause"],
    a_job_is_run_outside_the_schedule ["cron_run: a known entry", "cron_run: no such entry"],
    entries_are_listed_by_name_and_page ["cron_entries"],
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
            instead_of: None,
        }
    }
}

fn name() -> CronName {
    CronName::new(NAME).unwrap()
}

fn says(text: &'static str, next_at: Timestamp) -> CronPut {
    CronPut {
        name: name(),
        definition: Bytes::from_static(text.as_bytes()),
        next_at,
        if_version: None,
    }
}

async fn put(rig: &Rig, text: &'static str, next_at: Timestamp) -> u64 {
    match rig.ports.cron.cron_put(says(text, next_at)).await.unwrap() {
        CronWritten::Written(version) => version,
        other => panic!("{other:?}"),
    }
}

fn shard(rig: &Rig) -> u16 {
    rig.ports.enqueue.shards().of_bytes(NAME.as_bytes())
}

async fn entry(rig: &Rig) -> CronEntry {
    rig.ports.cron.cron_entry(name()).await.unwrap().unwrap()
}

async fn due(rig: &Rig, shard: u16) -> Vec<CronEntry> {
    let due = rig.ports.schedule.cron_due(shard, 10).await.unwrap();
    assert_eq!(due.now, rig.now());
    due.entries
}

/// An entry whose tick is due now, and the job that belongs to it.
async fn due_tick(rig: &Rig) -> Tick {
    let next_at = rig.now().after(Duration::from_secs(60));
    put(rig, "0 3 * * *", next_at).await;
    let shard = shard(rig);
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
    put(&rig, "0 3 * * *", next_at).await;
    let shard = shard(&rig);
    assert_eq!(due(&rig, shard).await, []);
    rig.pass_secs(61).await;
    let entries = due(&rig, shard).await;
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0].name, entries[0].next_at), (&name(), next_at));
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
    put(&rig, "0 4 * * *", tick.entry.next_at).await;
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
    tick.entry.version = put(&rig, "0 4 * * *", next_at).await;
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

/// A tick, and one that takes the place of its job.
async fn two_ticks(rig: &Rig) -> (Tick, CronFire) {
    let tick = due_tick(rig).await;
    assert!(fire(rig, &tick).await);
    let known = entry(rig).await;
    rig.pass_secs(3_601).await;
    let instead_of = CancelRequest {
        id: tick.job.id,
        reason: "fired again".to_owned(),
    };
    let second = CronFire {
        version: known.version,
        expected: known.next_at,
        next: known.next_at.after(Duration::from_secs(3_600)),
        job: Some(rig.job_in(tick.shard, |_| {})),
        instead_of: Some(instead_of),
        ..tick.fire()
    };
    (tick, second)
}

async fn a_tick_cancels_what_it_takes_the_place_of(rig: Rig) {
    let (tick, second) = two_ticks(&rig).await;
    let id = second.job.as_ref().unwrap().id;
    assert!(rig.ports.schedule.cron_fire(tick.shard, second).await.unwrap());
    let first = rig.view(tick.job.id).await;
    assert_eq!(first.status, JobStatus::Cancelled);
    assert_eq!(first.cancel_reason.as_deref(), Some("fired again"));
    assert_eq!(rig.view(id).await.status, JobStatus::Queued);
}

async fn a_tick_that_does_not_fire_cancels_nothing(rig: Rig) {
    let (tick, second) = two_ticks(&rig).await;
    put(&rig, "0 4 * * *", rig.now()).await;
    assert!(!rig.ports.schedule.cron_fire(tick.shard, second).await.unwrap());
    assert_eq!(rig.view(tick.job.id).await.status, JobStatus::Queued);
}

async fn of_two_schedulers_one_fires(rig: Rig) {
    let tick = due_tick(&rig).await;
    let (one, two) = tokio::join!(fire(&rig, &tick), fire(&rig, &tick));
    assert_ne!(one, two);
    assert_eq!(rig.view(tick.job.id).await.gen_, 1);
}

async fn a_ticks_job_waits_for_no_producer(rig: Rig) {
    let tick = due_tick(&rig).await;
    assert!(fire(&rig, &tick).await);
    let leased = rig.ports.schedule.lease_outbox(tick.shard, 10).await.unwrap();
    let ids: Vec<_> = leased.jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, [tick.job.id]);
}

async fn an_entry_remembers_its_last_job(rig: Rig) {
    let tick = due_tick(&rig).await;
    assert_eq!(tick.entry.last, None);
    assert!(fire(&rig, &tick).await);
    let made = |id| {
        Some(CronJob {
            id,
            fired_at: rig.now(),
        })
    };
    assert_eq!(entry(&rig).await.last, made(tick.job.id));
    let by_hand = rig.job_in(tick.shard, |_| {});
    rig.ports.cron.cron_run(name(), by_hand.clone()).await.unwrap();
    assert_eq!(entry(&rig).await.last, made(by_hand.id));
    // A tick that is skipped makes none, and a change of the entry forgets none.
    put(&rig, "0 4 * * *", rig.now()).await;
    let known = entry(&rig).await;
    let skip = CronFire {
        name: name(),
        version: known.version,
        expected: known.next_at,
        next: known.next_at.after(Duration::from_secs(1)),
        job: None,
        instead_of: None,
    };
    assert!(rig.ports.schedule.cron_fire(tick.shard, skip).await.unwrap());
    assert_eq!(entry(&rig).await.last, made(by_hand.id));
}

async fn an_entry_that_says_the_same_keeps_its_tick(rig: Rig) {
    let next_at = rig.now().after(Duration::from_secs(60));
    let version = put(&rig, "0 3 * * *", next_at).await;
    let before = entry(&rig).await;
    for if_version in [None, Some(0), Some(version)] {
        let again = CronPut {
            if_version,
            ..says("0 3 * * *", next_at.after(Duration::from_secs(9)))
        };
        let written = rig.ports.cron.cron_put(again).await.unwrap();
        assert_eq!(written, CronWritten::Unchanged(version));
    }
    assert_eq!(entry(&rig).await, before);
}

async fn an_entry_is_written_over_the_version_that_was_read(rig: Rig) {
    let write = async |text, if_version| {
        let entry = CronPut {
            if_version: Some(if_version),
            ..says(text, rig.now())
        };
        rig.ports.cron.cron_put(entry).await.unwrap()
    };
    assert_eq!(write("a", 7).await, CronWritten::Conflict(0));
    let CronWritten::Written(first) = write("a", 0).await else {
        panic!("there was none");
    };
    assert_eq!(write("b", 0).await, CronWritten::Conflict(first));
    let CronWritten::Written(second) = write("b", first).await else {
        panic!("it had this version");
    };
    assert!(second > first);
    assert_eq!(write("c", first).await, CronWritten::Conflict(second));
    assert_eq!(entry(&rig).await.definition, Bytes::from_static(b"b"));
}

async fn an_entry_that_is_made_anew_goes_on_above_its_old_version(rig: Rig) {
    let old = put(&rig, "a", rig.now()).await;
    assert!(rig.ports.cron.cron_remove(name()).await.unwrap());
    rig.pass_secs(1).await;
    assert!(put(&rig, "b", rig.now()).await > old);
    assert_eq!(entry(&rig).await.last, None);
}

async fn a_removed_entry_does_not_fire(rig: Rig) {
    let tick = due_tick(&rig).await;
    assert!(rig.ports.cron.cron_remove(name()).await.unwrap());
    assert!(!rig.ports.cron.cron_remove(name()).await.unwrap());
    assert_eq!(rig.ports.cron.cron_entry(name()).await.unwrap(), None);
    assert_eq!(due(&rig, tick.shard).await, []);
    assert!(!fire(&rig, &tick).await);
    assert_eq!(rig.find(tick.job.id).await, None);
}

async fn a_paused_entry_is_not_due_until_it_is_resumed(rig: Rig) {
    let tick = due_tick(&rig).await;
    let pause = async |paused, next_at| rig.ports.cron.cron_pause(name(), paused, next_at).await.unwrap();
    let later = rig.now().after(Duration::from_secs(60));
    assert!(pause(false, later).await, "it is not paused: nothing to do");
    assert_eq!(entry(&rig).await, tick.entry);
    assert!(pause(true, later).await);
    let paused = entry(&rig).await;
    assert!(paused.paused && paused.next_at == tick.entry.next_at);
    assert_eq!(due(&rig, tick.shard).await, []);
    assert!(!fire(&rig, &tick).await, "a tick in hand when it was paused");
    assert!(pause(true, later).await);
    assert_eq!(entry(&rig).await, paused);
    assert!(pause(false, later).await);
    assert_eq!(due(&rig, tick.shard).await, []);
    rig.pass_secs(61).await;
    let resumed = due(&rig, tick.shard).await.remove(0);
    assert_eq!((resumed.next_at, resumed.paused), (later, false));
    let nobody = CronName::new("nobody").unwrap();
    assert!(!rig.ports.cron.cron_pause(nobody, true, later).await.unwrap());
}

async fn a_change_leaves_a_paused_entry_paused(rig: Rig) {
    let tick = due_tick(&rig).await;
    rig.ports.cron.cron_pause(name(), true, rig.now()).await.unwrap();
    put(&rig, "0 4 * * *", rig.now()).await;
    assert!(entry(&rig).await.paused);
    assert_eq!(due(&rig, tick.shard).await, []);
}

async fn a_job_is_run_outside_the_schedule(rig: Rig) {
    let next_at = rig.now().after(Duration::from_secs(3600));
    let job = rig.job_in(shard(&rig), |_| {});
    let run = async || rig.ports.cron.cron_run(name(), job.clone()).await.unwrap();
    assert_eq!(run().await, None);
    assert_eq!(rig.find(job.id).await, None);
    put(&rig, "0 3 * * *", next_at).await;
    let before = entry(&rig).await;
    assert!(matches!(run().await, Some(Enqueued::Created { gen_: 1, .. })));
    assert!(matches!(run().await, Some(Enqueued::Existing { gen_: 1, .. })));
    let leased = rig.ports.schedule.lease_outbox(shard(&rig), 10).await.unwrap();
    assert_eq!(leased.jobs.len(), 1);
    let after = entry(&rig).await;
    assert_eq!((after.version, after.next_at), (before.version, next_at));
}

async fn entries_are_listed_by_name_and_page(rig: Rig) {
    let shards = rig.ports.enqueue.shards();
    let mut names: Vec<_> = (0..12)
        .map(|number| CronName::new(format!("entry-{number:02}")).unwrap())
        .collect();
    for name in names.iter().rev() {
        let entry = CronPut {
            name: name.clone(),
            ..says("0 3 * * *", rig.now())
        };
        rig.ports.cron.cron_put(entry).await.unwrap();
    }
    let mut found = Vec::new();
    for shard in shards.all() {
        let mut after = None;
        loop {
            let page = rig
                .ports
                .cron
                .cron_entries(shard, after.clone(), 2)
                .await
                .unwrap();
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            let listed: Vec<_> = page.into_iter().map(|entry| entry.name).collect();
            assert!(listed.is_sorted());
            assert!(
                listed
                    .iter()
                    .all(|name| shards.of_bytes(name.as_str().as_bytes()) == shard)
            );
            found.extend(listed);
        }
    }
    found.sort();
    names.sort();
    assert_eq!(found, names);
}
