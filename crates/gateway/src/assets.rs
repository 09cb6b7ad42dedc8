//! Style, scripts and the `<job-progress>` element: files that are part of the program.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderName;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::state::AppState;

/// What a browser may do with a file whose name changes with its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The same for the element, whose address stands in other people's pages.
const FOR_MINUTES: &str = "public, max-age=300";

/// One of the files.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($name:literal: $kind:literal),* $(,)?) => {
        [$(Asset {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("../assets/", $name)),
        }),*]
    };
}

static ASSETS: [Asset; 11] = assets! {
    "longshore.css": "text/css; charset=utf-8",
    "longshore.js": "text/javascript; charset=utf-8",
    "clock.js": "text/javascript; charset=utf-8",
    "dialogs.js": "text/javascript; charset=utf-8",
    "forms.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "morph.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "job-progress.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
};

/// Changes with the content of any file.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for asset in &ASSETS {
        hasher.update(asset.text.as_bytes());
    }
    let digits = hasher.finalize();
    let digits: Vec<_> = digits.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
});

/// Routes below `/assets`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/job-progress.js", get(element))
        .route("/{version}/{name}", get(file))
}

/// A file of the dashboard. Whatever version is asked for gets what there is; only the right one may be kept.
async fn file(Path((version, name)): Path<(String, String)>) -> Result<Response, Error> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Error::not_found("there is no such file"))?;
    let cache = if version == *VERSION { FOR_EVER } else { "no-cache" };
    Ok(([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, cache)], asset.text).into_response())
}

/// The element, for pages of any site.
async fn element() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, FOR_MINUTES),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
    (headers, include_str!("../assets/job-progress.js")).into_response()
}
