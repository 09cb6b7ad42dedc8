//! `longshore job watch`: live bars until every job has ended.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use longshore_core::port::inspect::Wakes;
use longshore_core::view::JobView;
use longshore_core::{Clock, JobId, JobStatus, SystemClock};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::document::summary;
use crate::board::{Board, line, short};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Format, Out, plain, warn};

/// How often the jobs are looked at without a hint: hints may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Characters of a result that are printed at the end; `longshore job show` has it whole.
const RESULT_CHARS: usize = 2_000;
/// How long a store may be away before a watcher gives up.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Follows the jobs to their end. With JSON the document is written at the end, one element a job; JSON lines come with
/// every change.
///
/// # Errors
/// When one is unknown, or did not complete: the exit code tells.
pub(crate) async fn run(fleet: &Fleet, ids: &[JobId], out: &mut Out) -> Result<(), Failure> {
    let mut watch = Watch::new(fleet, ids);
    let mut board = Board::on_stderr(true);
    let mut due = watch.open();
    let mut asked = false;
    loop {
        watch.subscribe().await;
        for (at, view) in watch.look(&due).await? {
            watch.take(at, view, &mut board, out)?;
        }
        if watch.open().is_empty() {
            break;
        }
        if out.is_closed() {
            return Ok(());
        }
        due = watch.wait().await;
        if !std::mem::replace(&mut asked, true) {
            watch.warn_of_nobody().await;
        }
    }
    watch.results(out).await?;
    watch.conclude(out)
}

/// A job that is followed.
#[derive(Debug)]
struct Followed {
    id: JobId,
    view: Option<JobView>,
    is_unknown: bool,
}

impl Followed {
    fn is_over(&self) -> bool {
        self.is_unknown || self.view.as_ref().is_some_and(|view| view.status.is_terminal())
    }

    fn document(&self) -> Value {
        match &self.view {
            Some(view) => summary(view),
            None => json!({ "id": self.id.to_string(), "status": "unknown" }),
        }
    }
}

struct Watch<'a> {
    fleet: &'a Fleet,
    jobs: Vec<Followed>,
    wakes: Option<Box<dyn Wakes>>,
    away_since: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(fleet: &'a Fleet, ids: &[JobId]) -> Self {
        let mut seen = BTreeSet::new();
        let jobs = ids.iter().filter(|id| seen.insert(**id)).map(|&id| Followed {
            id,
            view: None,
            is_unknown: false,
        });
        Self {
            fleet,
            jobs: jobs.collect(),
            wakes: None,
            away_since: None,
        }
    }

    /// Jobs that have not ended, as far as is known.
    fn open(&self) -> BTreeSet<JobId> {
        let open = self.jobs.iter().filter(|job| !job.is_over());
        open.map(|job| job.id).collect()
    }

    /// Asks for hints before the next look, so that no change falls between the two.
    async fn subscribe(&mut self) {
        if self.wakes.is_none() {
            let watch = self.fleet.follow(self.open().into_iter().collect());
            self.wakes = timeout(LOOK_EVERY, watch).await.ok().and_then(Result::ok);
        }
    }

    /// Looks at these jobs, and answers those of which something is known, by their places.
    async fn look(&mut self, due: &BTreeSet<JobId>) -> Result<Vec<(usize, Option<JobView>)>, Failure> {
        let fleet = self.fleet;
        let due = self
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| due.contains(&job.id));
        let looks = due.map(|(at, job)| async move { (at, fleet.summary(job.id).await) });
        let mut known = Vec::new();
        let mut failure: Option<Failure> = None;
        for (at, seen) in join_all(looks).await {
            match seen {
                Ok(view) => known.push((at, view)),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => self.away_since = None,
            Some(error) => self.bear(error)?,
        }
        Ok(known)
    }

    /// A store that is away for a while comes back, and the jobs go on meanwhile.
    fn bear(&mut self, error: Failure) -> Result<(), Failure> {
        if self.away_since.is_none() && error.may_pass() {
            warn(format!("{}; looking again", error.message));
        }
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if error.may_pass() && since.elapsed() < AWAY_MAX {
            return Ok(());
        }
        Err(error)
    }

    fn take(
        &mut self,
        at: usize,
        view: Option<JobView>,
        board: &mut Board,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let Some(job) = self.jobs.get_mut(at).filter(|job| !job.is_over()) else {
            return Ok(());
        };
        if let Some(view) = view {
            tell(&view, job.view.as_ref(), board, out)?;
            job.view = Some(view);
        } else {
            warn(super::show::unknown(job.id).message);
            job.is_unknown = true;
        }
        Ok(())
    }

    /// Waits for hints or the time to look, and answers what to look at.
    async fn wait(&mut self) -> BTreeSet<JobId> {
        let Some(wakes) = &mut self.wakes else {
            sleep(LOOK_EVERY).await;
            return self.open();
        };
        let mut due = BTreeSet::new();
        let pause = Instant::now() + LOOK_PAUSE;
        let late = Instant::now() + LOOK_EVERY;
        loop {
            let until = if due.is_empty() { late } else { pause };
            tokio::select! {
                woken = wakes.next() => match woken {
                    Some(id) => drop(due.insert(id)),
                    None => break,
                },
                () = sleep_until(until) => return if due.is_empty() { self.open() } else { due },
            }
        }
        self.wakes = None;
        sleep_until(late).await;
        self.open()
    }

    /// A job that nobody can run would be watched in silence.
    async fn warn_of_nobody(&self) {
        let mut told = BTreeSet::new();
        for job in self.jobs.iter().filter(|job| !job.is_over()) {
            let Some(view) = &job.view else { continue };
            if told.insert(view.function_name.clone())
                && let Some(why) = super::nobody::has_it(self.fleet, view).await
            {
                warn(format!("{}: {}", job.id, plain(&why)));
            }
        }
    }

    /// What the jobs gave, for people: a bar tells only that they are done.
    async fn results(&self, out: &mut Out) -> Result<(), Failure> {
        if out.format != Format::Table {
            return Ok(());
        }
        let alone = self.jobs.len() == 1;
        for job in &self.jobs {
            let completed = job
                .view
                .as_ref()
                .is_some_and(|view| view.status == JobStatus::Completed);
            if !completed {
                continue;
            }
            let full = self.fleet.view(job.id).await?.and_then(|view| view.full);
            let Some(result) = full.as_ref().and_then(super::document::result) else {
                continue;
            };
            let text = short(&plain(&result.to_string()), RESULT_CHARS);
            if alone {
                out.line(format!("result: {text}"))?;
            } else {
                out.line(format!("{}  result: {text}", job.id))?;
            }
        }
        Ok(())
    }

    fn conclude(&self, out: &mut Out) -> Result<(), Failure> {
        if out.format == Format::Json {
            out.json(&self.jobs.iter().map(Followed::document).collect::<Vec<_>>())?;
        }
        let views = self.jobs.iter().filter_map(|job| job.view.as_ref());
        let bad: Vec<_> = views.filter(|view| view.status != JobStatus::Completed).collect();
        let unknown = self.jobs.iter().filter(|job| job.is_unknown).count();
        match (bad.as_slice(), unknown) {
            ([], 0) => Ok(()),
            ([], unknown) => {
                let message = format!("{unknown} of {} jobs are unknown", self.jobs.len());
                Err(Failure::new(ExitCode::NotFound, message))
            }
            ([one], 0) => Err(Failure::new(
                ExitCode::JobFailed,
                format!("{} {}: see `longshore job show {}`", one.name, one.status, one.id),
            )),
            (many, unknown) => Err(Failure::new(
                ExitCode::JobFailed,
                format!("{} jobs did not complete, {unknown} are unknown", many.len()),
            )),
        }
    }
}

/// Draws a bar on a terminal, or writes a line when something changed.
fn tell(view: &JobView, seen: Option<&JobView>, board: &mut Board, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock.now();
    let changed = seen.is_none_or(|seen| {
        seen.status != view.status || seen.attempts != view.attempts || seen.progress.seq != view.progress.seq
    });
    match out.format {
        Format::Table if board.is_visible() => board.show(view, now),
        Format::Table if changed => {
            out.line(format!("{}  {:<9}  {}", view.id, view.status, line(view, now)))?;
        }
        Format::Jsonl if changed => out.line(summary(view))?,
        Format::Table | Format::Json | Format::Jsonl => {}
    }
    Ok(())
}
