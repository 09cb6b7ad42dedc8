//! What is to be handed over, read and checked before anything is connected.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use longshore_core::JobSpec;
use longshore_core::spec::EdgePolicy;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{Enqueue, JobOptions};
use crate::failure::Failure;
use crate::request::{JobRequest, Parent, Text, depth};

/// Largest input: 1 GiB of job lines.
const INPUT_BYTES_MAX: u64 = 1 << 30;
/// Problems that are listed.
const PROBLEMS_MAX: usize = 50;

/// Checked jobs.
#[derive(Debug)]
pub(crate) enum Input {
    /// One, from options.
    One(Box<JobSpec>),
    /// Many, from a file.
    Many(Lines),
}

/// A file of jobs.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The jobs, in the order of their lines.
    pub(crate) specs: Vec<JobSpec>,
    /// The file's text.
    pub(crate) text: String,
    /// Its name; `-` for stdin.
    pub(crate) file: PathBuf,
}

/// Reads the job or jobs that the options ask for. May block on stdin.
///
/// # Errors
/// Every problem of the input.
pub(crate) fn read(options: &Enqueue) -> Result<Input, Failure> {
    let asked = request(options)?;
    match &options.file {
        Some(file) => {
            // Once, with the names of the options, and not for each line.
            let alone = JobRequest {
                function_name: Some("f".to_owned()),
                ..asked.clone()
            };
            checked(&alone)?;
            let text = read_file(file)?;
            Ok(Input::Many(Lines {
                specs: read_lines(&text, &asked)?,
                text,
                file: file.clone(),
            }))
        }
        None => Ok(Input::One(Box::new(checked(&asked)?))),
    }
}

fn checked(request: &JobRequest) -> Result<JobSpec, Failure> {
    request.to_spec().map_err(|invalid| {
        let told: Vec<_> = invalid.problems.iter().map(|problem| as_typed(problem)).collect();
        problems(&told)
    })
}

/// A problem of a field, under the name of its option.
pub(crate) fn as_typed(problem: &str) -> String {
    let Some((field, rest)) = problem.split_once(": ") else {
        return problem.to_owned();
    };
    let option = match field {
        "delay" => "--in",
        "scheduled_at" => "--at",
        "tags" => "--tag",
        "retry_jitter" => "--no-retry-jitter",
        "id" | "idempotency_key" | "name" | "priority" | "queue" | "depends_on" | "max_retries"
        | "retry_delay" | "retry_backoff" | "retry_delay_max" | "timeout" | "deadline" | "expires_in"
        | "metadata" | "created_by" => {
            return format!("--{}: {rest}", field.replace('_', "-"));
        }
        _ => return problem.to_owned(),
    };
    format!("{option}: {rest}")
}

/// The lines that hold a job, with their numbers from 1.
pub(super) fn job_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().zip(1..).map(|(line, number)| (number, line));
    numbered.filter(|(_, line)| !line.trim().is_empty())
}

/// Every line's job, or every line's problems.
fn read_lines(text: &str, defaults: &JobRequest) -> Result<Vec<JobSpec>, Failure> {
    let (mut specs, mut found) = (Vec::new(), Vec::new());
    for (number, line) in job_lines(text) {
        let spec = JobRequest::from_line(line)
            .and_then(|request| request.or(defaults).to_spec().map_err(|invalid| invalid.problems));
        match spec {
            Ok(spec) => specs.push(spec),
            Err(problems) => found.extend(problems.iter().map(|problem| format!("line {number}: {problem}"))),
        }
    }
    if found.is_empty() {
        Ok(specs)
    } else {
        Err(problems(&found))
    }
}

fn problems(found: &[String]) -> Failure {
    let shown: Vec<_> = found
        .iter()
        .take(PROBLEMS_MAX)
        .map(|problem| format!("  {problem}"))
        .collect();
    let more = found.len().saturating_sub(shown.len());
    let tail = if more > 0 {
        format!("\n  … and {more} more")
    } else {
        String::new()
    };
    Failure::usage(format!("nothing was enqueued:\n{}{tail}", shown.join("\n")))
}

fn read_file(file: &Path) -> Result<String, Failure> {
    let named = |problem: String| Failure::usage(format!("cannot read {}: {problem}", file.display()));
    if file == Path::new("-") {
        return read_bounded(std::io::stdin().lock(), INPUT_BYTES_MAX).map_err(named);
    }
    let source = std::fs::File::open(file).map_err(|error| named(error.to_string()))?;
    let length = source.metadata().map_or(0, |metadata| metadata.len());
    if length > INPUT_BYTES_MAX {
        return Err(named(too_large(INPUT_BYTES_MAX)));
    }
    read_bounded(source, INPUT_BYTES_MAX).map_err(named)
}

/// Reads a text of at most `max` bytes. What is longer is refused as a whole: a part of it would be a part of its jobs.
fn read_bounded(source: impl Read, max: u64) -> Result<String, String> {
    let mut text = String::new();
    source
        .take(max + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > max {
        return Err(too_large(max));
    }
    Ok(text)
}

fn too_large(max: u64) -> String {
    format!("it is over the limit of {max} bytes; split it into several files")
}

/// The options as a request: one reader of fields for options and lines.
fn request(options: &Enqueue) -> Result<JobRequest, Failure> {
    let text = |option: &Option<String>| option.clone().map(Text::from);
    let policy = EdgePolicy {
        on_failed: word(options.on_parent_failed.as_deref()).unwrap_or_default(),
        on_cancelled: word(options.on_parent_cancelled.as_deref()).unwrap_or_default(),
    };
    let parents = options.depends_on.iter().map(|id| Parent {
        id: id.to_string(),
        policy,
    });
    Ok(JobRequest {
        function_name: options.function.clone(),
        args: args(&options.args)?,
        id: options.id.map(|id| id.to_string()),
        idempotency_key: options.idempotency_key.clone(),
        name: options.name.clone(),
        delay: text(&options.delay),
        scheduled_at: text(&options.at),
        depends_on: parents.collect(),
        deadline: text(&options.deadline),
        expires_in: text(&options.expires_in),
        metadata: metadata(&options.job.metadata)?,
        fencing: word(options.fencing.as_deref()),
        on_lost_record: word(options.on_lost_record.as_deref()),
        ..described(&options.job)
    })
}

/// What the options that every job has say, but for its metadata (see [`metadata`]).
pub(crate) fn described(options: &JobOptions) -> JobRequest {
    let text = |option: &Option<String>| option.clone().map(Text::from);
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    JobRequest {
        priority: options.priority.map(|priority| priority.to_string()),
        queue: options.queue.clone(),
        max_retries: text(&options.max_retries),
        retry_delay: text(&options.retry_delay),
        retry_backoff: options.retry_backoff,
        retry_jitter: options.no_retry_jitter.then_some(false),
        retry_delay_max: text(&options.retry_delay_max),
        timeout: text(&options.timeout),
        tags: options.tag.iter().cloned().collect(),
        created_by: options.created_by.clone().or_else(user),
        ..JobRequest::default()
    }
}

/// A word that the command line has checked.
fn word<T: DeserializeOwned>(text: Option<&str>) -> Option<T> {
    serde_json::from_value(Value::String(text?.to_owned())).ok()
}

/// Arguments as they were given: JSON, or `-` for what stdin has.
///
/// # Errors
/// When they are no JSON, or nest too deep.
pub(crate) fn args(given: &str) -> Result<Value, Failure> {
    let source = if given == "-" {
        read_file(Path::new("-"))?
    } else {
        given.to_owned()
    };
    if depth::is_too_deep(&source) {
        return Err(problems(&[depth::problem("args")]));
    }
    serde_json::from_str(&source).map_err(|error| {
        Failure::usage(format!(
            "args: not JSON: {error}; quote it for the shell, for example '{{\"path\": \"a.txt\"}}'"
        ))
    })
}

pub(crate) fn metadata(pairs: &[String]) -> Result<BTreeMap<String, Value>, Failure> {
    let split = |pair: &String| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), Value::String(value.to_owned()))),
        _ => Err(Failure::usage(format!("--metadata: \"{pair}\" is not KEY=VALUE"))),
    };
    pairs.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_over_the_bound_is_refused_and_not_cut() {
        assert_eq!(read_bounded(&b"12345"[..], 5), Ok("12345".to_owned()));
        assert!(
            read_bounded(&b"123456"[..], 5)
                .unwrap_err()
                .contains("over the limit of 5 bytes")
        );
    }

    #[test]
    fn problems_are_named_as_they_were_typed() {
        assert_eq!(
            as_typed("delay: \"-5s\" is negative"),
            "--in: \"-5s\" is negative"
        );
        assert_eq!(as_typed("max_retries: x"), "--max-retries: x");
        assert_eq!(as_typed("args: x"), "args: x");
    }
}
