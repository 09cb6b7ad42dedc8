//! Events as lines of a file, for handlers that are other processes.

use longshore_core::{JobId, JobStatus};

use super::Event;

/// A line that tells no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("history: \"{0}\" is no event; use for example \"JOB started 1 17\"")]
pub struct InvalidLine(pub String);

pub(super) fn parse(line: &str) -> Result<(JobId, Event), InvalidLine> {
    read(line).ok_or_else(|| InvalidLine(line.to_owned()))
}

fn read(line: &str) -> Option<(JobId, Event)> {
    let mut words = line.split(' ');
    let job = words.next()?.parse().ok()?;
    let event = match words.next()? {
        "acknowledged" => Event::Acknowledged,
        "started" => Event::Started {
            attempt: words.next()?.parse().ok()?,
            fence: words.next()?.parse().ok()?,
        },
        "ended" => Event::Ended {
            attempt: words.next()?.parse().ok()?,
        },
        "accepted" => Event::Accepted {
            claim: words.next()?.parse().ok()?,
            status: status(words.next()?)?,
        },
        "seen" => Event::Seen {
            status: status(words.next()?)?,
            stamp: words.by_ref().collect::<Vec<_>>().join(" "),
        },
        "cancel-told" => Event::CancelTold,
        "requeued" => Event::Requeued,
        "store-went-back" => Event::StoreWentBack,
        _ => return None,
    };
    words.next().is_none().then_some((job, event))
}

fn status(word: &str) -> Option<JobStatus> {
    JobStatus::ALL
        .into_iter()
        .find(|status| status.to_string() == word)
}
