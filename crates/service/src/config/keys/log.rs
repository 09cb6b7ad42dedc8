//! `[log]`

use super::{Key, Kind, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        "text",
        "Lines for people, or JSON for machines.",
    ),
    key(
        "log.level",
        Kind::Filter,
        "info",
        "Lowest level: `error`, `warn`, `info`, `debug`, `trace`, or `target=level` pairs separated by commas.",
    ),
];
