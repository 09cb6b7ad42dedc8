//! `longshore notify`, and the channels that the configuration names.

mod show;
mod test;

use std::sync::Arc;

use longshore_core::notice::post::{Policy, QueueLimits};
use longshore_core::port::notify::ChannelPort;
use longshore_notify::signature::Key;
use longshore_notify::{Allowed, Body, Email, EmailSettings, Encryption, Invalid, Webhook, WebhookSettings};
use longshore_scheduler::Notifications;
use longshore_service::config::{
    Config, EmailChannel, MailTls, Notify, Origin, Problem, Problems, WebhookChannel,
};
use longshore_service::exit::ExitCode;

use crate::failure::Failure;

pub(crate) use show::run as list;
pub(crate) use test::run as test;

/// The channels of the configuration, and how letters are made for them.
///
/// # Errors
/// What is wrong with a channel: every one at once.
pub(crate) fn notifications(config: &Config) -> Result<Notifications, Failure> {
    Ok(Notifications {
        channels: channels(config).map_err(|problems| Failure::new(ExitCode::Config, problems))?,
        policy: policy(&config.notify),
    })
}

/// Whether the channels could be made.
///
/// # Errors
/// Every problem at once.
pub(crate) fn check(config: &Config) -> Result<(), Problems> {
    channels(config).map(drop)
}

fn channels(config: &Config) -> Result<Vec<Arc<dyn ChannelPort>>, Problems> {
    let notify = &config.notify;
    let mut channels: Vec<Arc<dyn ChannelPort>> = Vec::new();
    let mut problems = Vec::new();
    let mut take = |made: Result<Arc<dyn ChannelPort>, Invalid>, at: String| match made {
        Ok(channel) => channels.push(channel),
        Err(invalid) => problems.push(problem(config, &at, invalid)),
    };
    for (name, channel) in &notify.email {
        let made = email(notify, name, channel).map(|email| Arc::new(email) as Arc<dyn ChannelPort>);
        take(made, format!("notify.email.{name}"));
    }
    for (name, channel) in &notify.webhook {
        let made = webhook(notify, name, channel).map(|webhook| Arc::new(webhook) as Arc<dyn ChannelPort>);
        take(made, format!("notify.webhook.{name}"));
    }
    if problems.is_empty() {
        Ok(channels)
    } else {
        Err(Problems(problems))
    }
}

fn problem(config: &Config, at: &str, invalid: Invalid) -> Problem {
    let key = format!("{at}.{}", invalid.field);
    let origin: Origin = config.origin(&key);
    Problem {
        key,
        origin,
        message: invalid.problem,
    }
}

fn email(notify: &Notify, name: &str, channel: &EmailChannel) -> Result<Email, Invalid> {
    let login = channel.login.as_ref();
    Email::new(EmailSettings {
        name: name.to_owned(),
        kinds: channel.events.clone(),
        host: channel.host.clone(),
        port: channel.port,
        encryption: match channel.tls {
            MailTls::StartTls => Encryption::StartTls,
            MailTls::Implicit => Encryption::Implicit,
            MailTls::None => Encryption::None,
        },
        allow_plain: channel.allow_plain,
        ca_file: channel.ca_file.clone(),
        credentials: login.map(|(user, password)| (user.clone(), password.expose().to_owned())),
        from: channel.from.clone(),
        to: channel.to.clone(),
        timeout: notify.send_timeout,
    })
}

fn webhook(notify: &Notify, name: &str, channel: &WebhookChannel) -> Result<Webhook, Invalid> {
    let key = channel.secret.as_ref().map(|secret| Key::parse(secret.expose()));
    let key = key.transpose().map_err(|error| Invalid {
        field: "secret",
        problem: error.to_string(),
    })?;
    let allowed: Result<Allowed, _> = channel.allow_addresses.join(",").parse();
    Webhook::new(WebhookSettings {
        kinds: channel.events.clone(),
        key,
        body: if channel.slack { Body::Slack } else { Body::Json },
        allowed: allowed.map_err(|problem| Invalid {
            field: "allow_addresses",
            problem,
        })?,
        timeout: notify.send_timeout,
        ..WebhookSettings::new(name, channel.url.expose())
    })
}

fn policy(notify: &Notify) -> Policy {
    let limits = notify.queues.iter().map(|(queue, limit)| {
        let limits = QueueLimits {
            length: limit.length,
            age: limit.age,
        };
        (queue.clone(), limits)
    });
    Policy {
        group_wait: notify.group_wait,
        group_interval: notify.group_interval,
        letters_per_hour: notify.letters_per_hour,
        give_up_after: notify.give_up_after,
        send_timeout: notify.send_timeout,
        queue_length_max: notify.queue_length,
        queue_age_max: notify.queue_age,
        queues: limits.collect(),
        repeat_after: notify.repeat_after,
    }
}
