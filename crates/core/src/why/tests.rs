//! Every reason, from the facts that make it one.

use super::*;
use crate::outcome::{ErrorInfo, Progress};
use crate::priority::Priority;
use crate::spec::OnFailed;
use crate::view::{JobView, WorkerView};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn ago(seconds: u64) -> Timestamp {
    NOW.before(Duration::from_secs(seconds))
}

fn id(number: u128) -> JobId {
    JobId::from_uuid(uuid::Uuid::from_u128(number))
}

fn job(status: JobStatus) -> JobView {
    JobView {
        id: id(1),
        function_name: FunctionName::new("report").unwrap(),
        name: "report".to_owned(),
        queue: QueueName::default(),
        priority: Priority::Normal,
        status,
        gen_: 1,
        attempts: 0,
        retries: 0,
        losts: 0,
        tags: Vec::new(),
        created_at: ago(60),
        started_at: None,
        finished_at: None,
        run_at: None,
        published_at: None,
        outbox_at: None,
        parked: None,
        worker: None,
        lease_until: None,
        cancel_reason: None,
        open_parents: Vec::new(),
        progress: Progress::default(),
        error: None,
        full: None,
    }
}

fn worker(function: &str, queue: &str, busy: u32) -> WorkerView {
    WorkerView {
        run_times: Vec::new(),
        id: WorkerId("w".to_owned()),
        host: "h".to_owned(),
        pid: 1,
        version: "0".to_owned(),
        functions: vec![FunctionName::new(function).unwrap()],
        queues: vec![QueueName::new(queue).unwrap()],
        slots: 2,
        busy,
        free: 0,
        unattached: Vec::new(),
        running: Vec::new(),
        draining: false,
        started_at: ago(60),
        seen_at: NOW,
        watermarks: Vec::new(),
    }
}

/// A job in this status beside a worker that could run it.
fn facts(status: JobStatus, shape: impl FnOnce(&mut JobView)) -> Facts {
    let mut job = job(status);
    shape(&mut job);
    Facts {
        id: id(1),
        now: NOW,
        job: Some(job),
        tombstone: None,
        parents: Vec::new(),
        parents_from: 0,
        paused: false,
        workers: vec![worker("report", "default", 0)],
        broker: BrokerFact::Ready(1),
        line: Line::default(),
    }
}

fn with(mut facts: Facts, shape: impl FnOnce(&mut Facts)) -> Facts {
    shape(&mut facts);
    facts
}

fn published() -> Facts {
    facts(JobStatus::Queued, |job| job.published_at = Some(ago(3)))
}

fn running(shape: impl FnOnce(&mut JobView)) -> Facts {
    facts(JobStatus::Running, |job| {
        job.worker = Some(WorkerId("w".to_owned()));
        job.started_at = Some(ago(9));
        job.attempts = 2;
        job.lease_until = Some(later(20));
        shape(job);
    })
}

fn blocked(parents: Vec<Parent>) -> Facts {
    let open = parents.iter().map(|parent| (parent.id, parent.policy)).collect();
    with(
        facts(JobStatus::Blocked, |job| job.open_parents = open),
        |facts| {
            facts.parents = parents;
        },
    )
}

fn parent(number: u128, status: Option<JobStatus>) -> Parent {
    Parent {
        id: id(number),
        status,
        policy: EdgePolicy::default(),
    }
}

/// The facts, the reasons' names, and a word each of the first explanation and remedy.
fn waiting() -> Vec<(Facts, &'static [&'static str], &'static str, &'static str)> {
    let error = Some(ErrorInfo::new("io", "gone"));
    vec![
        (
            facts(JobStatus::Scheduled, |job| job.run_at = Some(later(7_200))),
            &["due_later"],
            "due in 2h 0m",
            "nothing to do",
        ),
        (
            facts(JobStatus::Scheduled, |job| job.run_at = Some(ago(60))),
            &["overdue"],
            "due 1m 0s ago",
            "scheduler runs",
        ),
        (
            facts(JobStatus::Retrying, |job| {
                job.run_at = Some(later(30));
                job.attempts = 2;
                job.error = error;
            }),
            &["in_backoff"],
            "attempt 3 is due in 30s; the last one ended with: gone",
            "nothing to do",
        ),
        (
            blocked(vec![parent(2, Some(JobStatus::Running)), parent(3, None)]),
            &["waits_for_parents"],
            "waits for 2 parents",
            "00000000-0000-0000-0000-000000000002",
        ),
        (
            blocked(vec![
                parent(2, Some(JobStatus::Running)),
                parent(3, Some(JobStatus::Failed)),
            ]),
            &["waits_for_parents"],
            "waits for 2",
            "00000000-0000-0000-0000-000000000003 is a dead letter",
        ),
        (
            with(blocked(vec![parent(2, Some(JobStatus::Completed))]), |facts| {
                facts.paused = true;
                facts.workers.clear();
            }),
            &["waits_for_parents", "queue_paused", "no_worker_has_function"],
            "waits for 1",
            "the scheduler tells it",
        ),
    ]
}

fn queued() -> Vec<(Facts, &'static [&'static str], &'static str, &'static str)> {
    let outbox = |at| facts(JobStatus::Queued, |job| job.outbox_at = Some(at));
    let away = || BrokerFact::Unreachable("refused".to_owned());
    let parked = facts(JobStatus::Queued, |job| {
        job.parked = Some(job.function_name.clone());
    });
    vec![
        (
            with(published(), |facts| facts.paused = true),
            &["queue_paused"],
            "paused",
            "resume default",
        ),
        (
            with(published(), |facts| {
                facts.workers = vec![worker("other", "default", 0)];
            }),
            &["no_worker_has_function"],
            "none of 1 live worker has the function report",
            "start a worker",
        ),
        (
            with(published(), |facts| {
                facts.workers.iter_mut().for_each(|worker| worker.draining = true);
            }),
            &["no_worker_has_function"],
            "none of 0",
            "start a worker",
        ),
        (
            with(published(), |facts| {
                facts.workers = vec![worker("report", "other", 0), worker("other", "default", 0)];
            }),
            &["no_worker_has_queue"],
            "its function is known to 1 live worker, and none",
            "consume the queue default",
        ),
        (
            parked.clone(),
            &["parked"],
            "is parked",
            "released within seconds",
        ),
        (
            with(parked, |facts| facts.workers.clear()),
            &["parked", "no_worker_has_function"],
            "is parked",
            "start a worker",
        ),
        (
            outbox(later(4)),
            &["in_outbox"],
            "publishes it in 4.0s",
            "nothing to do",
        ),
        (
            outbox(ago(90)),
            &["in_outbox"],
            "should have published it 1m 30s ago",
            "scheduler runs",
        ),
        (
            with(outbox(later(4)), |facts| facts.broker = away()),
            &["broker_unreachable", "in_outbox"],
            "refused",
            "bring the broker back",
        ),
        (
            with(published(), |facts| facts.broker = away()),
            &["broker_unreachable"],
            "refused",
            "bring the broker back",
        ),
    ]
}

fn in_line() -> Vec<(Facts, &'static [&'static str], &'static str, &'static str)> {
    let line = Line {
        ahead: 12,
        or_more: true,
    };
    vec![
        (
            with(published(), |facts| {
                facts.workers = vec![worker("report", "default", 2), worker("other", "default", 0)];
                facts.line = line;
            }),
            &["slots_busy"],
            "all 2 slots of the 1 worker that could run it are busy; about 12 or more jobs of its queue are",
            "start another worker",
        ),
        (
            published(),
            &["undelivered"],
            "published 3.0s ago",
            "within seconds",
        ),
        (
            with(published(), |facts| facts.broker = BrokerFact::Ready(0)),
            &["undelivered"],
            "a worker is about to start it",
            "within seconds",
        ),
        (
            with(published(), |facts| facts.broker = BrokerFact::Unasked),
            &["undelivered"],
            "is not known",
            "within seconds",
        ),
    ]
}

fn started() -> Vec<(Facts, &'static [&'static str], &'static str, &'static str)> {
    let ended = |status| {
        facts(status, |job| {
            job.finished_at = Some(ago(60));
            job.error = Some(ErrorInfo::new("io", "gone"));
        })
    };
    let gone = |tombstone| {
        with(published(), |facts| {
            facts.job = None;
            facts.tombstone = tombstone;
        })
    };
    vec![
        (
            running(|_| {}),
            &["running"],
            "runs for 9.0s on w (attempt 2); its lease holds 20s",
            "nothing to do",
        ),
        (
            running(|job| job.lease_until = Some(ago(5))),
            &["lease_over"],
            "lease ended 5.0s ago",
            "another worker",
        ),
        (
            running(|job| job.cancel_reason = Some("by hand".to_owned())),
            &["being_cancelled"],
            "asked to stop: by hand",
            "worker.cancel_grace",
        ),
        (
            ended(JobStatus::Expired),
            &["expired"],
            "expired 1m 0s ago",
            "later expiry",
        ),
        (
            ended(JobStatus::Completed),
            &["finished"],
            "ended 1m 0s ago, completed",
            "anew",
        ),
        (ended(JobStatus::Failed), &["finished"], "failed: gone", "requeue"),
        (ended(JobStatus::Cancelled), &["finished"], "cancelled", "anew"),
        (
            gone(Some(JobStatus::Completed)),
            &["pruned"],
            "deleted when its retention",
            "anew",
        ),
        (gone(None), &["unknown"], "no job", "check the id"),
    ]
}

#[test]
fn each_reason_follows_from_its_facts() {
    for (facts, names, explanation, remedy) in waiting()
        .into_iter()
        .chain(queued())
        .chain(in_line())
        .chain(started())
    {
        let why = explain(&facts);
        let json = serde_json::to_value(&why).unwrap();
        let told: Vec<_> = json["obstacles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|obstacle| obstacle["reason"].as_str().unwrap())
            .collect();
        assert_eq!(told, names, "{facts:?}");
        let first = &why.obstacles[0];
        assert!(first.explanation.contains(explanation), "{}", first.explanation);
        assert!(first.remedy.contains(remedy), "{}", first.remedy);
        assert_eq!(serde_json::from_value::<Why>(json).unwrap(), why);
    }
}

#[test]
fn parents_are_told_by_page() {
    let mut facts = blocked((2..302).map(|number| parent(number, None)).collect());
    facts.parents = facts.parents.split_off(100);
    facts.parents.truncate(100);
    facts.parents_from = 100;
    let Reason::WaitsForParents { total, next, .. } = &explain(&facts).obstacles[0].reason else {
        panic!("it waits for parents");
    };
    assert_eq!((*total, *next), (300, Some(200)));
    facts.parents_from = 200;
    let Reason::WaitsForParents { next, .. } = &explain(&facts).obstacles[0].reason else {
        panic!("it waits for parents");
    };
    assert_eq!(*next, None);
}

#[test]
fn a_dead_parent_that_does_not_hold_the_child_is_no_case_for_people() {
    let mut dead = parent(2, Some(JobStatus::Failed));
    dead.policy.on_failed = OnFailed::Run;
    let why = explain(&blocked(vec![dead]));
    assert!(why.obstacles[0].remedy.contains("nothing to do"));
}

#[test]
fn a_store_that_does_not_answer_is_the_reason() {
    let why = Why::store_unreachable(id(1), "Redis is away".to_owned(), NOW);
    assert!(matches!(why.obstacles[0].reason, Reason::StoreUnreachable { .. }));
    assert!(why.obstacles[0].explanation.contains("Redis is away"));
}
