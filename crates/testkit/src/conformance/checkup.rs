//! What the doctor looks at and repairs.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::port::attempt::GiveBackReason;
use longshore_core::port::checkup::{FaultKind, IndexFault, IndexLook};
use longshore_core::record::Index;
use longshore_core::spec::Start;
use longshore_core::{FunctionName, JobId, JobStatus, Priority, QueueName};

use super::give_back::quarantine;
use super::rig::{Rig, completed, failed, retry};

cases! { Checkup:
    a_sound_store_has_no_faults,
    lost_rows_are_found_and_written_anew,
    what_is_found_without_a_repair_stays_as_it_is,
    stray_rows_are_found_and_taken_away,
    a_comparison_takes_bites,
    parked_jobs_are_counted_by_function,
    the_state_of_a_shard_names_what_is_due_first,
    a_job_that_no_try_gets_published_is_known_however_often_it_is_tried,
    the_next_in_line_are_the_most_urgent_then_the_oldest,
    the_quarantine_tells_how_full_it_is,
}

/// Compares a whole shard, and sums up what was found; a fault that came twice counts once.
async fn compare(rig: &Rig, shard: u16, limit: usize, repair: bool) -> (IndexLook, usize) {
    let (mut sum, mut from, mut bites) = (IndexLook::default(), None, 0);
    let mut faults = BTreeSet::new();
    loop {
        let look = rig.ports.checkup.compare_index(shard, from, limit, repair);
        let look = look.await.unwrap();
        bites += 1;
        assert!(bites < 10_000, "it does not end");
        sum.records += look.records;
        sum.rows += look.rows;
        faults.extend(look.faults);
        for (function, jobs) in look.parked {
            *sum.parked.entry(function).or_default() += jobs;
        }
        from = look.next;
        if from.is_none() {
            sum.faults = faults.into_iter().collect();
            return (sum, bites);
        }
    }
}

/// A job in every status, all in shard 0.
async fn one_of_each(rig: &Rig) -> Vec<JobId> {
    let queued = rig.enqueued(|_| {}).await.id;
    let published = rig.published(|spec| spec.priority = Priority::Critical).await.id;
    let later = Start::After(Duration::from_secs(3_600));
    let scheduled = rig.enqueued(|spec| spec.start = later).await.id;
    let expiring = |spec: &mut longshore_core::JobSpec| spec.expires_in = Some(Duration::from_secs(3_600));
    let waiting = rig.enqueued(expiring).await.id;
    let running = rig.running(|_| {}).await.id;
    let retrying = rig.running(|_| {}).await;
    rig.finish(&retrying, retry(60)).await;
    let done = rig.ended(completed()).await.id;
    let dead = rig.ended(failed()).await.id;
    vec![
        queued,
        published,
        scheduled,
        waiting,
        running,
        retrying.id,
        done,
        dead,
    ]
}

fn jobs_of(faults: &[IndexFault]) -> BTreeSet<String> {
    faults.iter().map(|fault| fault.job.clone()).collect()
}

fn simple(id: JobId) -> String {
    id.uuid().simple().to_string()
}

async fn a_sound_store_has_no_faults(rig: Rig) {
    let (empty, _) = compare(&rig, 0, 100, false).await;
    assert_eq!((empty.records, empty.faults), (0, vec![]));
    let jobs = one_of_each(&rig).await;
    let (look, _) = compare(&rig, 0, 100, false).await;
    assert_eq!(look.faults, []);
    assert_eq!(look.records, jobs.len() as u64);
    assert!(look.rows >= look.records, "{look:?}");
    assert_eq!(
        compare(&rig, 1, 100, false).await.0.records,
        0,
        "shards are apart"
    );
}

async fn lost_rows_are_found_and_written_anew(rig: Rig) {
    let jobs = one_of_each(&rig).await;
    let before: Vec<_> = rig.ports.checkup.shard_state(0).await.unwrap().heads;
    for id in &jobs {
        rig.sabotage().spoil_rows(0, *id, false).await;
    }
    let (look, _) = compare(&rig, 0, 100, true).await;
    let found = jobs_of(&look.faults);
    for id in &jobs {
        assert!(
            found.contains(&simple(*id)),
            "{id} is not among {:?}",
            look.faults
        );
    }
    for fault in &look.faults {
        assert_eq!(
            (fault.kind, fault.repaired),
            (FaultKind::MissingRow, true),
            "{fault:?}"
        );
        assert!(fault.kind.is_repairable() && !fault.index.is_empty());
    }
    assert_eq!(compare(&rig, 0, 100, false).await.0.faults, []);
    assert_eq!(rig.ports.checkup.shard_state(0).await.unwrap().heads, before);
    // The daemons find them again.
    rig.pass_secs(4_000).await;
    assert!(!rig.outbox_ids().await.is_empty());
    assert_eq!(rig.promoted().await.len(), 2);
}

async fn what_is_found_without_a_repair_stays_as_it_is(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.sabotage().spoil_rows(0, job.id, false).await;
    let (first, _) = compare(&rig, 0, 100, false).await;
    assert!(!first.faults.is_empty());
    assert!(first.faults.iter().all(|fault| !fault.repaired), "{first:?}");
    assert_eq!(compare(&rig, 0, 100, false).await.0.faults, first.faults);
    // What follows every case looks at the listing.
    assert_eq!(
        compare(&rig, 0, 100, true).await.0.faults.len(),
        first.faults.len()
    );
}

async fn stray_rows_are_found_and_taken_away(rig: Rig) {
    let done = rig.ended(completed()).await;
    let nobody = rig.job(|_| {}).id;
    for id in [done.id, nobody] {
        rig.sabotage().spoil_rows(0, id, true).await;
    }
    let (look, _) = compare(&rig, 0, 100, true).await;
    assert_eq!(
        jobs_of(&look.faults),
        BTreeSet::from([simple(done.id), simple(nobody)])
    );
    let is_stray = |fault: &IndexFault| fault.kind == FaultKind::StrayRow && fault.repaired;
    assert!(look.faults.iter().all(is_stray), "{:?}", look.faults);
    assert_eq!(compare(&rig, 0, 100, false).await.0.faults, []);
    assert_eq!(rig.view(done.id).await.status, JobStatus::Completed);
    assert_eq!(rig.find(nobody).await, None);
}

async fn a_comparison_takes_bites(rig: Rig) {
    for _ in 0..40 {
        rig.enqueued(|_| {}).await;
    }
    let (look, bites) = compare(&rig, 0, 5, false).await;
    assert_eq!((look.records, look.faults), (40, vec![]));
    assert!(bites >= 5, "{bites} bites");
    let garbage = Some("no cursor".to_owned());
    let refused = rig.ports.checkup.compare_index(0, garbage, 5, true).await;
    assert!(refused.is_err(), "{refused:?}");
}

async fn parked_jobs_are_counted_by_function(rig: Rig) {
    let function = FunctionName::new("nobody_has_it").unwrap();
    for _ in 0..2 {
        let job = rig
            .published(|spec| spec.function_name = FunctionName::new("nobody_has_it").unwrap())
            .await;
        rig.give_back(job.id, 1, GiveBackReason::Park(function.clone()))
            .await;
    }
    let (look, _) = compare(&rig, 0, 100, false).await;
    assert_eq!(look.parked, [(function, 2)].into());
    assert_eq!(look.faults, []);
}

async fn the_state_of_a_shard_names_what_is_due_first(rig: Rig) {
    let first = rig.published(|_| {}).await;
    let first_at = rig.now();
    rig.pass_secs(5).await;
    rig.published(|_| {}).await;
    let running = rig.running(|spec| spec.priority = Priority::High).await;
    let ttl = Duration::from_secs(30);
    rig.ports
        .schedule
        .lease_shards("the scheduler".to_owned(), 1, ttl)
        .await
        .unwrap();
    rig.sweep(1).await;
    let state = rig.ports.checkup.shard_state(0).await.unwrap();
    assert_eq!(state.now, rig.now());
    assert_eq!(state.scheduler.as_deref(), Some("the scheduler"));
    assert_eq!(state.swept_at, Some(rig.now()));
    let ready = state
        .heads
        .iter()
        .find(|head| head.index == Index::Ready)
        .unwrap();
    assert_eq!(ready.queue, Some((QueueName::default(), Priority::Normal)));
    assert_eq!(
        (ready.rows, ready.first_at, ready.first),
        (2, first_at, Some(first.id))
    );
    let runs = state
        .heads
        .iter()
        .find(|head| head.index == Index::Running)
        .unwrap();
    assert_eq!((runs.rows, runs.first), (1, Some(running.id)));
    rig.pass_secs(31).await;
    assert_eq!(rig.ports.checkup.shard_state(0).await.unwrap().scheduler, None);
}

async fn a_job_that_no_try_gets_published_is_known_however_often_it_is_tried(rig: Rig) {
    let unpublished = async || rig.ports.checkup.shard_state(0).await.unwrap().unpublished;
    assert_eq!(unpublished().await, None);
    // Given back, or published once: what waits there is between two dispatches.
    let back = rig.published(|_| {}).await;
    rig.give_back(back.id, 1, GiveBackReason::NotRunnable).await;
    rig.published(|_| {}).await;
    rig.pass_secs(10).await;
    let since = rig.now();
    let stuck = rig.enqueued(|spec| spec.priority = Priority::Low).await;
    rig.pass_secs(10).await;
    rig.enqueued(|spec| spec.priority = Priority::High).await;
    for _ in 0..3 {
        assert_eq!(unpublished().await, Some((since, stuck.id)));
        rig.pass_secs(31).await;
        // Leased, and never marked.
        assert!(rig.outbox_ids().await.contains(&(stuck.id, 1)));
    }
    rig.mark_published(stuck.id, 1).await;
    assert_ne!(unpublished().await.map(|(_, id)| id), Some(stuck.id));
}

async fn the_next_in_line_are_the_most_urgent_then_the_oldest(rig: Rig) {
    let mut jobs = Vec::new();
    for priority in [
        Priority::Low,
        Priority::Critical,
        Priority::Normal,
        Priority::Critical,
    ] {
        jobs.push(rig.published(|spec| spec.priority = priority).await.id);
        rig.pass_secs(1).await;
    }
    rig.enqueued(|_| {}).await;
    let next = |queue: &str, limit| {
        rig.ports
            .checkup
            .next_in_line(0, QueueName::new(queue).unwrap(), limit)
    };
    assert_eq!(
        next("default", 10).await.unwrap(),
        [jobs[1], jobs[3], jobs[2], jobs[0]]
    );
    assert_eq!(next("default", 2).await.unwrap(), [jobs[1], jobs[3]]);
    assert_eq!(next("other", 10).await.unwrap(), []);
}

async fn the_quarantine_tells_how_full_it_is(rig: Rig) {
    let fill = || async { rig.ports.checkup.quarantine_fill().await.unwrap() };
    assert_eq!(fill().await.messages, 0);
    quarantine(&rig, vec![rig.job(|_| {}).id]).await;
    let one = fill().await;
    assert_eq!(one.messages, 1);
    assert!(one.bytes > 0, "{one:?}");
}
