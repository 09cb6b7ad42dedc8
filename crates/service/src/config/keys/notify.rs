//! `[notify]`

use super::{DAY, Key, Kind, LONGEST, SECOND, key};

const HOUR: u64 = 3_600 * SECOND;

pub(super) const KEYS: &[Key] = &[
    key(
        "notify.group_wait",
        Kind::Time(0, HOUR),
        "10s",
        "How long a notification collects alike events before it is sent. Nothing is sent without a channel below; see [notifications](notifications.md).",
    ),
    key(
        "notify.group_interval",
        Kind::Time(0, DAY),
        "15m",
        "Shortest time from one notification of a group, such as dead letters with one error, to the next.",
    ),
    key(
        "notify.letters_per_hour",
        Kind::Count(1, 10_000),
        "60",
        "Notifications that one channel gets: so many at once, and then so many an hour; what is over waits, and goes on collecting.",
    ),
    key(
        "notify.repeat_after",
        Kind::Time(60 * SECOND, LONGEST),
        "1h",
        "A queue that stays over its limit is told of again after this.",
    ),
    key(
        "notify.give_up_after",
        Kind::Time(SECOND, LONGEST),
        "1d",
        "A notification that could not be sent for so long is given up, with an error in the log.",
    ),
    key(
        "notify.send_timeout",
        Kind::Time(SECOND, 300 * SECOND),
        "30s",
        "How long one try may take.",
    ),
    key(
        "notify.queue_length",
        Kind::Count(0, u64::MAX),
        "0",
        "A queue with more waiting jobs than this is told of; 0 tells of none.",
    ),
    key(
        "notify.queue_age",
        Kind::Time(0, LONGEST),
        "0s",
        "A queue whose oldest waiting job is older than this is told of, unless it is paused; 0s tells of none.",
    ),
    key(
        "notify.queues.*.length",
        Kind::Count(1, u64::MAX),
        "",
        "The same for the queue NAME alone.",
    ),
    key(
        "notify.queues.*.age",
        Kind::Time(SECOND, LONGEST),
        "",
        "The same for the queue NAME alone.",
    ),
    key(
        "notify.email.*.host",
        Kind::Text("host"),
        "",
        "Mail server of the channel NAME.",
    ),
    key(
        "notify.email.*.port",
        Kind::Count(1, 65_535),
        "",
        "Its port; 587 with starttls, 465 with implicit, 25 with none unless set.",
    ),
    key(
        "notify.email.*.tls",
        Kind::Choice(&["starttls", "implicit", "none"]),
        "",
        "How the connection is encrypted; starttls unless set. none is for a server on this machine.",
    ),
    key(
        "notify.email.*.allow_plain",
        Kind::Switch,
        "",
        "Allows `tls = none` to another machine: mails and passwords go unencrypted.",
    ),
    key(
        "notify.email.*.ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of the server, instead of the system's.",
    ),
    key(
        "notify.email.*.user",
        Kind::Text("user"),
        "",
        "User of the server; none is named unless set. Needs `password`.",
    ),
    key("notify.email.*.password", Kind::Secret, "", "Its password."),
    key(
        "notify.email.*.from",
        Kind::Text("address"),
        "",
        "Who sends, for example `Jobs <jobs@example.com>`.",
    ),
    key(
        "notify.email.*.to",
        Kind::Texts("addresses"),
        "",
        "Who gets the mails: one to 50 addresses.",
    ),
    key(
        "notify.email.*.events",
        Kind::Texts("events"),
        "",
        "What is told: dead_letter, worker_lost, queue_limit, cron_missed; everything unless set.",
    ),
    key(
        "notify.webhook.*.url",
        Kind::Endpoint,
        "",
        "Where the channel NAME posts. Only public addresses, by https://; see `allow_addresses`.",
    ),
    key(
        "notify.webhook.*.body",
        Kind::Choice(&["json", "slack"]),
        "",
        "What is posted: every fact as JSON, or a text for Slack and what is compatible with it; json unless set.",
    ),
    key(
        "notify.webhook.*.secret",
        Kind::Secret,
        "",
        "Key of the signature (Standard Webhooks); unsigned unless set.",
    ),
    key(
        "notify.webhook.*.allow_addresses",
        Kind::Texts("addresses"),
        "",
        "Private addresses and networks that are meant all the same, such as `10.1.0.0/16`; and public ones that http:// may reach.",
    ),
    key(
        "notify.webhook.*.events",
        Kind::Texts("events"),
        "",
        "As for e-mail.",
    ),
];
