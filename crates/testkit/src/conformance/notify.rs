//! Notices and the mailbox.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::limits::NOTICES_MAX;
use longshore_core::name::CronName;
use longshore_core::notice::{Event, Notice};
use longshore_core::port::attempt::Claimed;
use longshore_core::port::cron::CronPut;
use longshore_core::port::notify::{MailboxChange, Notices, worker_key};
use longshore_core::port::schedule::CronFire;
use longshore_core::{JobStatus, WorkerId};

use super::rig::{Held, Rig, completed, error, failed};

cases! { Notify:
    nothing_is_noted_while_nobody_wants_it,
    notices_are_wanted_for_a_while_only,
    a_death_is_noted_with_its_error,
    other_ends_are_not_noted,
    a_lost_worker_is_noted_with_its_job,
    a_takeover_is_noted_as_a_lost_worker,
    a_job_that_dies_of_its_losses_is_noted_as_both,
    a_rebuilt_dead_letter_is_no_new_one,
    notices_stay_until_they_are_taken,
    notices_of_another_epoch_are_not_taken,
    a_full_shard_counts_what_it_drops,
    a_missed_tick_is_noted_with_its_fire,
    the_mailbox_changes_as_it_was_read_or_not_at_all,
    the_mailbox_is_changed_blindly_when_asked_to,
    a_worker_that_says_goodbye_leaves_the_mailbox,
}

const LONG: Duration = Duration::from_secs(30 * 86_400);

async fn want(rig: &Rig) {
    for shard in rig.ports.enqueue.shards().all() {
        rig.ports.notify.want_notices(shard, LONG).await.unwrap();
    }
}

async fn notices(rig: &Rig) -> Notices {
    rig.ports.notify.notices(0, 100).await.unwrap()
}

async fn events(rig: &Rig) -> Vec<Event> {
    notices(rig)
        .await
        .rows
        .into_iter()
        .map(|(_, notice)| notice.event)
        .collect()
}

fn death(held: &Held) -> Event {
    Event::DeadLetter {
        id: held.id,
        gen_: 1,
        function_name: held.job.function_name.clone(),
        queue: held.job.queue.clone(),
        attempts: 1,
        error: error(),
    }
}

fn lost(held: &Held) -> Event {
    Event::WorkerLost {
        id: held.id,
        function_name: held.job.function_name.clone(),
        queue: held.job.queue.clone(),
        worker: WorkerId("tester-1".to_owned()),
    }
}

async fn nothing_is_noted_while_nobody_wants_it(rig: Rig) {
    rig.ended(failed()).await;
    assert_eq!(events(&rig).await, []);
    assert_eq!(notices(&rig).await.dropped, 0);
}

async fn notices_are_wanted_for_a_while_only(rig: Rig) {
    rig.ports
        .notify
        .want_notices(0, Duration::from_secs(60))
        .await
        .unwrap();
    rig.ended(failed()).await;
    rig.pass_secs(61).await;
    rig.ended(failed()).await;
    assert_eq!(events(&rig).await.len(), 1);
}

async fn a_death_is_noted_with_its_error(rig: Rig) {
    want(&rig).await;
    let held = rig.ended(failed()).await;
    let expected = Notice {
        at: rig.now(),
        event: death(&held),
    };
    assert_eq!(notices(&rig).await.rows, [(1, expected)]);
}

async fn other_ends_are_not_noted(rig: Rig) {
    want(&rig).await;
    rig.ended(completed()).await;
    let held = rig.running(|_| {}).await;
    rig.cancel(held.id).await;
    rig.finish(&held, failed()).await;
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Cancelled));
    assert_eq!(events(&rig).await, []);
}

async fn a_lost_worker_is_noted_with_its_job(rig: Rig) {
    want(&rig).await;
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    assert_eq!(rig.pass_swept(40).await.requeued, 1);
    assert_eq!(events(&rig).await, [lost(&held)]);
}

async fn a_takeover_is_noted_as_a_lost_worker(rig: Rig) {
    want(&rig).await;
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    // The sweep looks at the leases of the shard, and the delivery comes again just when this one is over.
    for _ in 0..6 {
        rig.pass_secs(5).await;
        rig.sweep(0).await;
    }
    let taken = rig.deliver(held.id, 1).await;
    assert!(matches!(taken, Claimed::Run(_)), "{taken:?}");
    assert_eq!(events(&rig).await, [lost(&held)]);
}

async fn a_job_that_dies_of_its_losses_is_noted_as_both(rig: Rig) {
    want(&rig).await;
    rig.calm_sweep().await;
    let mut held = rig.running(|_| {}).await;
    for gen_ in 2..=3 {
        assert_eq!(rig.pass_swept(40).await.requeued, 1);
        held = rig.start(&held.job.clone(), gen_).await;
    }
    assert_eq!(rig.pass_swept(40).await.failed, 1);
    let events = events(&rig).await;
    assert_eq!(events[..3], [lost(&held), lost(&held), lost(&held)]);
    let Event::DeadLetter {
        id,
        gen_,
        attempts,
        error,
        ..
    } = &events[3]
    else {
        panic!("{:?}", events[3]);
    };
    assert_eq!((*id, *gen_, *attempts), (held.id, 3, 3));
    assert_eq!(error.error_type, "worker_lost");
    assert_eq!(events.len(), 4);
}

async fn a_rebuilt_dead_letter_is_no_new_one(rig: Rig) {
    let held = rig.ended(failed()).await;
    let mut letters = rig.ports.schedule.dead_uncopied(0, 10).await.unwrap();
    for letter in &mut letters {
        letter.epoch ^= 1;
    }
    rig.sabotage().wipe().await;
    want(&rig).await;
    rig.ports.schedule.dead_twins(0, letters).await.unwrap();
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
    assert_eq!(events(&rig).await, []);
}

async fn notices_stay_until_they_are_taken(rig: Rig) {
    want(&rig).await;
    for _ in 0..3 {
        rig.ended(failed()).await;
    }
    let seen = rig.ports.notify.notices(0, 2).await.unwrap();
    let numbers: Vec<_> = seen.rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(notices(&rig).await.rows.len(), 3, "looking takes nothing");
    for _ in 0..2 {
        rig.ports.notify.notices_taken(0, seen.epoch, 2).await.unwrap();
        let left = notices(&rig).await.rows;
        assert_eq!(left.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3]);
    }
    rig.ended(failed()).await;
    assert_eq!(notices(&rig).await.rows.last().unwrap().0, 4, "numbers go on");
}

async fn notices_of_another_epoch_are_not_taken(rig: Rig) {
    want(&rig).await;
    rig.ended(failed()).await;
    let seen = notices(&rig).await;
    rig.ports
        .notify
        .notices_taken(0, seen.epoch ^ 1, 9)
        .await
        .unwrap();
    assert_eq!(notices(&rig).await, seen);
}

async fn a_full_shard_counts_what_it_drops(rig: Rig) {
    want(&rig).await;
    for _ in 0..NOTICES_MAX + 3 {
        rig.ended(failed()).await;
    }
    let all = rig.ports.notify.notices(0, NOTICES_MAX * 2).await.unwrap();
    assert_eq!((all.rows.len(), all.dropped), (NOTICES_MAX, 3));
    rig.ports.notify.notices_taken(0, all.epoch, 10).await.unwrap();
    rig.ended(failed()).await;
    let all = rig.ports.notify.notices(0, NOTICES_MAX * 2).await.unwrap();
    assert_eq!((all.rows.len(), all.dropped), (NOTICES_MAX - 9, 3));
}

async fn a_missed_tick_is_noted_with_its_fire(rig: Rig) {
    want(&rig).await;
    let name = CronName::new("nightly").unwrap();
    let shard = rig.ports.enqueue.shards().of_bytes(name.as_str().as_bytes());
    let first = rig.now().after(Duration::from_secs(60));
    let put = CronPut {
        name: name.clone(),
        definition: Bytes::from_static(b"x"),
        next_at: first,
        if_version: None,
    };
    rig.ports.cron.cron_put(put).await.unwrap();
    let entry = rig.ports.cron.cron_entry(name.clone()).await.unwrap().unwrap();
    let fire = |expected, next| CronFire {
        name: name.clone(),
        version: entry.version,
        expected,
        next,
        job: None,
        instead_of: None,
    };
    let second = first.after(Duration::from_secs(3600));
    // In time, then an hour and a half late.
    for (wait, expected, next) in [(61, first, second), (9_000, second, second.after(LONG))] {
        rig.pass_secs(wait).await;
        let fired = rig
            .ports
            .schedule
            .cron_fire(shard, fire(expected, next))
            .await
            .unwrap();
        assert!(fired, "{expected:?}");
        let again = rig
            .ports
            .schedule
            .cron_fire(shard, fire(expected, next))
            .await
            .unwrap();
        assert!(!again, "another scheduler is too late, and notes nothing");
    }
    let rows = rig.ports.notify.notices(shard, 10).await.unwrap().rows;
    let missed = Notice {
        at: rig.now(),
        event: Event::CronMissed {
            entry: name,
            tick: second,
        },
    };
    assert_eq!(rows, [(1, missed)]);
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn the_mailbox_changes_as_it_was_read_or_not_at_all(rig: Rig) {
    let empty = rig.ports.notify.mailbox().await.unwrap();
    assert_eq!((empty.entries.len(), empty.now), (0, rig.now()));
    let put = |version, put: &[(&str, &'static str)], delete: &[&str]| MailboxChange {
        version: Some(version),
        put: put
            .iter()
            .map(|(key, value)| ((*key).to_owned(), text(value)))
            .collect(),
        delete: delete.iter().map(|key| (*key).to_owned()).collect(),
    };
    let change = async |change| rig.ports.notify.change_mailbox(change).await.unwrap();
    assert!(change(put(empty.version, &[("a", "1"), ("b", "2")], &[])).await);
    assert!(!change(put(empty.version, &[("a", "9")], &["b"])).await);
    let read = rig.ports.notify.mailbox().await.unwrap();
    let entries: Vec<_> = read
        .entries
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    assert_eq!(entries, [("a", text("1")), ("b", text("2"))]);
    assert!(change(put(read.version, &[("a", "3")], &["b", "c"])).await);
    let read = rig.ports.notify.mailbox().await.unwrap();
    assert_eq!(read.entries.len(), 1);
    assert_eq!(read.entries["a"], text("3"));
}

async fn the_mailbox_is_changed_blindly_when_asked_to(rig: Rig) {
    let before = rig.ports.notify.mailbox().await.unwrap();
    let change = MailboxChange {
        version: None,
        put: vec![("a".to_owned(), text("1"))],
        delete: Vec::new(),
    };
    assert!(rig.ports.notify.change_mailbox(change).await.unwrap());
    let after = rig.ports.notify.mailbox().await.unwrap();
    assert_ne!(
        after.version, before.version,
        "whoever read it before must not write over it"
    );
    let goodbye = MailboxChange {
        version: None,
        put: Vec::new(),
        delete: vec!["nobody".to_owned()],
    };
    assert!(rig.ports.notify.change_mailbox(goodbye).await.unwrap());
    let last = rig.ports.notify.mailbox().await.unwrap();
    assert_eq!(last.entries, after.entries);
    assert_ne!(
        last.version, after.version,
        "whoever read it before must not write what is to be gone"
    );
}

async fn a_worker_that_says_goodbye_leaves_the_mailbox(rig: Rig) {
    let worker = rig.worker("w-1", &[]);
    rig.ports.attempt.worker_beat(worker.clone()).await.unwrap();
    let change = MailboxChange {
        version: None,
        put: vec![
            (worker_key(&worker.id), text("1")),
            ("worker/w-2".to_owned(), text("2")),
        ],
        delete: Vec::new(),
    };
    rig.ports.notify.change_mailbox(change).await.unwrap();
    let before = rig.ports.notify.mailbox().await.unwrap();
    rig.ports.attempt.worker_gone(worker.id).await.unwrap();
    let after = rig.ports.notify.mailbox().await.unwrap();
    assert_eq!(after.entries.keys().collect::<Vec<_>>(), ["worker/w-2"]);
    assert_ne!(after.version, before.version);
}
