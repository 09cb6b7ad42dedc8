//! Jobs as people name them: by a whole id, or by how it begins.

use std::time::Duration;

use longshore_core::view::{JobFilter, JobView};
use longshore_core::{JobId, Timestamp};
use longshore_service::exit::ExitCode;

use crate::failure::Failure;
use crate::fleet::Fleet;

/// Digits of a whole id.
const WHOLE: usize = 32;
/// The fewest digits: they stand for about a minute, so that a look for them is a look at what was enqueued then.
const DIGITS_MIN: usize = 8;
/// Digits that are the time.
const TIME_DIGITS: usize = 12;
/// How long after its id was made a job may have been enqueued.
const LATER: Duration = Duration::from_secs(60);
/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(1);
/// Candidates that are told of.
const TOLD_MAX: usize = 10;
/// Jobs that one look goes through.
const LOOK_MAX: usize = 20_000;
/// Jobs of one page of it.
const PAGE: usize = 500;

/// A job as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobRef {
    /// By its id.
    Whole(JobId),
    /// By the first digits of its id, lower case.
    Begins(String),
}

impl std::str::FromStr for JobRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = text.parse::<JobId>();
        let problem = match whole {
            Ok(id) => return Ok(Self::Whole(id)),
            Err(problem) => problem,
        };
        let digits = text.replace('-', "").to_ascii_lowercase();
        let is_begin = digits.len() >= DIGITS_MIN
            && digits.len() < WHOLE
            && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        if is_begin {
            return Ok(Self::Begins(digits));
        }
        Err(format!(
            "{problem}, or at least the first {DIGITS_MIN} digits of it"
        ))
    }
}

impl JobRef {
    /// The job that is meant.
    ///
    /// # Errors
    /// When no job or several begin like this, or the store does not answer.
    pub(crate) async fn find(&self, fleet: &Fleet) -> Result<JobId, Failure> {
        let digits = match self {
            Self::Whole(id) => return Ok(*id),
            Self::Begins(digits) => digits,
        };
        let found = look(fleet, digits).await?;
        match found.as_slice() {
            [] => Err(Failure::new(
                ExitCode::NotFound,
                format!(
                    "no job's id begins with {digits}; list jobs with `longshore job ls` (an id that its producer chose is \
                     found by the whole of it alone)"
                ),
            )),
            [job] => Ok(job.id),
            several => Err(ambiguous(digits, several)),
        }
    }
}

/// The jobs that are meant, in their order.
///
/// # Errors
/// As for each.
pub(crate) async fn find_all(fleet: &Fleet, jobs: &[JobRef]) -> Result<Vec<JobId>, Failure> {
    let mut ids = Vec::with_capacity(jobs.len());
    for job in jobs {
        ids.push(job.find(fleet).await?);
    }
    Ok(ids)
}

/// Ids begin with the time: only what was enqueued at about that time is looked at.
async fn look(fleet: &Fleet, digits: &str) -> Result<Vec<JobView>, Failure> {
    let filter = JobFilter {
        created_from: Some(time(digits, '0').before(SKEW)),
        created_until: Some(time(digits, 'f').after(LATER)),
        ..JobFilter::default()
    };
    let (mut found, mut looked, mut after) = (Vec::new(), 0, None);
    loop {
        let page = fleet.list(&filter, after, PAGE).await?;
        looked += page.jobs.len();
        let begins = |job: &JobView| job.id.to_hex().starts_with(digits);
        found.extend(page.jobs.into_iter().filter(begins));
        after = page.next;
        if after.is_none() || found.len() > TOLD_MAX {
            return Ok(found);
        }
        if looked >= LOOK_MAX {
            return Err(Failure::usage(format!(
                "too many jobs were enqueued at the time that {digits} stands for; give more digits of the id"
            )));
        }
    }
}

/// The time of the first or the last id that begins like this.
fn time(digits: &str, fill: char) -> Timestamp {
    let missing = TIME_DIGITS.saturating_sub(digits.len());
    let digits: String = digits
        .chars()
        .take(TIME_DIGITS)
        .chain(std::iter::repeat_n(fill, missing))
        .collect();
    Timestamp(u64::from_str_radix(&digits, 16).unwrap_or(0))
}

fn ambiguous(digits: &str, jobs: &[JobView]) -> Failure {
    let mut text = format!("several jobs' ids begin with {digits}; give more of the one you mean:");
    for job in jobs.iter().take(TOLD_MAX) {
        text = format!("{text}\n  {}  {}  {}", job.id, job.status, job.function_name);
    }
    if jobs.len() > TOLD_MAX {
        text = format!("{text}\n  … and more");
    }
    Failure::usage(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_id_and_its_begin_are_read_and_too_little_is_not() {
        let id = "0193f0a1-7c5e-8001-9313-0242ac120002";
        assert_eq!(id.parse(), Ok(JobRef::Whole(id.parse().unwrap())));
        for begin in ["0193f0a1", "0193F0A1-7c", "0193f0a17c"] {
            let read = begin.parse::<JobRef>().unwrap();
            assert_eq!(read, JobRef::Begins(begin.replace('-', "").to_lowercase()));
        }
        for wrong in [
            "",
            "0193f0a",
            "last",
            "0193f0a1-7c5e-8001-9313-0242ac1200023",
            "0193f0ax",
        ] {
            let told = wrong.parse::<JobRef>().unwrap_err();
            assert!(told.contains("first 8 digits"), "{wrong}: {told}");
        }
    }

    #[test]
    fn eight_digits_stand_for_about_a_minute() {
        let (first, last) = (time("0193f0a1", '0'), time("0193f0a1", 'f'));
        assert_eq!(last.since(first), Duration::from_millis(0xffff));
        assert_eq!(time("0193f0a17c5e8001", '0'), time("0193f0a17c5e", 'f'));
    }
}
