//! `longshore notify ls`: channels, what waits for them and what they did not take.

use std::collections::BTreeSet;

use longshore::ClientError;
use longshore_core::clock::short_time;
use longshore_core::notice::post::{ChannelState, Post};
use longshore_core::notice::{Letter, State};
use longshore_core::port::Ports;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, SystemClock, Timestamp};
use longshore_service::config::Config;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Column, Format, Give, Out};

/// Notices of a shard that are counted at most.
const NOTICES_MAX: usize = longshore_core::limits::NOTICES_MAX;

/// Lists the channels: those of the configuration, and those that the store knows of.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn run(config: &Config, ports: &Ports, out: &mut Out) -> Result<(), Failure> {
    let mailbox = ports.notify.mailbox().await.map_err(ClientError::from)?;
    let mut untaken = 0;
    for shard in ports.enqueue.shards().all() {
        let notices = ports
            .notify
            .notices(shard, NOTICES_MAX)
            .await
            .map_err(ClientError::from)?;
        untaken += notices.rows.len();
    }
    let post = Post::read(mailbox, &SystemRandom);
    let notify = &config.notify;
    let mut names: BTreeSet<&str> = notify
        .email
        .keys()
        .chain(notify.webhook.keys())
        .map(String::as_str)
        .collect();
    names.extend(post.letters().map(|letter| letter.channel.as_str()));
    let channels: Vec<_> = names
        .iter()
        .map(|name| Channel::new(config, &post, name))
        .collect();
    let rows: Vec<_> = channels.iter().map(Channel::document).collect();
    let columns = [
        Column::new("CHANNEL", Give::DownTo(12)),
        Column::new("TYPE", Give::All(1)),
        Column::new("WAITING", Give::Nothing),
        Column::new("SENT", Give::Nothing),
        Column::new("GIVEN UP", Give::Nothing),
        Column::new("LAST SENT", Give::All(2)),
        Column::new("LAST FAILURE", Give::DownTo(20)),
    ];
    out.rows(&columns, &rows, channels.iter().map(Channel::cells))?;
    if out.format == Format::Table && untaken > 0 {
        out.line(format!("{untaken} events are in no notification yet"))?;
    }
    Ok(())
}

struct Channel<'a> {
    name: &'a str,
    kind: &'static str,
    state: ChannelState,
    letters: Vec<&'a Letter>,
}

impl<'a> Channel<'a> {
    fn new(config: &Config, post: &'a Post<'_>, name: &'a str) -> Self {
        let kind = match (
            config.notify.email.contains_key(name),
            config.notify.webhook.get(name),
        ) {
            (true, _) => "email",
            (_, Some(webhook)) if webhook.slack => "slack",
            (_, Some(_)) => "webhook",
            _ => "unknown",
        };
        Self {
            name,
            kind,
            state: post.channel(name),
            letters: post.letters().filter(|letter| letter.channel == name).collect(),
        }
    }

    fn waiting(&self) -> usize {
        let waits = |letter: &&&Letter| !matches!(letter.state, State::GivenUp { .. });
        self.letters.iter().filter(waits).count()
    }

    fn cells(&self) -> Vec<String> {
        let ago = |at: Timestamp| format!("{} ago", short_time(SystemClock.now().since(at)));
        let failure = self.state.failed.as_ref();
        vec![
            self.name.to_owned(),
            self.kind.to_owned(),
            self.waiting().to_string(),
            self.state.sent.to_string(),
            self.state.given_up.to_string(),
            self.state.sent_at.map(ago).unwrap_or_default(),
            failure
                .map(|(at, reason)| format!("{}: {reason}", ago(*at)))
                .unwrap_or_default(),
        ]
    }

    fn document(&self) -> Value {
        let failure = self.state.failed.as_ref();
        let letters: Vec<_> = self.letters.iter().map(|letter| document(letter)).collect();
        json!({
            "channel": self.name,
            "type": self.kind,
            "waiting": self.waiting(),
            "sent": self.state.sent,
            "given_up": self.state.given_up,
            "last_sent_at_ms": self.state.sent_at.map(Timestamp::millis),
            "last_failure": failure.map(|(at, reason)| json!({ "at_ms": at.millis(), "reason": reason })),
            "notifications": letters,
        })
    }
}

fn document(letter: &Letter) -> Value {
    let (state, at, attempts, reason) = match &letter.state {
        State::Collecting { due } => ("collecting", due, 0, None),
        State::Closed { next, attempts, .. } => ("waiting", next, *attempts, None),
        State::GivenUp { at, reason } => ("given_up", at, 0, Some(reason)),
    };
    json!({
        "id": letter.id,
        "title": longshore_notify::text::title(letter),
        "events": letter.count,
        "state": state,
        "at_ms": at.millis(),
        "attempts": attempts,
        "reason": reason,
    })
}
