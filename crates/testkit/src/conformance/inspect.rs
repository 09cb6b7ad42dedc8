//! What people see: listings, counters, workers, watches.

use std::time::Duration;

use longshore_core::limits::SLOT_TAKEN;
use longshore_core::outcome::Progress;
use longshore_core::port::attempt::{ProgressWrite, SlotsWanted};
use longshore_core::port::inspect::Wakes;
use longshore_core::spec::Start;
use longshore_core::view::{Detail, JobFilter};
use longshore_core::{FunctionName, JobId, JobStatus, QueueName, WorkerId};

use super::rig::{Rig, completed, failed, retry};

cases! { Inspect:
    an_empty_store_shows_nothing,
    a_listing_goes_from_the_newest_to_the_oldest_over_all_shards,
    a_listing_goes_on_where_its_page_ended,
    a_listing_shows_what_matches_all_conditions,
    a_listing_by_creation_time_is_half_open,
    a_job_that_moves_between_pages_is_listed_at_most_once,
    counters_follow_every_move,
    jobs_are_shown_in_the_order_asked_and_as_much_as_asked,
    workers_are_listed_while_they_beat,
    a_worker_tells_its_load_between_beats_while_it_is_registered,
    a_free_slot_is_taken_once_until_it_is_told_again,
    slots_are_taken_of_live_workers_that_can_run_the_job,
    free_slots_are_for_the_queues_that_their_worker_consumes_now,
    a_watcher_is_woken_by_a_change_of_status,
    a_watcher_is_woken_by_progress,
    the_store_answers_a_ping,
}

async fn an_empty_store_shows_nothing(rig: Rig) {
    assert_eq!(rig.list(JobFilter::default()).await, []);
    assert!(rig.ports.inspect.queues().await.unwrap().is_empty());
    assert_eq!(rig.ports.inspect.workers().await.unwrap(), []);
    assert_eq!(rig.find(rig.job(|_| {}).id).await, None);
}

/// Jobs spread over the shards, the newest first.
async fn spread(rig: &Rig, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for shard in rig.ports.enqueue.shards().all().cycle().take(count) {
        rig.pass(Duration::from_millis(20)).await;
        let job = rig.job_in(shard, |_| {});
        rig.enqueue(&job).await;
        ids.push(job.id);
    }
    ids.reverse();
    ids
}

async fn listed(rig: &Rig, filter: JobFilter) -> Vec<JobId> {
    rig.list(filter).await.into_iter().map(|job| job.id).collect()
}

async fn a_listing_goes_from_the_newest_to_the_oldest_over_all_shards(rig: Rig) {
    let ids = spread(&rig, 13).await;
    assert_eq!(listed(&rig, JobFilter::default()).await, ids);
}

async fn a_listing_goes_on_where_its_page_ended(rig: Rig) {
    let ids = spread(&rig, 10).await;
    for limit in [1, 3, 10, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = rig
                .ports
                .inspect
                .list(JobFilter::default(), after, limit)
                .await
                .unwrap();
            assert!(page.jobs.len() <= limit);
            seen.extend(page.jobs.into_iter().map(|job| job.id));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ids, "pages of {limit}");
    }
}

async fn a_listing_shows_what_matches_all_conditions(rig: Rig) {
    let reports = QueueName::new("reports").unwrap();
    let tagged = rig
        .enqueued(|spec| spec.tags = ["a".to_owned(), "b".to_owned()].into())
        .await
        .id;
    let queue = rig.enqueued(|spec| spec.queue = reports.clone()).await.id;
    let both = rig
        .enqueued(|spec| {
            spec.queue = reports.clone();
            spec.tags = ["a".to_owned()].into();
            spec.function_name = FunctionName::new("other").unwrap();
        })
        .await
        .id;
    let ended = rig.ended(completed()).await.id;
    let tags = |tags: &[&str]| JobFilter {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..JobFilter::default()
    };
    let sorted = |mut ids: Vec<JobId>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(
        sorted(listed(&rig, tags(&["a"])).await),
        sorted(vec![tagged, both])
    );
    assert_eq!(listed(&rig, tags(&["a", "b"])).await, [tagged]);
    let in_reports = JobFilter {
        queue: Some(reports),
        ..JobFilter::default()
    };
    assert_eq!(
        sorted(listed(&rig, in_reports.clone()).await),
        sorted(vec![queue, both])
    );
    let other = Some(FunctionName::new("other").unwrap());
    let by_function = JobFilter {
        function_name: other.clone(),
        ..JobFilter::default()
    };
    assert_eq!(listed(&rig, by_function).await, [both]);
    let ended_or_running = vec![JobStatus::Completed, JobStatus::Running];
    let by_status = JobFilter {
        statuses: ended_or_running,
        ..JobFilter::default()
    };
    assert_eq!(listed(&rig, by_status).await, [ended]);
    let all = JobFilter {
        statuses: vec![JobStatus::Queued],
        function_name: other,
        tags: vec!["a".to_owned()],
        ..in_reports
    };
    assert_eq!(listed(&rig, all.clone()).await, [both]);
    assert_eq!(
        listed(
            &rig,
            JobFilter {
                statuses: vec![JobStatus::Failed],
                ..all
            }
        )
        .await,
        []
    );
}

async fn a_listing_by_creation_time_is_half_open(rig: Rig) {
    let ids = spread(&rig, 6).await;
    let from = rig.view(ids[4]).await.created_at;
    let until = rig.view(ids[1]).await.created_at;
    let filter = JobFilter {
        created_from: Some(from),
        created_until: Some(until),
        ..JobFilter::default()
    };
    assert_eq!(listed(&rig, filter).await, ids[2..=4]);
}

async fn a_job_that_moves_between_pages_is_listed_at_most_once(rig: Rig) {
    let ids = spread(&rig, 8).await;
    let page = rig
        .ports
        .inspect
        .list(JobFilter::default(), None, 4)
        .await
        .unwrap();
    rig.cancel(page.jobs[0].id).await;
    rig.cancel(ids[7]).await;
    let newer = rig.enqueued(|_| {}).await;
    let mut seen: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    let mut after = page.next;
    while let Some(cursor) = after {
        let page = rig
            .ports
            .inspect
            .list(JobFilter::default(), Some(cursor), 4)
            .await
            .unwrap();
        seen.extend(page.jobs.into_iter().map(|job| job.id));
        after = page.next;
    }
    assert_eq!(seen, ids);
    assert!(!seen.contains(&newer.id));
}

async fn counters_follow_every_move(rig: Rig) {
    let queue = QueueName::new("reports").unwrap();
    let put = |queue: QueueName| move |spec: &mut longshore_core::JobSpec| spec.queue = queue;
    let parent = rig.enqueued(put(queue.clone())).await;
    rig.enqueued(|spec| {
        spec.queue = queue.clone();
        spec.depends_on = vec![parent.id.into()];
    })
    .await;
    rig.enqueued(|spec| {
        spec.queue = queue.clone();
        spec.start = Start::After(Duration::from_secs(60));
    })
    .await;
    rig.running(put(queue.clone())).await;
    for outcome in [completed(), failed(), retry(60)] {
        let held = rig.running(put(queue.clone())).await;
        rig.finish(&held, outcome).await;
    }
    let there = rig.job_in(1, put(queue.clone()));
    rig.enqueue(&there).await;
    let view = rig.ports.inspect.queues().await.unwrap().remove(&queue).unwrap();
    let expected = [
        (JobStatus::Blocked, 1),
        (JobStatus::Scheduled, 1),
        (JobStatus::Queued, 2),
        (JobStatus::Running, 1),
        (JobStatus::Retrying, 1),
        (JobStatus::Completed, 1),
        (JobStatus::Failed, 1),
    ];
    let counted: Vec<_> = view
        .counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(s, c)| (*s, *c))
        .collect();
    assert_eq!(counted, expected);
    assert_eq!((view.size(), view.paused), (2, false));
}

async fn jobs_are_shown_in_the_order_asked_and_as_much_as_asked(rig: Rig) {
    let (one, two) = (rig.enqueued(|_| {}).await, rig.enqueued(|_| {}).await);
    let stray = rig.job(|_| {}).id;
    let views = rig
        .ports
        .inspect
        .jobs(0, vec![two.id, stray, one.id], Detail::Summary)
        .await
        .unwrap();
    let ids: Vec<_> = views
        .iter()
        .map(|view| view.as_ref().map(|view| view.id))
        .collect();
    assert_eq!(ids, [Some(two.id), None, Some(one.id)]);
    assert_eq!(views[0].as_ref().unwrap().full, None);
    let full = rig
        .ports
        .inspect
        .jobs(0, vec![one.id], Detail::Full)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(full.full.unwrap().envelope, one.envelope);
}

async fn workers_are_listed_while_they_beat(rig: Rig) {
    let names = |rig: &Rig| {
        let rig = rig.clone();
        async move {
            let workers = rig.ports.inspect.workers().await.unwrap();
            let mut names: Vec<_> = workers.into_iter().map(|worker| worker.id.0).collect();
            names.sort_unstable();
            names
        }
    };
    let mut one = rig.worker("one", &["work"]);
    rig.ports.attempt.worker_beat(one.clone()).await.unwrap();
    rig.ports
        .attempt
        .worker_beat(rig.worker("two", &["work"]))
        .await
        .unwrap();
    assert_eq!(names(&rig).await, ["one", "two"]);
    rig.pass_secs(20).await;
    one.busy = 3;
    rig.ports.attempt.worker_beat(one).await.unwrap();
    rig.pass_secs(20).await;
    assert_eq!(names(&rig).await, ["one"], "three beats are over for the other");
    let seen = rig.ports.inspect.workers().await.unwrap().remove(0);
    assert_eq!((seen.busy, seen.slots, seen.host.as_str()), (3, 4, "here"));
    assert_eq!(seen.functions, [FunctionName::new("work").unwrap()]);
    rig.ports
        .attempt
        .worker_gone(WorkerId("one".to_owned()))
        .await
        .unwrap();
    assert_eq!(names(&rig).await, [""; 0]);
}

async fn a_worker_tells_its_load_between_beats_while_it_is_registered(rig: Rig) {
    let workers = async || rig.ports.inspect.workers().await.unwrap();
    let mut one = rig.worker("one", &["work"]);
    rig.ports.attempt.worker_load(one.clone()).await.unwrap();
    assert_eq!(workers().await, [], "nobody registered it");
    rig.ports.attempt.worker_beat(one.clone()).await.unwrap();
    rig.pass_secs(20).await;
    one.busy = 3;
    rig.ports.attempt.worker_load(one.clone()).await.unwrap();
    assert_eq!(workers().await[0].busy, 3);
    rig.pass_secs(20).await;
    let seen = workers().await;
    assert_eq!(seen.len(), 1, "who tells its load lives");
    rig.ports.attempt.worker_gone(one.id.clone()).await.unwrap();
    rig.ports.attempt.worker_load(one).await.unwrap();
    assert_eq!(workers().await, [], "late, it brings nobody back");
}

/// What this worker gets of the free slots of others, for jobs of a function in a queue.
async fn take(rig: &Rig, worker: &str, (queue, function): (&str, &str), most: u32) -> u32 {
    let want = SlotsWanted {
        queue: QueueName::new(queue).unwrap(),
        function: FunctionName::new(function).unwrap(),
        most,
    };
    let me = WorkerId(worker.to_owned());
    let taken = rig.ports.attempt.take_slots(me, vec![want.clone(), want]).await;
    let taken = taken.unwrap();
    assert_eq!(taken.len(), 2, "an answer to each want");
    assert!(taken[0] > 0 || taken[1] == 0, "the first comes first: {taken:?}");
    taken.iter().sum()
}

async fn a_free_slot_is_taken_once_until_it_is_told_again(rig: Rig) {
    let work = ("default", "work");
    let mut idle = rig.worker("idle", &["work"]);
    rig.ports.attempt.worker_beat(idle.clone()).await.unwrap();
    assert_eq!(take(&rig, "full", work, 9).await, 0, "none is free");
    idle.free = 3;
    rig.ports.attempt.worker_load(idle.clone()).await.unwrap();
    assert_eq!(take(&rig, "idle", work, 9).await, 0, "its own");
    assert_eq!(take(&rig, "full", work, 1).await, 2, "one for each want");
    assert_eq!(take(&rig, "other", work, 9).await, 1, "what is left");
    assert_eq!(take(&rig, "full", work, 9).await, 0);
    // The jobs that were sent went elsewhere: its slots are as free as they were.
    rig.pass(SLOT_TAKEN + Duration::from_millis(50)).await;
    assert_eq!(take(&rig, "full", work, 9).await, 3);
    idle.free = 2;
    rig.ports.attempt.worker_load(idle.clone()).await.unwrap();
    assert_eq!(take(&rig, "full", work, 9).await, 2, "it has told them anew");
    idle.free = 0;
    rig.ports.attempt.worker_beat(idle).await.unwrap();
    rig.pass(SLOT_TAKEN + Duration::from_millis(50)).await;
    assert_eq!(take(&rig, "full", work, 9).await, 0);
}

async fn slots_are_taken_of_live_workers_that_can_run_the_job(rig: Rig) {
    let work = ("default", "work");
    for name in ["one", "two", "drains"] {
        let mut worker = rig.worker(name, &["work"]);
        worker.free = 2;
        worker.draining = name == "drains";
        rig.ports.attempt.worker_beat(worker).await.unwrap();
    }
    assert_eq!(take(&rig, "full", ("other", "work"), 9).await, 0);
    assert_eq!(take(&rig, "full", ("default", "play"), 9).await, 0);
    assert_eq!(take(&rig, "full", work, 9).await, 4);
    rig.pass(SLOT_TAKEN + Duration::from_millis(50)).await;
    let gone = WorkerId("one".to_owned());
    rig.ports.attempt.worker_gone(gone).await.unwrap();
    assert_eq!(take(&rig, "full", work, 9).await, 2, "one said good-bye");
    rig.pass_secs(40).await;
    assert_eq!(
        take(&rig, "full", work, 9).await,
        0,
        "nobody was heard of for long"
    );
}

async fn free_slots_are_for_the_queues_that_their_worker_consumes_now(rig: Rig) {
    let other = QueueName::new("other").unwrap();
    let mut idle = rig.worker("idle", &["work"]);
    idle.queues.push(other.clone());
    idle.unattached.push(other.clone());
    idle.free = 2;
    rig.ports.attempt.worker_beat(idle.clone()).await.unwrap();
    assert_eq!(take(&rig, "full", ("other", "work"), 9).await, 0);
    assert_eq!(take(&rig, "full", ("default", "work"), 9).await, 2);
    idle.unattached = vec![QueueName::default()];
    rig.ports.attempt.worker_load(idle.clone()).await.unwrap();
    assert_eq!(take(&rig, "full", ("default", "work"), 9).await, 0);
    assert_eq!(take(&rig, "full", ("other", "work"), 9).await, 2);
    let mut seen = rig.ports.inspect.workers().await.unwrap();
    assert_eq!(seen.remove(0).unattached, idle.unattached);
}

async fn woken(wakes: &mut dyn Wakes, id: JobId) {
    let woken = async { while wakes.next().await.expect("a watch that goes on") != id {} };
    tokio::time::timeout(Duration::from_secs(5), woken)
        .await
        .expect("a wake-up within 5 s");
}

async fn a_watcher_is_woken_by_a_change_of_status(rig: Rig) {
    let (watched, other) = (rig.published(|_| {}).await, rig.published(|_| {}).await);
    let mut wakes = rig.ports.inspect.watch(vec![watched.id]).await.unwrap();
    rig.cancel(other.id).await;
    let held = rig.start(&watched, 1).await;
    rig.finish(&held, completed()).await;
    woken(wakes.as_mut(), watched.id).await;
}

async fn a_watcher_is_woken_by_progress(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let there = rig.job_in(1, |_| {}).id;
    let mut wakes = rig.ports.inspect.watch(vec![there, held.id]).await.unwrap();
    let progress = Progress {
        fraction: Some(0.5),
        seq: 1,
        ..Progress::default()
    };
    let write = ProgressWrite {
        id: held.id,
        nonce: held.nonce,
        progress,
    };
    rig.ports.attempt.progress(0, vec![write]).await.unwrap();
    woken(wakes.as_mut(), held.id).await;
}

async fn the_store_answers_a_ping(rig: Rig) {
    rig.ports.inspect.ping().await.unwrap();
}
