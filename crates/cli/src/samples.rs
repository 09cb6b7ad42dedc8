//! Sample functions: real work on real files, so that `longshore dev` shows every way a job can go.
//!
//! | function | what it does |
//! |---|---|
//! | `sample.count_words` | counts the words of a text file, line by line, with progress |
//! | `sample.merge_counts` | adds up the counts of its parents |
//! | `sample.write_report` | writes its parent's totals to a file |
//! | `sample.hash_file` | SHA-256 of a file, chunk by chunk, with progress in bytes |
//! | `sample.read_spool` | reads a file that is not there yet: a transient error, until a scheduled job writes it |
//! | `sample.write_spool` | writes that file |
//! | `sample.await_file` | waits for a file, and cannot say how far it is |
//! | `sample.parse_ledger` | parses a ledger with a bad line: a permanent error, a dead letter |

pub(crate) mod files;
pub(crate) mod round;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::{Job, JobError, JobId, value};
use longshore_worker::{Builder, JobContext};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

/// Counts of words, and what they were counted in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WordCounts {
    /// Files counted.
    pub(crate) files: u64,
    /// Words in all.
    pub(crate) words: u64,
    /// How often each word stands.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// `sample.count_words`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CountWords {
    /// The file.
    pub(crate) path: PathBuf,
    /// Pause after each line, in milliseconds, so that a person can watch. Default: none.
    #[serde(default)]
    pub(crate) pace_ms: u64,
}

impl Job for CountWords {
    const FUNCTION_NAME: &'static str = "sample.count_words";
    type Output = WordCounts;
}

/// `sample.merge_counts`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MergeCounts {}

impl Job for MergeCounts {
    const FUNCTION_NAME: &'static str = "sample.merge_counts";
    type Output = WordCounts;
}

/// `sample.write_report`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteReport {
    /// Where to.
    pub(crate) path: PathBuf,
}

impl Job for WriteReport {
    const FUNCTION_NAME: &'static str = "sample.write_report";
    type Output = u64;
}

/// `sample.hash_file`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HashFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Pause after each chunk of 16 KiB, in milliseconds.
    #[serde(default)]
    pub(crate) pace_ms: u64,
}

impl Job for HashFile {
    const FUNCTION_NAME: &'static str = "sample.hash_file";
    type Output = String;
}

/// `sample.read_spool`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadSpool {
    /// The file.
    pub(crate) path: PathBuf,
}

impl Job for ReadSpool {
    const FUNCTION_NAME: &'static str = "sample.read_spool";
    type Output = usize;
}

/// `sample.write_spool`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteSpool {
    /// The file.
    pub(crate) path: PathBuf,
}

impl Job for WriteSpool {
    const FUNCTION_NAME: &'static str = "sample.write_spool";
    type Output = ();
}

/// `sample.parse_ledger`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ParseLedger {
    /// The file: one whole number a line.
    pub(crate) path: PathBuf,
}

impl Job for ParseLedger {
    const FUNCTION_NAME: &'static str = "sample.parse_ledger";
    type Output = i64;
}

/// `sample.await_file`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AwaitFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// How long it waits at most, in milliseconds.
    pub(crate) patience_ms: u64,
}

impl Job for AwaitFile {
    const FUNCTION_NAME: &'static str = "sample.await_file";
    type Output = u64;
}

/// Registers every sample function.
pub(crate) fn register(worker: Builder) -> Builder {
    worker
        .register(count_words)
        .register(merge_counts)
        .register(write_report)
        .register(hash_file)
        .register(read_spool)
        .register(write_spool)
        .register(parse_ledger)
        .register(await_file)
}

async fn count_words(job: CountWords, ctx: JobContext) -> Result<WordCounts, JobError> {
    let size = std::fs::metadata(&job.path).map_err(of(&job.path))?.len().max(1);
    let mut counts = WordCounts {
        files: 1,
        ..WordCounts::default()
    };
    ctx.log(format!("reading {}, {size} bytes", job.path.display()));
    let mut done = 0;
    for (number, line) in BufReader::new(std::fs::File::open(&job.path).map_err(of(&job.path))?)
        .lines()
        .enumerate()
    {
        let line = line.map_err(of(&job.path))?;
        ctx.check_cancelled()?;
        add_words(&mut counts, &line);
        done += line.len() as u64 + 1;
        ctx.progress(ratio(done, size), format!("line {}", number + 1))
            .field("words", counts.words);
        pause(job.pace_ms).await;
    }
    ctx.log(format!(
        "{} words, {} distinct",
        counts.words,
        counts.counts.len()
    ));
    Ok(counts)
}

/// Words are runs of letters, in lower case.
pub(crate) fn add_words(counts: &mut WordCounts, line: &str) {
    for word in line
        .split(|char: char| !char.is_alphabetic())
        .filter(|word| !word.is_empty())
    {
        counts.words += 1;
        *counts.counts.entry(word.to_lowercase()).or_default() += 1;
    }
}

async fn merge_counts(_job: MergeCounts, ctx: JobContext) -> Result<WordCounts, JobError> {
    let mut total = WordCounts::default();
    let parents = ctx.parents().await?;
    for (done, (id, outcome)) in parents.iter().enumerate() {
        ctx.check_cancelled()?;
        let part = parent_counts(*id, outcome)?;
        ctx.log(format!("{} words of job {id}", part.words));
        total.files += part.files;
        total.words += part.words;
        for (word, count) in part.counts {
            *total.counts.entry(word).or_default() += count;
        }
        ctx.progress(
            ratio(done as u64 + 1, parents.len() as u64),
            format!("merged {} parts", done + 1),
        );
    }
    Ok(total)
}

fn parent_counts(id: JobId, outcome: &ParentOutcome) -> Result<WordCounts, JobError> {
    match outcome {
        ParentOutcome::Completed { result: Some(result) } => Ok(value::decode("parent result", result)?),
        other => Err(JobError::permanent(format_args!(
            "parent {id} has no counts: {other:?}"
        ))),
    }
}

async fn write_report(job: WriteReport, ctx: JobContext) -> Result<u64, JobError> {
    let Some(parent) = ctx.envelope().depends_on.first() else {
        return Err(JobError::permanent(
            "depends_on: name the job whose counts are reported",
        ));
    };
    let total: WordCounts = ctx.parent(parent.id).await?;
    let mut words: Vec<_> = total.counts.iter().collect();
    words.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), (*word).clone()));
    let lines: Vec<_> = words
        .iter()
        .take(20)
        .map(|(word, count)| {
            format!(
                "{count:>6}  {word}
"
            )
        })
        .collect();
    let report = format!(
        "{} words in {} files, {} distinct\n\n{}",
        total.words,
        total.files,
        words.len(),
        lines.concat()
    );
    tokio::fs::write(&job.path, report).await.map_err(of(&job.path))?;
    Ok(total.words)
}

async fn hash_file(job: HashFile, ctx: JobContext) -> Result<String, JobError> {
    let mut file = tokio::fs::File::open(&job.path).await.map_err(of(&job.path))?;
    let size = file.metadata().await?.len().max(1);
    let (mut hasher, mut chunk, mut done) = (Sha256::new(), vec![0_u8; 16 * 1024], 0_u64);
    ctx.log(format!("opened {}, {size} bytes", job.path.display()));
    loop {
        ctx.check_cancelled()?;
        let count = file.read(&mut chunk).await?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        done += count as u64;
        if done.is_multiple_of(128 * 1024) {
            ctx.log(format!("{} KiB of {} KiB", done / 1024, size / 1024));
        }
        ctx.progress(ratio(done, size), "hashing").field("bytes", done);
        pause(job.pace_ms).await;
    }
    let digits: Vec<_> = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(digits.concat())
}

async fn read_spool(job: ReadSpool, ctx: JobContext) -> Result<usize, JobError> {
    ctx.log(format!("looking for {}", job.path.display()));
    ctx.stage("waiting for the spool file");
    let text = tokio::fs::read_to_string(&job.path)
        .await
        .map_err(of(&job.path))?;
    tokio::fs::remove_file(&job.path).await.map_err(of(&job.path))?;
    Ok(text.len())
}

async fn write_spool(job: WriteSpool, _ctx: JobContext) -> Result<(), JobError> {
    Ok(tokio::fs::write(&job.path, "spooled\n")
        .await
        .map_err(of(&job.path))?)
}

async fn parse_ledger(job: ParseLedger, ctx: JobContext) -> Result<i64, JobError> {
    let text = tokio::fs::read_to_string(&job.path)
        .await
        .map_err(of(&job.path))?;
    ctx.log(format!("{} lines to add up", text.lines().count()));
    let mut sum = 0;
    for (number, line) in text.lines().enumerate() {
        let parsed = line.trim().parse::<i64>();
        sum += parsed.map_err(|source| NotANumber {
            path: job.path.clone(),
            line: number + 1,
            source,
        })?;
    }
    Ok(sum)
}

/// An error of a file, with its name. Whether it may pass is told by the cause.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct FileError {
    path: PathBuf,
    source: std::io::Error,
}

fn of(path: &Path) -> impl FnOnce(std::io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError { path, source }
}

/// A line of a ledger that is none.
#[derive(Debug, thiserror::Error)]
#[error("{}: line {line} is no whole number", path.display())]
struct NotANumber {
    path: PathBuf,
    line: usize,
    source: std::num::ParseIntError,
}

async fn await_file(job: AwaitFile, ctx: JobContext) -> Result<u64, JobError> {
    let end = tokio::time::Instant::now() + Duration::from_millis(job.patience_ms);
    let name = job.path.file_name().unwrap_or_default().to_string_lossy();
    ctx.stage(format!("waiting for {name}"));
    while tokio::time::Instant::now() < end {
        ctx.check_cancelled()?;
        if let Ok(file) = tokio::fs::metadata(&job.path).await {
            return Ok(file.len());
        }
        pause(250).await;
    }
    Err(JobError::permanent(format_args!("{name} has not come")))
}

fn ratio(done: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
    let ratio = done as f64 / all.max(1) as f64;
    ratio.min(1.0)
}

async fn pause(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
