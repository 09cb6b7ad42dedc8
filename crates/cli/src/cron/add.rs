//! `longshore cron add`: the entry is read and checked before anything is connected.

use longshore::cron::{CronName, Definition, Expression, Over, Schedule, Source, Template};
use longshore_core::{Clock, SystemClock};
use longshore_service::duration;
use serde_json::json;

use super::next::zone;
use crate::args::CronAdd;
use crate::board::short_time;
use crate::enqueue::input::{as_typed, described, metadata};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::job::nobody;
use crate::output::{Format, Out, plain, warn};
use crate::request::{JobRequest, Text, depth};

/// A checked entry.
#[derive(Debug)]
pub(crate) struct Entry {
    name: CronName,
    definition: Definition,
    over: Over,
}

/// Collects problems while options are read.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn take<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }

    /// As [`Problems::take`] for an option, which stands for the field of its name.
    fn option<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        self.take(result.map_err(|error| format!("--{error}")))
    }
}

/// Reads the options.
///
/// # Errors
/// Every problem of every option at once.
pub(crate) fn read(options: &CronAdd) -> Result<Entry, Failure> {
    let mut problems = Problems::default();
    let expression = problems.take(Expression::parse(&options.expression));
    let zone = problems.take(zone(options.tz.as_deref()));
    let misfire = options.misfire.as_deref().unwrap_or("once");
    let misfire = problems.option(misfire.parse());
    let overlap = options.overlap.as_deref().unwrap_or("allow");
    let overlap = problems.option(overlap.parse());
    let jitter = duration::parse(options.jitter.as_deref().unwrap_or("0s"));
    let jitter = problems.option(jitter.map_err(|error| format!("jitter: {error}")));
    let job = template(options, &mut problems);
    let (Some(expression), Some(zone), Some(misfire), Some(overlap), Some(jitter), Some(job)) =
        (expression, zone, misfire, overlap, jitter, job)
    else {
        return Err(failure(&problems));
    };
    let definition = Definition {
        schedule: Schedule { expression, zone },
        job,
        misfire,
        overlap,
        jitter,
        source: Source::Call,
    };
    let encoded = definition.encode();
    if let Err(invalid) = encoded {
        problems
            .0
            .extend(invalid.problems.iter().map(|problem| typed(problem)));
        return Err(failure(&problems));
    }
    Ok(Entry {
        name: options.name.clone(),
        definition,
        over: if options.replace {
            Over::Anything
        } else {
            Over::Nothing
        },
    })
}

fn template(options: &CronAdd, problems: &mut Problems) -> Option<Template> {
    let args = if depth::is_too_deep(&options.args) {
        Err(depth::problem("args"))
    } else {
        serde_json::from_str(&options.args).map_err(|error| {
            format!("args: not JSON: {error}; quote it for the shell, for example '{{\"to\": \"a\"}}'")
        })
    };
    let args = problems.take(args);
    let metadata = problems.take(metadata(&options.job.metadata).map_err(|failure| failure.message));
    let request = JobRequest {
        function_name: Some(options.function.clone()),
        args: args.clone().unwrap_or_default(),
        name: options.job_name.clone(),
        expires_in: options.expires_in.clone().map(Text::from),
        metadata: metadata.clone().unwrap_or_default(),
        ..described(&options.job)
    };
    let template = match request.to_spec() {
        Ok(spec) => Template::new(&spec).map_err(|invalid| invalid.problems),
        Err(invalid) => Err(invalid.problems),
    };
    let template = template
        .map_err(|found| problems.0.extend(found.iter().map(|problem| typed(problem))))
        .ok();
    template.filter(|_| args.is_some() && metadata.is_some())
}

/// A problem of a field, under the name of its option.
fn typed(problem: &str) -> String {
    match problem.split_once(": ") {
        Some(("name", rest)) => format!("--job-name: {rest}"),
        Some(("jitter", rest)) => format!("--jitter: {rest}"),
        _ => as_typed(problem),
    }
}

fn failure(Problems(problems): &Problems) -> Failure {
    Failure::usage(format!("no entry was made:\n  {}", problems.join("\n  ")))
}

/// Writes the entry.
///
/// # Errors
/// When another one of its name is there, or the store does not answer.
pub(super) async fn run(fleet: &Fleet, entry: Entry, out: &mut Out) -> Result<(), Failure> {
    let (version, changed) = fleet.put_cron(&entry.name, &entry.definition, entry.over).await?;
    let next = entry.definition.schedule.next_or_far(SystemClock.now());
    let zone = entry.definition.schedule.zone;
    match out.format {
        Format::Table => {
            let done = if changed { "is kept" } else { "is there already" };
            let wait = short_time(next.since(SystemClock.now()));
            out.line(format!(
                "{}  {done}; next tick {} (in {wait})",
                entry.name,
                zone.show(next)
            ))?;
        }
        Format::Json | Format::Jsonl => out.json(&json!({
            "name": entry.name.as_str(),
            "version": version,
            "changed": changed,
            "next_at_ms": next,
        }))?,
    }
    // A slip is found at the first tick otherwise, which may be next month.
    let job = entry.definition.job.envelope();
    if let Some(why) = nobody::takes(fleet, &job.function_name, &job.queue).await {
        warn(plain(&why));
    }
    Ok(())
}
