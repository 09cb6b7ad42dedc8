//! Lists, queues, workers, dead letters.

use longshore::{
    Backend, BackendConfig, Client, ClientError, ConnectError, DeadLetterChange, Endpoints, FunctionName,
    JobFilter, JobId, JobStatus, QueueName, secs,
};
use longshore_core::port::Error;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, SystemClock};

use crate::rig::{Fail, Join, PATIENCE, Rig, echo};

fn filter(shape: impl FnOnce(&mut JobFilter)) -> JobFilter {
    let mut filter = JobFilter::default();
    shape(&mut filter);
    filter
}

#[tokio::test]
async fn a_listing_shows_what_matches() {
    let rig = Rig::new();
    let plain = rig.client.enqueue(echo("a")).await.unwrap();
    let tagged = rig.client.enqueue(echo("b")).tags(["x", "y"]).await.unwrap();
    let other = rig.client.enqueue(echo("c")).queue("other").await.unwrap();
    let child = rig.client.enqueue(Join).depends_on([&plain]).await.unwrap();
    let later = rig.client.enqueue(echo("d")).delay(secs(60)).await.unwrap();
    let ids = async |filter: JobFilter| {
        let page = rig.client.list(filter).await.unwrap();
        assert_eq!(page.next, None);
        page.jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let tags = filter(|filter| filter.tags = vec!["x".into(), "y".into()]);
    assert_eq!(ids(tags).await, [tagged.id()]);
    let queue = filter(|filter| filter.queue = Some(QueueName::new("other").unwrap()));
    assert_eq!(ids(queue).await, [other.id()]);
    let function = filter(|filter| filter.function_name = Some(FunctionName::new("join").unwrap()));
    assert_eq!(ids(function).await, [child.id()]);
    let status = filter(|filter| filter.statuses = vec![JobStatus::Scheduled, JobStatus::Blocked]);
    let mut waiting = ids(status).await;
    waiting.sort_unstable();
    let mut expected = [child.id(), later.id()];
    expected.sort_unstable();
    assert_eq!(waiting, expected);
    assert_eq!(ids(JobFilter::default()).await.len(), 5);
}

#[tokio::test]
async fn pages_and_the_stream_show_every_job_once_the_newest_first() {
    let rig = Rig::new();
    for number in 0..25 {
        rig.client.enqueue(echo(&number.to_string())).await.unwrap();
    }
    let everything = JobFilter::default();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = rig.client.list(&everything).limit(10).after(after).await.unwrap();
        assert!(page.jobs.len() <= 10);
        pages.extend(page.jobs.iter().map(|job| (job.created_at, job.id)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages.len(), 25);
    assert!(pages.is_sorted_by_key(|(created_at, _)| std::cmp::Reverse(*created_at)));
    let mut streamed = Vec::new();
    let mut stream = rig.client.list(&everything).limit(7).stream();
    while let Some(job) = stream.next().await {
        let job = job.unwrap();
        streamed.push((job.created_at, job.id));
    }
    assert_eq!(streamed, pages);
}

#[tokio::test]
async fn a_page_out_of_bounds_is_refused() {
    let rig = Rig::new();
    for limit in [0, 1_001] {
        let error = rig
            .client
            .list(JobFilter::default())
            .limit(limit)
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Invalid { field: "limit", .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_paused_queue_holds_its_jobs_until_it_is_resumed() {
    let mut rig = Rig::new();
    rig.client.pause("default").await.unwrap();
    rig.run_fleet();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert_eq!(rig.client.queue_size("default").await.unwrap(), 1);
    assert_eq!(rig.client.queue_size("nobody").await.unwrap(), 0);
    let queues = rig.client.queues().await.unwrap();
    assert!(queues[&QueueName::default()].paused);
    handle
        .wait_timeout(std::time::Duration::from_millis(300))
        .await
        .unwrap_err();
    rig.client.resume("default").await.unwrap();
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "a");
    let error = rig.client.pause("no spaces").await.unwrap_err();
    assert!(error.to_string().starts_with("queue:"), "{error}");
}

#[tokio::test]
async fn workers_are_listed_and_a_dead_letter_is_requeued() {
    let mut rig = Rig::new();
    assert!(rig.client.workers().await.unwrap().is_empty());
    rig.run_fleet();
    let handle = rig.client.enqueue(Fail { for_good: true }).await.unwrap();
    handle.wait_timeout(PATIENCE).await.unwrap_err();
    let workers = rig.client.workers().await.unwrap();
    assert_eq!((workers.len(), workers[0].slots), (1, 4));
    let gen_ = rig.until(handle.id(), JobStatus::Failed).await.gen_;
    assert_eq!(
        rig.client.requeue(handle.id()).await.unwrap(),
        DeadLetterChange::Done
    );
    handle.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(rig.until(handle.id(), JobStatus::Failed).await.gen_ > gen_);
    let done = rig.client.enqueue(echo("fine")).await.unwrap();
    done.wait_timeout(PATIENCE).await.unwrap();
    assert_eq!(
        rig.client.requeue(done.id()).await.unwrap(),
        DeadLetterChange::NotDead
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_none_that_is_looked_at_with_it() {
    let rig = Rig::new();
    // One shard, so that the looks share a trip.
    let id = || JobId::generate(SystemClock.now(), 0, &SystemRandom);
    let ids = [id(), id(), id(), id(), id()];
    for id in ids {
        rig.client.enqueue(echo("a")).id(id).await.unwrap();
    }
    rig.looks.tear(ids[3]);
    let seen = futures_util::future::join_all(ids.map(|id| rig.client.view(id))).await;
    for (id, seen) in ids.into_iter().zip(seen) {
        if id == ids[3] {
            assert!(
                matches!(seen, Err(ClientError::Store(Error::Corrupt(_)))),
                "{seen:?}"
            );
        } else {
            assert_eq!(seen.unwrap().unwrap().id, id);
        }
    }
}

#[tokio::test]
async fn a_client_connects_to_a_folder_by_its_url_and_shares_a_backend() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("embedded://{}", folder.path().display());
    let client = Client::connect(url.as_str()).await.unwrap();
    let id = client.enqueue(echo("kept")).await.unwrap().id();
    client.close().await;
    drop(client);
    let config = BackendConfig::new(Endpoints::embedded(folder.path()));
    let backend = Backend::connect(&config).await.unwrap();
    let client = Client::builder().backend(&backend).unwrap();
    let view = client.view(id).await.unwrap().unwrap();
    assert!(view.status == JobStatus::Queued && view.published_at.is_some());
}

#[tokio::test]
async fn wrong_endpoints_and_settings_name_the_field() {
    for (endpoint, field) in [
        (Client::connect("amqp://127.0.0.1").await, "redis_url"),
        (Client::connect("http://127.0.0.1").await, "url"),
        (
            Client::connect(("amqp://127.0.0.1", "s3cret@nowhere")).await,
            "redis_url",
        ),
    ] {
        let ConnectError::Endpoint(error) = endpoint.unwrap_err() else {
            panic!("an endpoint's error");
        };
        let text = error.to_string();
        assert!(text.starts_with(field) && !text.contains("s3cret"), "{text}");
    }
    let error = Client::builder()
        .bundle_max(65)
        .connect("embedded:///nowhere")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "bundle_max: 65 is out of range; use 1 to 64");
}
