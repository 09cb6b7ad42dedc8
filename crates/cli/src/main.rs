//! The `longshore` command: everything meets here.

mod adapter;
mod args;
mod board;
mod dev;
mod enqueue;
mod failure;
mod job;
mod output;
mod queue;
mod request;
mod samples;
mod scheduler;
mod setting;
mod worker;

use clap::{CommandFactory, Parser};
use longshore_service::exit::ExitCode;
use longshore_service::{signals, telemetry};

use crate::args::{Cli, Command, Global};
use crate::failure::Failure;
use crate::output::Out;
use crate::setting::Setting;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
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
            return dump_config(&cli.global, &mut out);
        }
        return Ok(Cli::command().print_help()?);
    };
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "longshore", &mut std::io::stdout());
            return Ok(());
        }
        Command::Config(args::Config::Check) => return check_config(&cli.global, &mut out),
        Command::Config(args::Config::Show) => return dump_config(&cli.global, &mut out),
        _ if cli.global.dump_config => return dump_config(&cli.global, &mut out),
        _ => {}
    }
    let config = setting::load(&setting::sources(&cli.global)?)?;
    let stop = signals::listen()?;
    let setting = Setting { config, stop };
    match command {
        Command::Dev(options) => {
            start_log(&setting)?;
            dev::run(&setting, &options, &mut out).await
        }
        Command::Worker(options) => {
            start_log(&setting)?;
            let extra = worker::Extra {
                queues: options.queues,
                slots: options.slots,
                samples: options.samples,
            };
            worker::run(&setting, extra).await
        }
        Command::Scheduler => {
            start_log(&setting)?;
            scheduler::run(&setting).await
        }
        command => with_client(&setting, command, &mut out).await,
    }
}

/// Commands that ask and answer: no log, and a signal ends them at once.
async fn with_client(setting: &Setting, command: Command, out: &mut Out) -> Result<(), Failure> {
    let backend = setting.connect().await?;
    let client = Setting::client(&backend)?;
    let work = async {
        match command {
            Command::Enqueue(options) => enqueue::run(&client, &options, out).await,
            Command::Job(command) => job::run(&client, command, out).await,
            Command::Queue(command) => queue::run(&client, command, out).await,
            _ => Ok(()),
        }
    };
    let ended = tokio::select! {
        ended = Box::pin(work) => ended,
        () = setting.stop.gentle.cancelled() => Err(Failure::new(ExitCode::Failure, "interrupted; jobs go on")),
    };
    client.close().await;
    backend.close().await;
    ended
}

fn start_log(setting: &Setting) -> Result<(), Failure> {
    telemetry::install(&setting.config.log).map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    longshore_worker::install_panic_hook();
    Ok(())
}

fn check_config(global: &Global, out: &mut Out) -> Result<(), Failure> {
    setting::load(&setting::sources(global)?)?;
    Ok(out.line("the configuration has no problems")?)
}

fn dump_config(global: &Global, out: &mut Out) -> Result<(), Failure> {
    let config = setting::load(&setting::sources(global)?)?;
    Ok(out.line(config.dump().trim_end())?)
}
