//! `longshore enqueue`: one job from options, or many from a file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use longshore::{Batch, Client};
use longshore_core::{JobId, JobSpec};
use serde_json::{Value, json};

use crate::args::Enqueue;
use crate::failure::Failure;
use crate::job::watch;
use crate::output::{Format, Out};
use crate::request::{JobRequest, Text};

/// Largest input: 1 GiB of job lines.
const INPUT_BYTES_MAX: u64 = 1 << 30;

/// Hands the job or jobs over.
///
/// # Errors
/// Every problem of the input, or what the store says.
pub(crate) async fn run(client: &Client, options: &Enqueue, out: &mut Out) -> Result<(), Failure> {
    let ids = match &options.file {
        Some(file) => many(client, file, out).await?,
        None => vec![one(client, options, out).await?],
    };
    if options.watch {
        watch::run(client, &ids, out).await
    } else {
        Ok(())
    }
}

async fn one(client: &Client, options: &Enqueue, out: &mut Out) -> Result<JobId, Failure> {
    let spec = request(options)?
        .to_spec()
        .map_err(|invalid| problems(&invalid.problems))?;
    let handle = client.enqueue_spec(spec).await?;
    let note = match (handle.was_existing(), handle.is_deferred()) {
        (true, _) => "known already: this is the existing job",
        (false, true) => "deferred: recorded, and published once RabbitMQ is back",
        (false, false) => "accepted",
    };
    match out.format {
        Format::Table => {
            out.line(handle.id())?;
            if note != "accepted" {
                crate::output::warn(note);
            }
        }
        Format::Json | Format::Jsonl => out.json(&json!({
            "id": handle.id().to_string(),
            "existing": handle.was_existing(),
            "deferred": handle.is_deferred(),
        }))?,
    }
    Ok(handle.id())
}

async fn many(client: &Client, file: &Path, out: &mut Out) -> Result<Vec<JobId>, Failure> {
    let specs = read_specs(&read(file)?)?;
    let mut batch = Batch::new();
    for spec in specs {
        batch.add_spec(spec);
    }
    let handles = client.enqueue_many(batch).await?;
    let deferred = handles.iter().filter(|handle| handle.is_deferred()).count();
    for handle in &handles {
        match out.format {
            Format::Table => out.line(handle.id())?,
            Format::Json | Format::Jsonl => out.line(json!({
                "id": handle.id().to_string(),
                "existing": handle.was_existing(),
                "deferred": handle.is_deferred(),
            }))?,
        }
    }
    if deferred > 0 {
        let all = handles.len();
        crate::output::warn(format!(
            "{deferred} of {all} deferred: recorded, and published once RabbitMQ is back"
        ));
    }
    Ok(handles.iter().map(longshore::JobHandle::id).collect())
}

/// Every line's job, or every line's problems.
fn read_specs(text: &str) -> Result<Vec<JobSpec>, Failure> {
    let (mut specs, mut found) = (Vec::new(), Vec::new());
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let request = serde_json::from_str::<JobRequest>(line).map_err(|error| vec![error.to_string()]);
        match request.and_then(|request| request.to_spec().map_err(|invalid| invalid.problems)) {
            Ok(spec) => specs.push(spec),
            Err(problems) => found.extend(
                problems
                    .iter()
                    .map(|problem| format!("line {}: {problem}", number + 1)),
            ),
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
        .take(50)
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

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let named = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", file.display()));
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(INPUT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(named)?;
    } else {
        let source = std::fs::File::open(file).map_err(named)?;
        source
            .take(INPUT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(named)?;
    }
    Ok(text)
}

/// The options as a request: one reader of fields for options and lines.
fn request(options: &Enqueue) -> Result<JobRequest, Failure> {
    let source = if options.args == "-" {
        read(Path::new("-"))?
    } else {
        options.args.clone()
    };
    let args: Value = serde_json::from_str(&source).map_err(|error| {
        Failure::usage(format!(
            "args: not JSON: {error}; quote it for the shell, for example '{{\"path\": \"a.txt\"}}'"
        ))
    })?;
    let text = |option: &Option<String>| option.clone().map(Text::from);
    Ok(JobRequest {
        function_name: options.function.clone(),
        args,
        id: options.id.map(|id| id.to_string()),
        idempotency_key: options.idempotency_key.clone(),
        name: options.name.clone(),
        priority: options.priority.map(|priority| priority.to_string()),
        queue: options.queue.clone(),
        delay: text(&options.delay),
        scheduled_at: text(&options.at),
        depends_on: options.depends_on.iter().map(ToString::to_string).collect(),
        max_retries: text(&options.max_retries),
        retry_delay: text(&options.retry_delay),
        retry_backoff: options.retry_backoff,
        retry_jitter: options.no_retry_jitter.then_some(false),
        retry_delay_max: text(&options.retry_delay_max),
        timeout: text(&options.timeout),
        deadline: text(&options.deadline),
        expires_in: text(&options.expires_in),
        tags: options.tag.iter().cloned().collect(),
        metadata: metadata(&options.metadata)?,
        created_by: std::env::var("USER").ok().filter(|user| !user.is_empty()),
    })
}

fn metadata(pairs: &[String]) -> Result<BTreeMap<String, Value>, Failure> {
    let split = |pair: &String| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), Value::String(value.to_owned()))),
        _ => Err(Failure::usage(format!("metadata: \"{pair}\" is not KEY=VALUE"))),
    };
    pairs.iter().map(split).collect()
}
