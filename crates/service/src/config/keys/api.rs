//! `[api]`

use super::{Key, Kind, SECOND, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "api.url",
        Kind::Server("URL (http, https)"),
        "",
        "A gateway that operators' commands ask instead of the servers, with its base path: `https://jobs.example/longshore/`.",
    ),
    key(
        "api.token",
        Kind::Secret,
        "",
        "The token that they show there. `longshore token create` makes one.",
    ),
    key(
        "api.ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of that gateway, instead of the system's.",
    ),
    key(
        "api.timeout",
        Kind::Time(SECOND, 3_600 * SECOND),
        "30s",
        "How long one request to it may take.",
    ),
];
