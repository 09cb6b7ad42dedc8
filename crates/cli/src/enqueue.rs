//! `longshore enqueue`: one job from options, or many from a file.

pub(crate) mod input;
mod resume;

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use longshore_core::JobId;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::enqueue::{Broken, Handed};
use crate::job::nobody;
use crate::output::{Format, Out, plain, warn};
use input::{Input, Lines};

/// Hands the job or jobs over and answers their ids. With `watched` the JSON document is left to who follows them.
///
/// # Errors
/// What the store says.
pub(crate) async fn run(
    fleet: &Fleet,
    input: Input,
    watched: bool,
    out: &mut Out,
) -> Result<Vec<JobId>, Failure> {
    match input {
        Input::One(spec) => {
            let (function, queue) = (spec.function_name.clone(), spec.queue.clone());
            let handed = fleet.enqueue(*spec).await?;
            tell_one(&handed, watched, out)?;
            // Who follows the job is told by that.
            if !watched && let Some(why) = nobody::takes(fleet, &function, &queue).await {
                warn(plain(&why));
            }
            Ok(vec![handed.id])
        }
        Input::Many(lines) => many(fleet, lines, watched, out).await,
    }
}

fn tell_one(handle: &Handed, watched: bool, out: &mut Out) -> Result<(), Failure> {
    match out.format {
        Format::Table => out.line(handle.id)?,
        Format::Json if watched => warn(format!("enqueued {}", handle.id)),
        Format::Json | Format::Jsonl => out.json(&document(handle))?,
    }
    if out.format == Format::Table || watched {
        if handle.existing {
            warn("known already: this is the existing job");
        } else if handle.deferred {
            warn("deferred: recorded, and published once RabbitMQ is back");
        }
    }
    Ok(())
}

fn document(handle: &Handed) -> Value {
    json!({
        "id": handle.id.to_string(),
        "existing": handle.existing,
        "deferred": handle.deferred,
    })
}

async fn many(fleet: &Fleet, lines: Lines, watched: bool, out: &mut Out) -> Result<Vec<JobId>, Failure> {
    let Lines { specs, text, file } = lines;
    let of = specs.len();
    let bar = bar(of);
    let drawn = bar.clone();
    let handed = fleet
        .enqueue_many(specs, move |accepted| drawn.set_position(accepted as u64))
        .await;
    bar.finish_and_clear();
    let handles = handed.map_err(|broken| incomplete(broken, of, &text, &file))?;
    if !(watched && out.format == Format::Json) {
        let rows: Vec<_> = handles.iter().map(document).collect();
        match out.format {
            Format::Table => handles.iter().try_for_each(|handle| out.line(handle.id))?,
            Format::Json | Format::Jsonl => out.rows(&[], &rows, std::iter::empty())?,
        }
    }
    let deferred = handles.iter().filter(|handle| handle.deferred).count();
    if deferred > 0 {
        let all = handles.len();
        warn(format!(
            "{deferred} of {all} deferred: recorded, and published once RabbitMQ is back"
        ));
    }
    Ok(handles.iter().map(|handle| handle.id).collect())
}

/// Drawn on stderr where that is a terminal, and nowhere else.
fn bar(jobs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} jobs, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(jobs as u64).with_style(style)
}

/// What was not completed goes on from a file whose lines carry their ids, so that nothing is enqueued twice.
fn incomplete(broken: Broken, of: usize, text: &str, file: &Path) -> Failure {
    let Broken {
        why,
        part: Some((accepted, ids)),
    } = broken
    else {
        return broken.why;
    };
    let path = resume_path(file);
    let next = match resume::write(&path, text, ids.into_iter()) {
        Ok(()) => format!(
            "run it again with --file {} in place of --file {}: its lines carry their ids, and none is enqueued twice",
            path.display(),
            file.display()
        ),
        Err(problem) => format!(
            "the lines with their ids cannot be written to {} ({problem}); a second run enqueues lines without an id \
             again",
            path.display()
        ),
    };
    Failure::new(
        why.code,
        format!(
            "{accepted} of {of} jobs were accepted, then: {}\n{next}",
            why.message
        ),
    )
}

fn resume_path(file: &Path) -> PathBuf {
    if file == Path::new("-") {
        return "stdin.resume.jsonl".into();
    }
    let mut path = file.as_os_str().to_owned();
    path.push(".resume.jsonl");
    path.into()
}
