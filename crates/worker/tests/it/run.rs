//! What handlers return, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::{JobError, JobStatus, value};
use longshore_worker::{Error, JobContext, State};

use crate::rig::{Echo, Rig, Running, echo, named};

#[derive(Clone)]
struct Greeting(&'static str);

async fn greet(job: Echo, ctx: JobContext, State(greeting): State<Greeting>) -> Result<String, JobError> {
    let deep = (0..120).fold(serde_json::json!(1), |value, _| serde_json::json!([value]));
    ctx.progress(0.5, "half way")
        .field("items", 3)
        .field("deep", deep)
        .field("long", "x".repeat(5_000));
    ctx.log("a line");
    Ok(format!("{} {} #{}", greeting.0, job.text, ctx.attempt()))
}

async fn fails_twice(job: Echo, State(calls): State<Arc<AtomicU32>>) -> Result<String, JobError> {
    match calls.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err(JobError::transient("connection reset")),
        _ => Ok(job.text),
    }
}

async fn refuses(_: Echo) -> Result<String, JobError> {
    Err(JobError::permanent("no such user"))
}

async fn panics(_: Echo) -> Result<String, JobError> {
    panic!("boom {}", 7)
}

#[expect(clippy::needless_pass_by_value, reason = "handlers take what they are given")]
fn blocks(job: Echo, ctx: JobContext) -> Result<String, JobError> {
    ctx.check_cancelled()?;
    Ok(job.text.to_uppercase())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_with_state_and_progress_and_its_result_is_kept() {
    let rig = Rig::new();
    let worker = Running::start(rig.worker().state(Greeting("hello")).register(greet));
    let id = rig.enqueue(echo("world")).await;
    let view = rig.until(id, JobStatus::Completed).await;
    let result = view.full.unwrap().result.unwrap();
    assert_eq!(
        value::decode::<String>("result", &result).unwrap(),
        "hello world #1"
    );
    assert_eq!(view.progress.message, "half way");
    let fields: Vec<_> = view.progress.fields.iter().collect();
    assert_eq!(
        fields,
        [(&"items".to_owned(), &serde_json::json!(3))],
        "what is too deep or too long to be read by everybody is left out"
    );
    let log = rig.ports.inspect.log(0, id, 0).await.unwrap();
    assert_eq!((log[0].number, log[0].attempt, &*log[0].text), (1, 1, "a line"));
    let report = worker.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.stats.started, report.stats.completed), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_error_is_retried_until_it_passes() {
    let rig = Rig::new();
    let calls = Arc::new(AtomicU32::new(0));
    let worker = Running::start(rig.worker().state(Arc::clone(&calls)).register(fails_twice));
    let id = rig.enqueue(echo("x")).await;
    let view = rig.until(id, JobStatus::Completed).await;
    assert_eq!((view.attempts, view.retries), (3, 2));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(worker.stop().await.stats.retried, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_error_fails_the_job_at_once() {
    let rig = Rig::new();
    let worker = Running::start(rig.worker().register(refuses));
    let id = rig.enqueue(echo("x")).await;
    let view = rig.until(id, JobStatus::Failed).await;
    assert_eq!(view.attempts, 1);
    assert_eq!(view.error.unwrap().message, "no such user");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_fails_the_job_with_its_message_and_the_worker_goes_on() {
    longshore_worker::install_panic_hook();
    let rig = Rig::new();
    let worker = Running::start(
        rig.worker()
            .max_workers(1)
            .register(panics)
            .register_named("after", async |_: serde_json::Value| Ok::<_, JobError>(())),
    );
    let id = rig.enqueue(echo("x")).await;
    let error = rig.until(id, JobStatus::Failed).await.error.unwrap();
    assert_eq!(error.error_type, longshore_worker::PANIC);
    assert!(
        error.message.contains("boom 7") && error.message.contains("run.rs"),
        "{error:?}"
    );
    assert!(error.traceback.is_some());
    let after = rig.enqueue(named("after", &())).await;
    rig.until(after, JobStatus::Completed).await;
    assert_eq!(worker.stop().await.stats.panics, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_handler_runs_beside_the_others() {
    let rig = Rig::new();
    let worker = Running::start(rig.worker().register_blocking(blocks));
    let id = rig.enqueue(echo("quiet")).await;
    let view = rig.until(id, JobStatus::Completed).await;
    let result = view.full.unwrap().result.unwrap();
    assert_eq!(value::decode::<String>("result", &result).unwrap(), "QUIET");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_do_not_fit_and_results_over_the_bound_fail_the_job_and_say_so() {
    let rig = Rig::new();
    let worker = Running::start(
        rig.worker()
            .register(refuses)
            .register_named("large", async |_: serde_json::Value| {
                Ok::<_, JobError>("x".repeat(300 * 1024))
            }),
    );
    let wrong = rig.enqueue(named("echo", &5)).await;
    let large = rig.enqueue(named("large", &())).await;
    let error = rig.until(wrong, JobStatus::Failed).await.error.unwrap();
    assert!(error.message.starts_with("args:"), "{error:?}");
    let error = rig.until(large, JobStatus::Failed).await.error.unwrap();
    assert!(
        error.message.starts_with("result:") && error.message.contains("256 KiB"),
        "{error:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn every_problem_of_the_set_up_is_reported_at_once() {
    let rig = Rig::new();
    let built = rig
        .worker()
        .max_workers(0)
        .drain_deadline(Duration::MAX)
        .cancel_grace(Duration::MAX)
        .stuck_max(0)
        .job_timeout(Duration::ZERO)
        .queue("no/such name")
        .register(greet)
        .register(refuses)
        .register_named("typo", async |_: serde_json::Value, State(_): State<Greeting>| {
            Ok::<_, JobError>(())
        })
        .build();
    let Err(Error::Invalid { problems }) = built else {
        panic!("{built:?}");
    };
    for part in [
        "echo is registered twice",
        "Greeting",
        "function typo",
        "max_workers",
        "drain_deadline",
        "cancel_grace",
        "stuck_max",
        "job_timeout",
        "queue",
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(part)),
            "{part}: {problems:?}"
        );
    }
}
