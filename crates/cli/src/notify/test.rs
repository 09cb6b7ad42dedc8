//! `longshore notify test`: does a letter arrive?

use std::sync::Arc;

use futures_util::future::join_all;
use longshore_core::notice::{Letter, Sample, State, Subject};
use longshore_core::port::notify::{ChannelPort, NotSent};
use longshore_core::random::{Random, SystemRandom};
use longshore_core::{Clock, SystemClock};
use longshore_service::config::Config;
use longshore_service::exit::ExitCode;
use serde_json::json;

use super::notifications;
use crate::failure::Failure;
use crate::output::{Column, Give, Out};

/// Sends a test letter by one channel, or by every one.
///
/// # Errors
/// When there is no such channel, or one did not take the letter.
pub(crate) async fn run(config: &Config, only: Option<&str>, out: &mut Out) -> Result<(), Failure> {
    let channels = notifications(config)?.channels;
    let names: Vec<String> = channels.iter().map(|channel| channel.addressee().name).collect();
    if names.is_empty() {
        let problem =
            "no channel is configured; add [notify.email.NAME] or [notify.webhook.NAME] to longshore.toml";
        return Err(Failure::new(ExitCode::Config, problem));
    }
    if let Some(only) = only
        && !names.iter().any(|name| name == only)
    {
        let known = names.join(", ");
        let problem = format!("no channel has the name {only}; the configuration names {known}");
        return Err(Failure::new(ExitCode::NotFound, problem));
    }
    let wanted = std::iter::zip(names, channels).filter(|(name, _)| only.is_none_or(|only| only == name));
    let ends = join_all(wanted.map(|(name, channel)| send(name, channel))).await;
    show(&ends, out)?;
    let failed = ends.iter().filter(|end| end.error.is_some()).count();
    if failed == 0 {
        return Ok(());
    }
    let problem = format!("{failed} of {} channels did not take the test", ends.len());
    Err(Failure::new(ExitCode::Failure, problem))
}

struct End {
    channel: String,
    id: String,
    /// Who did not get it although others did.
    note: Option<String>,
    error: Option<NotSent>,
}

async fn send(name: String, channel: Arc<dyn ChannelPort>) -> End {
    let now = SystemClock.now();
    let id = format!("{:016x}{:016x}", SystemRandom.next_u64(), SystemRandom.next_u64());
    let letter = Letter {
        id: id.clone(),
        channel: name.clone(),
        subject: Subject::Test,
        count: 1,
        first_at: now,
        last_at: now,
        samples: vec![Sample {
            at: now,
            job: None,
            text: format!("the channel {name} works"),
        }],
        state: State::Closed {
            next: now,
            attempts: 1,
            closed_at: now,
        },
    };
    let (note, error) = match channel.send(letter).await {
        Ok(sent) => (sent.note, None),
        Err(error) => (None, Some(error)),
    };
    End {
        channel: name,
        id,
        note,
        error,
    }
}

fn show(ends: &[End], out: &mut Out) -> Result<(), Failure> {
    let rows: Vec<_> = ends
        .iter()
        .map(|end| {
            let error = end.error.as_ref().map(|error| error.reason.clone());
            json!({ "channel": end.channel, "id": end.id, "sent": error.is_none(), "note": end.note, "error": error })
        })
        .collect();
    let cells = ends.iter().map(|end| {
        let result = match (&end.error, &end.note) {
            (None, None) => "sent".to_owned(),
            (None, Some(note)) => format!("sent, but not to all: {note}"),
            (Some(error), _) => error.reason.clone(),
        };
        vec![end.channel.clone(), result]
    });
    let columns = [
        Column::new("CHANNEL", Give::DownTo(12)),
        Column::new("RESULT", Give::Nothing),
    ];
    Ok(out.rows(&columns, &rows, cells)?)
}
