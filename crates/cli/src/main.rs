//! The `longshore` command: everything meets here.

mod access;
mod adapter;
mod args;
mod bench;
mod board;
mod config;
mod cron;
mod dev;
mod dlq;
mod doctor;
mod enqueue;
mod failpoint;
mod failure;
mod fleet;
mod gateway;
mod health;
mod job;
mod job_ref;
mod man;
mod notify;
mod output;
mod pod_cost;
mod probe;
mod quarantine;
mod queue;
mod remote;
mod request;
mod samples;
mod scheduler;
mod setting;
mod similar;
mod stats;
mod top;
mod worker;
mod workers;

use clap::{CommandFactory, Parser};
use indicatif::MultiProgress;
use longshore_backend::Backend;
use longshore_service::config::{Endpoints, Origin};
use longshore_service::exit::ExitCode;
use longshore_service::signals;
use tokio_util::sync::CancellationToken;

use crate::args::{Cli, Command};
use crate::enqueue::input::Input;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::Out;
use crate::remote::Remote;
use crate::setting::{Purpose, Setting};

fn main() -> std::process::ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| args::group::with_tip(error).exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::from(error)),
    };
    let ended = runtime.block_on(Box::pin(run(cli)));
    // A blocking read of stdin or a stuck handler must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::Ok.into(),
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> std::process::ExitCode {
    if !failure.message.is_empty() {
        output::warn(format!("error: {}", failure.message));
    }
    failure.code.into()
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let mut out = Out::new(cli.global.output);
    let Some(command) = cli.command else {
        if cli.global.dump_config {
            return config::show(&setting::sources(&cli.global), &mut out);
        }
        return Ok(Cli::command().print_help()?);
    };
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "longshore", &mut script);
            return Ok(out.line(String::from_utf8_lossy(&script).trim_end())?);
        }
        Command::Man { out: folder } => return man::run(folder.as_deref(), &mut out),
        Command::Probe(options) => return probe::run(&options).await,
        Command::PodCost(options) => return pod_cost::run(&options).await,
        Command::Cron(args::Cron::Next(options)) => return cron::next::run(&options, &mut out),
        Command::Config(args::Config::Check) => {
            return config::check(&setting::sources(&cli.global), &mut out);
        }
        Command::Config(args::Config::Show) => return config::show(&setting::sources(&cli.global), &mut out),
        _ if cli.global.dump_config => return config::show(&setting::sources(&cli.global), &mut out),
        _ => {}
    }
    let config = config::load(&setting::sources(&cli.global))?;
    let stop = signals::listen()?;
    let setting = Setting::new(config, stop);
    let ended = Box::pin(run_with(&setting, command, &mut out)).await;
    setting.flush().await;
    ended
}

async fn run_with(setting: &Setting, command: Command, out: &mut Out) -> Result<(), Failure> {
    if setting.config.origin("api.url") == Origin::Flag
        && let Some(what) = command.needs_servers()
    {
        return Err(Failure::usage(format!(
            "--url: {what} works on RabbitMQ and Redis, or the embedded store, itself; give --amqp-url and --redis-url, \
             or --embedded, where those can be reached"
        )));
    }
    match command {
        Command::Dev(options) => {
            let bars = MultiProgress::new();
            setting.observe("dev", &bars)?;
            // All that a fleet does at once: too large to lie in the future of every command.
            Box::pin(dev::run(setting, &options, bars, out)).await
        }
        Command::Worker(options) if options.command.is_none() => {
            setting.observe("worker", &MultiProgress::new())?;
            let extra = worker::Extra {
                queues: options.queues,
                max_workers: options.max_workers,
                samples: options.samples,
            };
            worker::run(setting, extra).await
        }
        Command::Doctor(options) => Box::pin(doctor::run(setting, options, out)).await,
        Command::Bench(options) => bench::run(setting, &options, out).await,
        Command::Notify(args::Notify::Test { channel }) => {
            let test = notify::test(&setting.config, channel.as_deref(), out);
            unless(&setting.stop.gentle, test).await
        }
        Command::Scheduler => {
            setting.observe("scheduler", &MultiProgress::new())?;
            scheduler::run(setting).await
        }
        Command::Gateway(options) => {
            setting.observe("gateway", &MultiProgress::new())?;
            gateway::run(setting, &options, out).await
        }
        command => {
            if matches!(command, Command::Enqueue(_)) {
                setting.observe_quietly("enqueue")?;
            }
            with_client(setting, command, out).await
        }
    }
}

/// Commands that ask and answer: no log, and a signal ends them at once.
async fn with_client(setting: &Setting, command: Command, out: &mut Out) -> Result<(), Failure> {
    let stop = &setting.stop.gentle;
    // Read and checked before anything is connected.
    let (command, input) = match command {
        Command::Enqueue(options) => {
            let reading = tokio::task::spawn_blocking(move || {
                let input = enqueue::input::read(&options);
                (Command::Enqueue(options), input)
            });
            let (command, input) = unless(stop, async {
                reading
                    .await
                    .map_err(|error| Failure::new(ExitCode::Failure, error))
            })
            .await?;
            (command, Some(input?))
        }
        command => (command, None),
    };
    let entry = match &command {
        Command::Cron(args::Cron::Add(options)) => Some(cron::add::read(options)?),
        _ => None,
    };
    if setting.is_remote() && !matches!(command, Command::Notify(_)) {
        if matches!(&command, Command::Enqueue(options) if options.job.created_by.is_some()) {
            return Err(Failure::usage(
                "--created-by: a gateway notes the name of the token; leave it out",
            ));
        }
        let fleet = Fleet::remote(Remote::new(&setting.config.api)?);
        return Box::pin(ask(setting, &fleet, command, input, entry, out)).await;
    }
    let purpose = if command.only_looks() {
        Purpose::Look
    } else {
        Purpose::Client
    };
    let Some(backend) = setting.connect(purpose).await? else {
        return Err(interrupted());
    };
    if purpose == Purpose::Look && !setting.config.allow_degraded {
        for finding in backend.unfit() {
            output::warn(format!("warning: Redis may lose jobs as it is set up: {finding}"));
        }
    }
    if matches!(command, Command::Enqueue(_)) {
        warn_of_nobody(setting, &backend);
    }
    let fleet = Fleet::direct(setting.client(&backend)?, backend.ports().clone());
    let ended = match command {
        Command::Notify(_) => unless(stop, notify::list(&setting.config, backend.ports(), out)).await,
        command => Box::pin(ask(setting, &fleet, command, input, entry, out)).await,
    };
    fleet.close().await;
    backend.close().await;
    ended
}

async fn ask(
    setting: &Setting,
    fleet: &Fleet,
    command: Command,
    input: Option<Input>,
    entry: Option<cron::add::Entry>,
    out: &mut Out,
) -> Result<(), Failure> {
    let stop = &setting.stop.gentle;
    match (command, input) {
        (Command::Enqueue(options), Some(input)) => {
            // A batch is written to its end: cut short, its ids would be lost. A second signal ends it all the same.
            let stop_enqueue = match &input {
                Input::One(_) => stop,
                Input::Many(_) => &setting.stop.force,
            };
            let ids = unless(stop_enqueue, enqueue::run(fleet, input, options.watch, out)).await?;
            if options.watch {
                unless(stop, job::watch::run(fleet, &ids, out)).await?;
            }
            Ok(())
        }
        (Command::Cron(command), _) => {
            let asked = cron::run(fleet, command, entry, out);
            unless(stop, Box::pin(asked)).await
        }
        (Command::Job(command), _) => unless(stop, job::run(fleet, command, out)).await,
        (Command::Dlq(command), _) => unless(stop, dlq::run(fleet, command, out)).await,
        (Command::Quarantine(command), _) => unless(stop, quarantine::run(fleet, command, out)).await,
        (Command::Worker(_), _) => unless(stop, workers::run(fleet, out)).await,
        (Command::Queue(command), _) => unless(stop, queue::run(fleet, command, out)).await,
        (Command::Token(command), _) => unless(stop, access::token(fleet, command, out)).await,
        (Command::Audit(command), _) => unless(stop, access::audit(fleet, command, out)).await,
        (Command::Stats(options), _) => unless(stop, stats::run(fleet, options, out)).await,
        (Command::Top(options), _) => unless(stop, top::run(fleet, &options)).await,
        _ => Ok(()),
    }
}

/// What this process owns, no other one runs.
fn warn_of_nobody(setting: &Setting, backend: &Backend) {
    if let Endpoints::Embedded(folder) = &setting.config.endpoints
        && backend.is_owner()
    {
        output::warn(format!(
            "no process runs the jobs of {}; start `longshore dev` there",
            folder.display()
        ));
    }
}

async fn unless<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        ended = work => ended,
        () = stop.cancelled() => Err(interrupted()),
    }
}

fn interrupted() -> Failure {
    Failure::new(ExitCode::Failure, "interrupted; jobs go on")
}
