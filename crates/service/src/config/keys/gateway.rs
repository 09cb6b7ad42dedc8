//! `[gateway]`

use super::{Key, Kind, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "gateway.listen",
        Kind::Text("address and port"),
        "127.0.0.1:8080",
        "Where the gateway serves; `0.0.0.0:8080` for every address.",
    ),
    key(
        "gateway.dashboard",
        Kind::Switch,
        "true",
        "Serve the dashboard, or the API alone.",
    ),
    key(
        "gateway.base_path",
        Kind::Text("path"),
        "",
        "The path below which everything is served, such as `/longshore`, where a proxy hands on a part of a site.",
    ),
];
