//! Recording jobs.

use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::port::attempt::Claimed;
use longshore_core::port::enqueue::Enqueued;
use longshore_core::spec::Start;
use longshore_core::{JobId, JobStatus};

use super::rig::{Rig, completed};

cases! { Enqueue:
    a_new_job_is_queued_with_gen_1_and_due_in_the_outbox_after_its_grace ["enqueue: new and due"],
    a_job_for_later_is_scheduled ["enqueue: new and in the future"],
    a_due_time_in_the_past_means_now ["enqueue: new and due"],
    a_job_with_parents_is_blocked ["enqueue: new with parents"],
    the_same_job_again_is_the_existing_one ["enqueue: known, same envelope"],
    the_existing_job_is_answered_as_it_stands_now ["enqueue: known, same envelope"],
    an_id_with_another_envelope_is_a_conflict ["enqueue: known, another envelope"],
    an_idempotency_key_is_the_id ["enqueue: the idempotency key is the id"],
    a_batch_is_answered_in_its_order,
    the_same_job_twice_in_a_batch_is_recorded_once,
    a_batch_of_256_jobs_is_recorded,
    every_reply_names_the_same_epoch_of_a_shard,
    shards_are_apart,
    the_envelope_and_the_view_keep_what_was_given,
}

const QUEUED: Enqueued = Enqueued::Created {
    status: JobStatus::Queued,
    gen_: 1,
};

async fn a_new_job_is_queued_with_gen_1_and_due_in_the_outbox_after_its_grace(rig: Rig) {
    let job = rig.job(|_| {});
    assert_eq!(rig.enqueue(&job).await, QUEUED);
    let view = rig.view(job.id).await;
    assert_eq!(
        (view.status, view.gen_, view.attempts, view.published_at),
        (JobStatus::Queued, 1, 0, None)
    );
    assert_eq!(
        rig.outbox_ids().await,
        [],
        "the producer has 5 seconds to publish"
    );
    rig.pass_secs(6).await;
    let due = rig.outbox().await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].id, due[0].gen_, due[0].attempts), (job.id, 1, 0));
    assert_eq!(
        (&due[0].envelope, &due[0].queue, due[0].priority),
        (&job.envelope, &job.queue, job.priority)
    );
}

async fn a_job_for_later_is_scheduled(rig: Rig) {
    let job = rig.job(|spec| spec.start = Start::After(Duration::from_secs(60)));
    assert_eq!(
        rig.enqueue(&job).await,
        Enqueued::Created {
            status: JobStatus::Scheduled,
            gen_: 0
        }
    );
    let view = rig.view(job.id).await;
    assert_eq!(
        (view.status, view.gen_, view.run_at),
        (JobStatus::Scheduled, 0, job.run_at)
    );
    assert_eq!(rig.promoted().await, []);
    rig.pass_secs(30).await;
    assert_eq!(rig.outbox_ids().await, [], "a scheduled job is not in the outbox");
}

async fn a_due_time_in_the_past_means_now(rig: Rig) {
    let past = rig.now().before(Duration::from_secs(5));
    let job = rig.job(|spec| spec.start = Start::At(past));
    assert_eq!(rig.enqueue(&job).await, QUEUED);
}

async fn a_job_with_parents_is_blocked(rig: Rig) {
    let (one, two) = (rig.enqueued(|_| {}).await, rig.job_in(1, |_| {}));
    let child = rig.job(|spec| spec.depends_on = vec![one.id.into(), two.id.into()]);
    assert_eq!(
        rig.enqueue(&child).await,
        Enqueued::Created {
            status: JobStatus::Blocked,
            gen_: 0
        }
    );
    let mut open: Vec<_> = rig
        .view(child.id)
        .await
        .open_parents
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    open.sort_unstable();
    let mut parents = vec![one.id, two.id];
    parents.sort_unstable();
    assert_eq!(open, parents);
}

async fn the_same_job_again_is_the_existing_one(rig: Rig) {
    let spec = crate::factory::Factory::spec();
    let id = rig.job(|_| {}).id;
    let job = rig.job_of(&spec, id);
    assert_eq!(rig.enqueue(&job).await, QUEUED);
    rig.pass_secs(2).await;
    let again = rig.job_of(&spec, id);
    let existing = |unpublished| Enqueued::Existing {
        status: JobStatus::Queued,
        gen_: 1,
        unpublished,
    };
    assert_eq!(rig.enqueue(&again).await, existing(true));
    rig.mark_published(id, 1).await;
    assert_eq!(rig.enqueue(&again).await, existing(false));
    assert_eq!(
        rig.view(id).await.created_at,
        job.created_at,
        "the first one stays"
    );
}

async fn the_existing_job_is_answered_as_it_stands_now(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let existing = |status| Enqueued::Existing {
        status,
        gen_: 1,
        unpublished: false,
    };
    assert_eq!(rig.enqueue(&held.job).await, existing(JobStatus::Running));
    rig.finish(&held, completed()).await;
    assert_eq!(rig.enqueue(&held.job).await, existing(JobStatus::Completed));
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Completed));
}

async fn an_id_with_another_envelope_is_a_conflict(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    let other = rig.job(|spec| {
        spec.id = Some(job.id);
        spec.args = longshore_core::value::encode("args", &8_u8).unwrap();
    });
    assert_eq!(rig.enqueue(&other).await, Enqueued::Conflict);
    assert_eq!(rig.view(job.id).await.full.unwrap().envelope, job.envelope);
}

async fn an_idempotency_key_is_the_id(rig: Rig) {
    let id = JobId::from_idempotency_key("order-4711");
    let job = rig.job(|spec| spec.id = Some(id));
    assert_eq!(rig.enqueue(&job).await, QUEUED);
    assert!(matches!(rig.enqueue(&job).await, Enqueued::Existing { .. }));
    rig.mark_published(id, 1).await;
    rig.start(&job, 1).await;
    assert_eq!(rig.status(id).await, Some(JobStatus::Running));
}

async fn a_batch_is_answered_in_its_order(rig: Rig) {
    let known = rig.enqueued(|_| {}).await;
    let taken = rig.enqueued(|_| {}).await;
    let conflicting = rig.job(|spec| {
        spec.id = Some(taken.id);
        spec.max_retries = 9;
    });
    let later = rig.job(|spec| spec.start = Start::After(Duration::from_secs(9)));
    let fresh = rig.job(|_| {});
    let reply = rig
        .ports
        .enqueue
        .enqueue(0, vec![later, conflicting, fresh, known])
        .await
        .unwrap();
    assert_eq!(
        reply.jobs,
        [
            Enqueued::Created {
                status: JobStatus::Scheduled,
                gen_: 0
            },
            Enqueued::Conflict,
            QUEUED,
            Enqueued::Existing {
                status: JobStatus::Queued,
                gen_: 1,
                unpublished: true
            },
        ]
    );
}

async fn the_same_job_twice_in_a_batch_is_recorded_once(rig: Rig) {
    let job = rig.job(|_| {});
    let reply = rig
        .ports
        .enqueue
        .enqueue(0, vec![job.clone(), job.clone()])
        .await
        .unwrap();
    assert_eq!(reply.jobs[0], QUEUED);
    assert!(matches!(reply.jobs[1], Enqueued::Existing { .. }), "{reply:?}");
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
}

async fn a_batch_of_256_jobs_is_recorded(rig: Rig) {
    let jobs: Vec<_> = (0..longshore_core::limits::SCRIPT_JOBS_MAX)
        .map(|_| rig.job(|_| {}))
        .collect();
    let reply = rig.ports.enqueue.enqueue(0, jobs.clone()).await.unwrap();
    assert_eq!(reply.jobs, vec![QUEUED; jobs.len()]);
    let ids = jobs.iter().map(|job| job.id).collect();
    let statuses = rig.ports.enqueue.statuses(0, ids).await.unwrap();
    assert!(statuses.iter().all(|status| *status == Some(JobStatus::Queued)));
}

async fn every_reply_names_the_same_epoch_of_a_shard(rig: Rig) {
    let reply = rig.ports.enqueue.enqueue(0, vec![rig.job(|_| {})]).await.unwrap();
    let again = rig.ports.enqueue.enqueue(0, vec![rig.job(|_| {})]).await.unwrap();
    assert_ne!(reply.epoch, 0, "0 means that the producer could not know");
    assert_eq!(reply.epoch, again.epoch);
    assert_eq!(
        rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch,
        reply.epoch
    );
    assert_eq!(rig.ports.schedule.promote(0, 1).await.unwrap().epoch, reply.epoch);
    let missing = rig.deliver(rig.job(|_| {}).id, 1).await;
    assert_eq!(missing, Claimed::Missing { epoch: reply.epoch });
}

async fn shards_are_apart(rig: Rig) {
    assert!(rig.ports.enqueue.shards().count() >= 2);
    let (here, there) = (rig.job_in(0, |_| {}), rig.job_in(1, |_| {}));
    rig.enqueue(&here).await;
    rig.enqueue(&there).await;
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(here.id, 1)]);
    let other = rig.ports.schedule.lease_outbox(1, 100).await.unwrap().jobs;
    assert_eq!(other.iter().map(|job| job.id).collect::<Vec<_>>(), [there.id]);
}

async fn the_envelope_and_the_view_keep_what_was_given(rig: Rig) {
    let expires = rig.now().after(Duration::from_secs(900));
    let job = rig
        .enqueued(|spec| {
            spec.name = Some("Bericht März".to_owned());
            spec.queue = longshore_core::QueueName::new("reports").unwrap();
            spec.priority = longshore_core::Priority::High;
            spec.tags = ["a:1".to_owned(), "b".to_owned()].into();
            spec.deadline = Some(expires);
            spec.args = longshore_core::value::encode("args", &vec![0_u8; 200_000]).unwrap();
        })
        .await;
    let view = rig.view(job.id).await;
    assert_eq!(
        (view.name.as_str(), view.function_name.as_str()),
        ("Bericht März", "work")
    );
    assert_eq!(
        (view.queue.as_str(), view.priority),
        ("reports", longshore_core::Priority::High)
    );
    assert_eq!((&view.tags, view.created_at), (&job.tags, job.created_at));
    assert_eq!(view.full.unwrap().envelope, job.envelope);
    assert_eq!((view.started_at, view.finished_at), (None::<Timestamp>, None));
}
