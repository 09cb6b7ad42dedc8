//! `longshore dev`: scheduler, worker, gateway and sample jobs in one process, on an embedded store in one folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indicatif::MultiProgress;
use longshore::{Client, EnqueueError};
use longshore_core::view::{JobFilter, JobView};
use longshore_core::{Clock, JobId, JobStatus, SystemClock, Timestamp};
use longshore_gateway::Access;
use longshore_service::exit::ExitCode;
use longshore_worker::BackendSource;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::args::{Dev, Samples};
use crate::board::{Board, line, short};
use crate::failure::Failure;
use crate::output::{Out, plain, width};
use crate::samples::files::SampleFiles;
use crate::samples::round;
use crate::setting::{Purpose, Setting};
use crate::worker::Extra;
use crate::{gateway, notify, scheduler, worker};

/// Time between two rounds of sample jobs.
const ROUND: Duration = Duration::from_secs(30);
/// How often the board is drawn.
const REDRAW: Duration = Duration::from_millis(150);
/// How often at first, while somebody waits to see the first jobs.
const REDRAW_FIRST: Duration = Duration::from_millis(20);
/// How long that is.
const FIRST: Duration = Duration::from_secs(1);
/// Columns from which an event is shown with its priority and a long name.
const EVENT_WIDE: usize = 120;
/// Jobs that the board looks at.
const LOOK: usize = 300;

/// Runs until told to stop (or until idle).
///
/// # Errors
/// When the folder cannot be used, or a part ends with an error.
pub(crate) async fn run(
    setting: &Setting,
    options: &Dev,
    bars: MultiProgress,
    out: &mut Out,
) -> Result<(), Failure> {
    let folder = setting.embedded_folder()?;
    let notifications = notify::notifications(&setting.config)?;
    let listener = gateway::listen(setting, &options.gateway)?;
    let Some(backend) = setting.connect(Purpose::Dev).await? else {
        return Ok(());
    };
    if !backend.is_owner() {
        return Err(Failure::new(
            ExitCode::Unavailable,
            format!(
                "{} is in use by another longshore process; stop it, or use --embedded OTHER_FOLDER",
                folder.display()
            ),
        ));
    }
    let client = setting.client(&backend)?;
    let stop = setting.stop.gentle.child_token();
    let extra = Extra {
        queues: Vec::new(),
        max_workers: options.max_workers,
        samples: true,
    };
    let files = SampleFiles::prepare(&folder)?;
    greet(&folder, &gateway::address(setting, &listener)?, out)?;
    let source = BackendSource::from(backend.clone());
    let parts = async {
        let scheduler = scheduler::run_on(setting, backend.ports().clone(), notifications, stop.clone());
        let worker = async {
            let ran = worker::run_on(setting, source, &extra, stop.clone()).await;
            // Without its worker the process would take jobs and never run one.
            stop.cancel();
            ran
        };
        let gateway = async {
            let served = gateway::serve(
                setting,
                &options.gateway,
                &backend,
                &client,
                listener,
                stop.clone(),
                Access::Open,
            )
            .await;
            stop.cancel();
            served
        };
        let ((), ran, served) = tokio::join!(scheduler, worker, gateway);
        ran.and(served)
    };
    let show = async {
        let producer = tokio::spawn(produce(client.clone(), files, options.samples, stop.clone()));
        let board = Board::new(bars, false);
        let shown = watch(&client, board, producer, options.until_idle, &stop, out).await;
        stop.cancel();
        shown
    };
    let both = async {
        let (ran, shown) = tokio::join!(parts, show);
        ran.and(shown)
    };
    let ended = tokio::select! {
        ended = both => ended,
        () = setting.stop.force.cancelled() => Err(Failure::new(ExitCode::Forced, "ended by a second signal")),
    };
    client.close().await;
    backend.close().await;
    ended
}

fn greet(folder: &Path, address: &str, out: &mut Out) -> Result<(), Failure> {
    let at = if folder == Path::new(".longshore") {
        String::new()
    } else {
        format!(" --embedded {}", folder.display())
    };
    let sample = |name: &str| json!({ "path": folder.join("samples").join(name) });
    let lines = [
        format!("longshore dev: the dashboard is at {address}"),
        "Scheduler, worker and an embedded store work in".to_owned(),
        format!("{}", folder.display()),
        String::new(),
        "Try, in another terminal in this folder:".to_owned(),
        format!("  longshore{at} job ls"),
        format!("  longshore{at} enqueue sample.hash_file \\"),
        format!("    '{}' --watch", sample("blob.bin")),
        format!("  longshore{at} enqueue sample.count_words \\"),
        format!("    '{}' --in 10s", sample("readme.txt")),
        format!("  longshore{at} job ls --status failed"),
        format!("  longshore{at} job show ID"),
        format!("  longshore{at} queue pause default"),
        format!("  longshore{at} queue resume default"),
        String::new(),
        "Ctrl-C drains and ends; what is left goes on at the next start.".to_owned(),
        "(From a checkout: `cargo run --release --` for `longshore`.)".to_owned(),
        String::new(),
    ];
    lines.iter().try_for_each(|line| out.line(line))?;
    Ok(())
}

/// Enqueues rounds of sample jobs.
async fn produce(
    client: Client,
    files: SampleFiles,
    samples: Samples,
    stop: CancellationToken,
) -> Result<(), EnqueueError> {
    // Rounds are numbered by time, so that their files stay apart over restarts.
    let pace = if samples == Samples::Once {
        round::Pace::Quick
    } else {
        round::Pace::Watched
    };
    while samples != Samples::Off && !stop.is_cancelled() {
        round::enqueue(&client, &files, SystemClock.now().millis() / 1_000, pace).await?;
        if samples == Samples::Once {
            break;
        }
        tokio::select! {
            () = sleep(ROUND) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Shows what happens until told to stop, or until the producer is done and every job has ended.
async fn watch(
    client: &Client,
    board: Board,
    producer: JoinHandle<Result<(), EnqueueError>>,
    until_idle: bool,
    stop: &CancellationToken,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut view = View {
        board,
        seen: BTreeMap::new(),
        started: Instant::now(),
    };
    let mut producer = Some(producer);
    while !stop.is_cancelled() {
        let pause = if view.started.elapsed() < FIRST {
            REDRAW_FIRST
        } else {
            REDRAW
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => break,
        }
        if let Some(task) = producer.take_if(|task| task.is_finished()) {
            task.await
                .map_err(|error| Failure::new(ExitCode::Failure, error))??;
        }
        let page = client.list(JobFilter::default()).limit(LOOK).await?;
        view.show(&page.jobs, out)?;
        if until_idle && producer.is_none() && all_ended(client).await? {
            break;
        }
    }
    Ok(())
}

/// By the counts of every queue: a listing has the newest jobs alone.
async fn all_ended(client: &Client) -> Result<bool, Failure> {
    let queues = client.queues().await?;
    let open = queues
        .values()
        .flat_map(|queue| &queue.counts)
        .filter(|(status, _)| !status.is_terminal())
        .map(|(_, count)| count);
    Ok(open.sum::<u64>() == 0)
}

/// What was shown of each job.
struct View {
    board: Board,
    seen: BTreeMap<JobId, (JobStatus, u32)>,
    started: Instant,
}

impl View {
    fn show(&mut self, jobs: &[JobView], out: &mut Out) -> Result<(), Failure> {
        let now = SystemClock.now();
        for job in jobs.iter().rev() {
            let stands = (job.status, job.attempts);
            let before = self.seen.insert(job.id, stands);
            if before != Some(stands) && worth_a_line(job, before) {
                self.say(job, out)?;
            }
            if job.status == JobStatus::Running {
                self.board.show(job, now);
            }
        }
        let running = |id: &JobId| {
            jobs.iter()
                .any(|job| job.id == *id && job.status == JobStatus::Running)
        };
        self.board.retain(running);
        self.seen.retain(|id, _| jobs.iter().any(|job| job.id == *id));
        Ok(())
    }

    fn say(&self, job: &JobView, out: &mut Out) -> Result<(), Failure> {
        let width = if self.board.is_visible() {
            width(std::io::stderr())
        } else {
            width(std::io::stdout())
        };
        let text = event(job, self.started.elapsed(), SystemClock.now(), width);
        if self.board.is_visible() {
            self.board.say(&text)?;
        } else {
            out.line(text)?;
        }
        Ok(())
    }
}

/// The line of an event. A narrow terminal does without the priority and with the begin of the name and of the detail.
fn event(job: &JobView, elapsed: Duration, now: Timestamp, width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let (name_width, priority) = if width < EVENT_WIDE {
        (24, String::new())
    } else {
        (36, format!("{:<8}  ", job.priority))
    };
    let text = format!(
        "{:>7.1}s  {:<9}  {priority}{:<name_width$}  {}",
        elapsed.as_secs_f64(),
        job.status,
        short(&plain(&job.name), name_width),
        line(job, now),
    );
    short(&text, width)
}

/// Jobs that ended before this process started are not news.
fn worth_a_line(job: &JobView, before: Option<(JobStatus, u32)>) -> bool {
    before.is_some()
        || !job.status.is_terminal()
        || SystemClock.now().since(job.created_at) < Duration::from_secs(5)
}
