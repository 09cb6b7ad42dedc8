//! A letter in words: for a mail, a generic webhook and Slack.

use std::fmt::Write as _;

use longshore_core::Timestamp;
use longshore_core::clock::short_time;
use longshore_core::notice::{Letter, Subject};
use serde_json::{Value, json};

/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 150;

/// The letter in one line.
pub fn title(letter: &Letter) -> String {
    let count = letter.count;
    let title = match &letter.subject {
        Subject::DeadLetters {
            error_type, message, ..
        } => format!("{}: {error_type}: {message}", counted(count, "dead letter")),
        Subject::WorkerLost { worker } => format!("worker {worker} was lost"),
        Subject::QueueLong { queue } => format!("queue {queue} is long"),
        Subject::QueueOld { queue } => format!("jobs of queue {queue} wait for long"),
        Subject::CronMissed { entry } => format!("{} of cron entry {entry} missed", counted(count, "tick")),
        Subject::Uncounted => format!("{count} more events that there was no room for"),
        Subject::Others => format!("{} of many kinds", counted(count, "event")),
        Subject::Test => "this is a test".to_owned(),
    };
    crate::one_line(&title, TITLE_CHARS_MAX)
}

fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// What to do next.
fn hint(letter: &Letter) -> String {
    match &letter.subject {
        Subject::DeadLetters { fingerprint, .. } => {
            format!("Look at them: longshore dlq ls --fingerprint {fingerprint}")
        }
        Subject::WorkerLost { .. } => "Look at the workers: longshore worker ls".to_owned(),
        Subject::QueueLong { .. } | Subject::QueueOld { .. } => {
            "Look at the queues: longshore queue ls; at one job: longshore job why ID".to_owned()
        }
        Subject::CronMissed { entry } => format!("Look at the entry: longshore cron show {entry}"),
        Subject::Uncounted | Subject::Others => {
            "Look at the dead letters: longshore dlq ls --group".to_owned()
        }
        Subject::Test => "Nothing has happened: somebody ran `longshore notify test`.".to_owned(),
    }
}

/// How long the events took, when there is more than one.
fn span(letter: &Letter) -> Option<String> {
    (letter.count > 1).then(|| {
        let over = short_time(letter.last_at.since(letter.first_at));
        format!("{} in {over}", counted(letter.count, "event"))
    })
}

/// The lines of the samples.
fn lines(letter: &Letter) -> Vec<String> {
    let mut lines: Vec<_> = letter
        .samples
        .iter()
        .map(|sample| match sample.job {
            Some(job) => format!("{} {job} {}", utc(sample.at), one(&sample.text)),
            None => format!("{} {}", utc(sample.at), one(&sample.text)),
        })
        .collect();
    let shown = lines.len() as u64;
    if letter.count > shown && letter.subject.kind().is_some() {
        lines.push(format!("and {} more", letter.count - shown));
    }
    lines
}

fn one(text: &str) -> String {
    crate::one_line(text, longshore_core::notice::TEXT_CHARS_MAX)
}

/// The body of a mail.
pub fn plain(letter: &Letter) -> String {
    let mut text = title(letter);
    text.push_str("\n\n");
    for line in span(letter).into_iter().chain(lines(letter)) {
        // Writing to a string cannot fail.
        writeln!(text, "{line}").ok();
    }
    writeln!(text, "\n{}", hint(letter)).ok();
    text
}

/// The body of a generic webhook.
pub fn document(letter: &Letter) -> Value {
    let kind = letter
        .subject
        .kind()
        .map_or("summary", longshore_core::notice::Kind::as_str);
    let kind = if letter.subject == Subject::Test {
        "test"
    } else {
        kind
    };
    let samples: Vec<_> = letter
        .samples
        .iter()
        .map(|sample| {
            json!({
                "at_ms": sample.at.millis(),
                "job_id": sample.job.map(|job| job.to_string()),
                "text": sample.text,
            })
        })
        .collect();
    json!({
        "type": format!("longshore.{kind}"),
        "timestamp": utc(letter.last_at),
        "data": {
            "id": letter.id,
            "title": title(letter),
            "group": letter.subject.key(),
            "subject": letter.subject,
            "count": letter.count,
            "first_at_ms": letter.first_at.millis(),
            "last_at_ms": letter.last_at.millis(),
            "samples": samples,
            "hint": hint(letter),
        },
    })
}

/// The body that Slack and what is compatible with it takes.
pub fn slack(letter: &Letter) -> Value {
    let mut text = format!("*{}*", escaped(&title(letter)));
    for line in span(letter).into_iter().chain(lines(letter)) {
        write!(text, "\n• {}", escaped(&line)).ok();
    }
    write!(text, "\n_{}_", escaped(&hint(letter))).ok();
    json!({ "text": text })
}

/// What Slack reads as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A time in RFC 3339, in UTC.
fn utc(at: Timestamp) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.millis());
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use longshore_core::dead::Fingerprint;
    use longshore_core::notice::{Sample, State};

    use super::*;

    pub(crate) fn letter(message: &str, count: u64) -> Letter {
        let at = Timestamp(1_700_000_000_000);
        Letter {
            id: "00112233445566778899aabbccddeeff".to_owned(),
            channel: "ops".to_owned(),
            subject: Subject::DeadLetters {
                fingerprint: Fingerprint::of(None),
                error_type: "io".to_owned(),
                message: message.to_owned(),
            },
            count,
            first_at: at,
            last_at: at.after(std::time::Duration::from_secs(90)),
            samples: vec![Sample {
                at,
                job: None,
                text: format!("f in queue default: {message}"),
            }],
            state: State::Closed {
                next: at,
                attempts: 1,
                closed_at: at,
            },
        }
    }

    #[test]
    fn a_mail_says_what_how_often_and_what_next() {
        let text = plain(&letter("disk\nfull", 7));
        assert!(
            text.starts_with("7 dead letters: io: disk full\n\n7 events in 1m 30s\n2023-11-14T22:13:20Z "),
            "{text}"
        );
        assert!(
            text.contains("and 6 more\n") && text.contains("longshore dlq ls --fingerprint"),
            "{text}"
        );
    }

    #[test]
    fn nothing_of_an_error_becomes_markup_in_slack() {
        let body = slack(&letter("<!channel> & <http://x|y>", 1));
        let text = body["text"].as_str().unwrap();
        assert!(
            !text.contains('<') && text.contains("&lt;!channel&gt; &amp;"),
            "{text}"
        );
    }

    #[test]
    fn a_title_is_one_bounded_line() {
        let title = title(&letter(&"long\r\n".repeat(500), 1));
        assert!(
            title.chars().count() <= TITLE_CHARS_MAX && !title.contains(['\r', '\n']),
            "{title}"
        );
    }
}
