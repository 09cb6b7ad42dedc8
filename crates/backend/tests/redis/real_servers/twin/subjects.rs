//! What the walks are about, and answers without what only one store can know.

use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::port::attempt::Claimed;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::{DeadLetter, Leased};
use longshore_core::spec::{Dependency, EdgePolicy, Start};
use longshore_core::view::{JobView, WorkerView};
use longshore_core::{FunctionName, Priority, QueueName, WorkerId};
use longshore_testkit::factory::Factory;

pub(crate) fn worker(now: Timestamp) -> WorkerView {
    WorkerView {
        run_times: Vec::new(),
        id: WorkerId("w-1".to_owned()),
        host: "here".to_owned(),
        pid: 1,
        version: "0.1.0".to_owned(),
        functions: vec![FunctionName::new("work").unwrap()],
        queues: vec![QueueName::default()],
        slots: 4,
        busy: 0,
        free: 0,
        unattached: Vec::new(),
        running: Vec::new(),
        draining: false,
        started_at: now,
        seen_at: now,
        watermarks: Vec::new(),
    }
}

/// A few jobs of every kind; the last ones depend on the first.
pub(super) fn jobs(factory: &Factory, now: Timestamp) -> Vec<NewJob> {
    let mut jobs = vec![
        factory.job(0, |_| {}),
        factory.job(0, |spec| spec.priority = Priority::Critical),
        factory.job(0, |spec| spec.start = Start::After(Duration::from_secs(10))),
        factory.job(0, |spec| spec.expires_in = Some(Duration::from_secs(60))),
        factory.job(0, |spec| {
            spec.deadline = Some(now.after(Duration::from_secs(600)));
            spec.tags.insert("tag".to_owned());
            spec.name = Some("a name".to_owned());
        }),
    ];
    let parents: Vec<_> = jobs.iter().map(|job| job.id).collect();
    for (code, parents) in (0..6).zip(parents.windows(2).cycle()) {
        let policy = EdgePolicy::from_code(code).unwrap();
        let edges: Vec<_> = parents.iter().map(|id| Dependency { id: *id, policy }).collect();
        jobs.push(factory.job(0, |spec| spec.depends_on = edges));
    }
    jobs
}

/// An epoch is a random number.
pub(super) fn plain(mut leased: Leased) -> Leased {
    leased.epoch = 0;
    leased
}

pub(super) fn plain_letters(letters: &[DeadLetter]) -> Vec<DeadLetter> {
    let plain = |letter: &DeadLetter| DeadLetter {
        epoch: 0,
        ..letter.clone()
    };
    letters.iter().map(plain).collect()
}

/// The embedded store does not look for an error of a job that runs for the first time and has no history; a dead
/// letter that never ran and was requeued has one.
pub(super) fn plain_view(mut view: JobView) -> JobView {
    let history = view.full.as_ref().map_or(0, |full| full.history.len());
    if view.finished_at.is_none() && view.attempts > 0 && history == 0 {
        view.error = None;
    }
    view
}

pub(super) fn plain_claims(claims: Vec<Claimed>) -> Vec<Claimed> {
    let plain = |claim| match claim {
        Claimed::Missing { .. } => Claimed::Missing { epoch: 0 },
        other => other,
    };
    claims.into_iter().map(plain).collect()
}
