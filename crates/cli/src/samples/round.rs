//! One round of sample jobs: four priorities, progress, a retry, a scheduled job, a chain of three, and a dead letter.

use std::time::Duration;

use longshore::{Batch, Client, EnqueueError};
use longshore_core::Priority;

use super::files::SampleFiles;
use super::{AwaitFile, CountWords, HashFile, MergeCounts, ParseLedger, ReadSpool, WriteReport, WriteSpool};

/// How fast a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A few seconds: for tests and for those who want its end.
    Quick,
    /// Most of the time to the next round, so that there is something to watch; one job waits, and cannot say how long.
    Watched,
}

/// Enqueues a round. `number` keeps the files of rounds apart. Answers how many jobs it has.
///
/// # Errors
/// When the store refuses.
pub(crate) async fn enqueue(
    client: &Client,
    files: &SampleFiles,
    number: u64,
    pace: Pace,
) -> Result<usize, EnqueueError> {
    let slower = if pace == Pace::Watched { 7 } else { 1 };
    let mut batch = Batch::new();
    let mut hashes = Vec::new();
    for (priority, pace_ms) in [
        (Priority::Low, 60),
        (Priority::Normal, 40),
        (Priority::High, 25),
        // At full speed: whoever has just started it sees the first job done at once.
        (Priority::Critical, 0),
    ] {
        let job = HashFile {
            path: files.blob(),
            pace_ms: pace_ms * slower,
        };
        let hash = batch
            .add(job)
            .priority(priority)
            .name(format!("Hash a file ({priority})"))
            .tag("sample")
            .reference();
        hashes.push(hash);
    }
    if pace == Pace::Quick {
        hashes.clear();
    }
    let counts: Vec<_> = files
        .texts()
        .map(|path| {
            let name = format!(
                "Count words of {}",
                path.file_name().unwrap_or_default().to_string_lossy()
            );
            batch
                .add(CountWords {
                    path,
                    pace_ms: 8 * slower,
                })
                .name(name)
                // A round to watch leaves slots free for what whoever watches hands over.
                .depends_on(hashes.iter().copied())
                .tag("sample")
                .reference()
        })
        .collect();
    let merge = batch
        .add(MergeCounts {})
        .name("Merge the counts")
        .depends_on(counts)
        .tag("sample")
        .reference();
    let report = WriteReport {
        path: files.report(number),
    };
    batch
        .add(report)
        .name("Write the report")
        .depends_on([merge])
        .tag("sample");
    batch
        .add(ReadSpool {
            path: files.spool(number),
        })
        .name("Read the spool (fails until it is there)")
        .max_retries(5)
        .retry_delay(Duration::from_secs(2))
        .tag("sample");
    batch
        .add(WriteSpool {
            path: files.spool(number),
        })
        .name("Write the spool (in 3 s)")
        .delay(Duration::from_secs(3))
        .tag("sample");
    batch
        .add(ParseLedger { path: files.ledger() })
        .name("Parse the ledger (fails for good)")
        .tag("sample");
    if pace == Pace::Watched {
        batch
            .add(AwaitFile {
                path: files.report(number),
                patience_ms: 90_000,
            })
            .name("Wait for the report (how long, nobody knows)")
            .priority(Priority::High)
            .tag("sample");
    }
    let jobs = batch.len();
    client.enqueue_many(batch).await?;
    Ok(jobs)
}
