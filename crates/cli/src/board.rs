//! Live bars in the terminal. Never a spinner: while no fraction is known the bar stays empty and the line says how long
//! and what for.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
pub(crate) use longshore_core::clock::short_time;
use longshore_core::view::JobView;
use longshore_core::{JobId, JobStatus, Timestamp};

use crate::output::{plain, width};

/// Steps of a bar.
const STEPS: u64 = 1_000;
/// Columns from which a terminal has room for long names and bars.
const WIDE: usize = 110;

/// One bar a job.
#[derive(Debug)]
pub(crate) struct Board {
    bars: MultiProgress,
    jobs: BTreeMap<JobId, ProgressBar>,
    /// Whether ended jobs leave the board, with a line above it.
    keep_ended: bool,
    /// Whether the terminal has too few columns for long names and bars.
    is_narrow: bool,
}

impl Board {
    /// A board of its own on stderr; with `keep_ended` the bars of ended jobs stay.
    pub(crate) fn on_stderr(keep_ended: bool) -> Self {
        Self::new(MultiProgress::new(), keep_ended)
    }

    /// A board that draws with these bars.
    pub(crate) fn new(bars: MultiProgress, keep_ended: bool) -> Self {
        Self {
            bars,
            jobs: BTreeMap::new(),
            keep_ended,
            is_narrow: width(std::io::stderr()).is_some_and(|width| width < WIDE),
        }
    }

    /// Whether there is a terminal to draw on.
    pub(crate) fn is_visible(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// A line above the bars.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(crate) fn say(&self, text: &str) -> std::io::Result<()> {
        self.bars.println(text)
    }

    /// Draws a job as it stands now.
    pub(crate) fn show(&mut self, job: &JobView, now: Timestamp) {
        let bar = self.jobs.entry(job.id).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(STEPS));
            bar.set_style(style(self.is_narrow));
            bar
        });
        bar.set_prefix(format!(
            "{:<9} {}",
            job.status.as_str(),
            short(&plain(&job.name), if self.is_narrow { 16 } else { 24 })
        ));
        bar.set_position(position(job));
        bar.set_message(line(job, now));
        if job.status.is_terminal() && self.keep_ended {
            bar.abandon();
        } else if job.status.is_terminal() {
            bar.finish_and_clear();
            self.jobs.remove(&job.id);
        }
    }

    /// Takes every bar away that `keep` does not hold.
    pub(crate) fn retain(&mut self, keep: impl Fn(&JobId) -> bool) {
        self.jobs.retain(|id, bar| {
            let stays = keep(id);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
    }
}

/// What does not fit right of the bar is cut by the terminal's width at each drawing.
fn style(is_narrow: bool) -> ProgressStyle {
    let template = if is_narrow {
        "{prefix:26} ▕{bar:12}▏ {wide_msg}"
    } else {
        "{prefix:34} ▕{bar:24}▏ {wide_msg}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}

fn position(job: &JobView) -> u64 {
    let fraction = match job.status {
        JobStatus::Completed => 1.0,
        _ => job.progress.fraction.unwrap_or(0.0).clamp(0.0, 1.0),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and STEPS"
    )]
    let steps = (fraction * 1_000.0).round() as u64;
    steps
}

/// What stands right of the bar: how far, what it does, or what it waits for.
pub(crate) fn line(job: &JobView, now: Timestamp) -> String {
    let text = match job.status {
        JobStatus::Blocked => match job.open_parents.len() {
            1 => "waits for 1 parent".to_owned(),
            many => format!("waits for {many} parents"),
        },
        JobStatus::Scheduled => format!("due in {}", until(job.run_at, now)),
        JobStatus::Retrying => {
            let error = job.error.as_ref().map_or("", |error| error.message.as_str());
            format!(
                "attempt {} failed ({error}); next in {}",
                job.attempts,
                until(job.run_at, now)
            )
        }
        JobStatus::Queued if job.parked.is_some() => "no worker has its function".to_owned(),
        JobStatus::Queued => format!("queued in {}", job.queue),
        JobStatus::Running => match job.lease_until {
            // As far as the store knows nobody runs it any more.
            Some(until) if until <= now => format!(
                "lease over for {}; a scheduler gives it to another worker",
                short_time(now.since(until))
            ),
            _ => so_far(job, now),
        },
        JobStatus::Completed => format!("done in {}", short_time(run_time(job))),
        JobStatus::Failed | JobStatus::Cancelled | JobStatus::Expired => match &job.error {
            Some(error) => error.message.clone(),
            None => job.cancel_reason.clone().unwrap_or_default(),
        },
    };
    short(&plain(&text), 100)
}

/// How far a job that runs is, for how long it has run, and what its handler says.
fn so_far(job: &JobView, now: Timestamp) -> String {
    let progress = &job.progress;
    let fields: Vec<_> = progress
        .fields
        .iter()
        .map(|(key, value)| format!(" {key}={value}"))
        .collect();
    let elapsed = job.started_at.map_or(Duration::ZERO, |start| now.since(start));
    let percent = progress
        .fraction
        .map_or_else(|| "  — ".to_owned(), |done| format!("{:3.0} %", done * 100.0));
    format!(
        "{percent} {} {}{}",
        short_time(elapsed),
        progress.message,
        fields.concat()
    )
}

fn run_time(job: &JobView) -> Duration {
    match (job.started_at, job.finished_at) {
        (Some(start), Some(end)) => end.since(start),
        _ => Duration::ZERO,
    }
}

fn until(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "a moment".to_owned(), |at| short_time(at.since(now)))
}

/// At most `max` characters, the cut shown.
pub(crate) fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use longshore_core::outcome::Progress;
    use longshore_core::{FunctionName, Priority, QueueName};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// A job that runs half done, under a lease until then.
    pub(crate) fn running(lease_until: Option<Timestamp>) -> JobView {
        JobView {
            id: "0193f0a1-7c5e-8001-9313-0242ac120002".parse().unwrap(),
            function_name: FunctionName::new("resize").unwrap(),
            name: "resize".to_owned(),
            queue: QueueName::default(),
            priority: Priority::Normal,
            status: JobStatus::Running,
            gen_: 1,
            attempts: 1,
            retries: 0,
            losts: 0,
            tags: Vec::new(),
            created_at: NOW,
            started_at: Some(NOW),
            finished_at: None,
            run_at: None,
            published_at: None,
            outbox_at: None,
            parked: None,
            worker: None,
            lease_until,
            cancel_reason: None,
            open_parents: Vec::new(),
            progress: Progress {
                fraction: Some(0.5),
                ..Progress::default()
            },
            error: None,
            full: None,
        }
    }

    #[test]
    fn a_job_whose_lease_is_over_does_not_look_as_if_it_ran() {
        let later = NOW.after(Duration::from_secs(30));
        let told = line(&running(Some(NOW)), later);
        assert!(told.starts_with("lease over for 30"), "{told}");
        for lease in [Some(later.after(Duration::from_secs(1))), None] {
            let told = line(&running(lease), later);
            assert!(told.contains("50 %"), "{told}");
        }
    }

    #[test]
    fn long_texts_show_that_they_are_cut() {
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("abcd", 4), "abcd");
    }
}
