//! `longshore worker`: the stock worker, with the functions that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{FunctionName, JobError, JobId, QueueName};
use longshore_notify::signature::Key;
use longshore_service::config;
use longshore_service::exit::ExitCode;
use longshore_service::telemetry::TRACE_TARGET;
use longshore_worker::{BackendSource, Builder, JobContext, StopCause, Worker};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::adapter::command::{self, CommandFunction};
use crate::adapter::http::{self, HttpFunction};
use crate::failpoint;
use crate::failure::Failure;
use crate::health;
use crate::samples;
use crate::setting::Setting;

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) queues: Vec<QueueName>,
    pub(crate) max_workers: Option<u32>,
    pub(crate) samples: bool,
}

/// Runs a worker until told to stop.
///
/// # Errors
/// When it cannot start, or ends (or is ended by a second signal) before its jobs were given back.
pub(crate) async fn run(setting: &Setting, extra: Extra) -> Result<(), Failure> {
    if let config::Endpoints::Embedded(folder) = &setting.config.endpoints {
        return Err(Failure::usage(format!(
            "the workers of an embedded store ({}) run in its own process; use `longshore dev`, or set amqp_url and redis_url",
            folder.display()
        )));
    }
    let source = failpoint::source(setting).await?;
    tokio::select! {
        ended = run_on(setting, source, &extra, setting.stop.gentle.clone()) => ended,
        () = setting.stop.force.cancelled() => Err(Failure::new(ExitCode::Forced, "ended by a second signal")),
    }
}

/// Runs a worker on `source` until `stop`.
///
/// # Errors
/// When it cannot start, or ends with jobs that it could not give back.
pub(crate) async fn run_on(
    setting: &Setting,
    source: BackendSource,
    extra: &Extra,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let config = &setting.config.worker;
    let max_workers = extra.max_workers.unwrap_or(config.max_workers);
    let mut builder = Worker::builder(source)
        .max_workers(usize::try_from(max_workers).unwrap_or(usize::MAX))
        .drain_deadline(config.drain_deadline)
        .cancel_grace(config.cancel_grace)
        .job_timeout(config.job_timeout)
        .shutdown(stop.clone());
    let queues = if extra.queues.is_empty() {
        &config.queues
    } else {
        &extra.queues
    };
    for queue in queues {
        builder = builder.queue(queue.as_str());
    }
    builder = register_commands(builder, config);
    builder = register_http(builder, config)?;
    if extra.samples {
        builder = samples::register(builder);
    }
    if config.commands.is_empty() && config.http.is_empty() && !extra.samples {
        return Err(Failure::new(
            ExitCode::Config,
            "no function is configured; add a table [worker.commands.NAME] with program, or [worker.http.NAME] with url, \
             to longshore.toml; or try --samples",
        ));
    }
    let worker = builder.build()?;
    setting.health.add(health::part(health::Worker {
        health: worker.health(),
        limits: setting.config.health.clone(),
        stop,
    }));
    let report = worker.run().await?;
    if report.is_clean() {
        return Ok(());
    }
    tracing::warn!(
        cause = %report.cause,
        left_running = %joined(&report.left_running),
        left_unsettled = %joined(&report.left_unsettled),
        stats = ?report.stats,
        "the worker ended with work left"
    );
    let why = match &report.cause {
        StopCause::Stuck(jobs) => format!(
            "{} handlers did not stop when they were aborted, so the worker drained; start it again. ",
            jobs.len()
        ),
        _ => String::new(),
    };
    Err(Failure::new(
        ExitCode::WorkLeft,
        format!(
            "{why}The worker ended with {} jobs still running and {} whose end the store does not know; they run again when \
             their leases end",
            report.left_running.len(),
            report.left_unsettled.len(),
        ),
    ))
}

fn joined(jobs: &[JobId]) -> String {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

fn register_commands(builder: Builder, config: &config::Worker) -> Builder {
    config.commands.iter().fold(builder, |builder, (name, function)| {
        let timeout = function.timeout;
        let function = Arc::new(CommandFunction {
            program: function.program.clone(),
            args: function.args.clone(),
            env: function
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            cwd: function.cwd.clone(),
        });
        builder.register_named(name.as_str(), move |args: Value, ctx: JobContext| {
            let function = Arc::clone(&function);
            let span = tracing::debug_span!(
                target: TRACE_TARGET,
                "command",
                process.executable.path = %function.program.display(),
            );
            async move { limit(timeout, command::run(&function, &args, &ctx)).await }.instrument(span)
        })
    })
}

fn register_http(builder: Builder, config: &config::Worker) -> Result<Builder, Failure> {
    if config.http.is_empty() {
        return Ok(builder);
    }
    let client = http::client().map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
    config.http.iter().try_fold(builder, |builder, (name, function)| {
        let timeout = function.timeout;
        let secret = function
            .secret
            .as_ref()
            .map(|secret| Key::parse(secret.expose()))
            .transpose();
        let secret = secret.map_err(|problem| bad_secret(name, &problem.to_string()))?;
        let headers = function
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        let function = Arc::new(HttpFunction {
            url: function.url.expose().to_owned(),
            secret,
            headers,
        });
        let client = client.clone();
        Ok(
            builder.register_named(name.as_str(), move |args: Value, ctx: JobContext| {
                let (client, function) = (client.clone(), Arc::clone(&function));
                let span = tracing::debug_span!(
                    target: TRACE_TARGET,
                    "POST",
                    otel.kind = "client",
                    http.request.method = "POST",
                );
                async move { limit(timeout, http::run(&client, &function, &args, &ctx)).await }
                    .instrument(span)
            }),
        )
    })
}

fn bad_secret(name: &FunctionName, problem: &str) -> Failure {
    Failure::new(ExitCode::Config, format!("worker.http.{name}.secret: {problem}"))
}

/// The function's own limit, when that is shorter than the job's, which the worker keeps.
async fn limit(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<Value, JobError>>,
) -> Result<Value, JobError> {
    match timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(JobError::transient(format_args!(
                "timeout after {limit:?}, the function's own limit"
            )))
        }),
    }
}
