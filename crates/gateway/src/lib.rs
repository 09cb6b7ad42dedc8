//! HTTP API, live dashboard and the job-progress element: the only place with HTTP and HTML.
//!
//! [`Gateway::builder`] takes a client and its ports, [`Gateway::serve`] a listener. What is served, below the base path:
//!
//! | path | what | where |
//! |---|---|---|
//! | `/api/v1/…` | the HTTP API; `/api/v1/openapi.json` describes it | `api/` |
//! | `/api/v1/events` | one stream of server-sent events a page | `events/` |
//! | `/api/v1/watch/{id}`, `…/events`, `…/cancel` | what a watch link may: read, follow (event `job`) and cancel one job, across origins | `api/watch.rs` |
//! | `POST /login` (`token`, `next`), `POST /logout` (`csrf`) | browser sessions; the page at `GET /login` is one of the pages | `auth/login.rs` |
//! | `/assets/…` | style, scripts, the `<job-progress>` element; without a session | `assets.rs` |
//! | everything else | the dashboard | `pages/` |
//!
//! # How a page is added
//!
//! 1. A file `pages/NAME.rs` with the template's struct (askama, escaping on) and a handler; its template is
//!    `templates/NAME.html`.
//! 2. The handler takes `State(state): State<AppState>` and a `Session`, and answers
//!    `Result<Response, Error>`. The session is who asks: without one the extractor answers for the page (a redirect
//!    to `/login`). `session.role` says what to show, `session.require(Role::Operator)?` what is allowed.
//! 3. A form posts `csrf` (`session.csrf()`), and its handler takes `Posted<T>` instead of `Form<T>` and `Session`:
//!    without the right token it is never called. Scripts send the header `x-csrf-token`.
//! 4. Every link starts with `state.href("/jobs")`, because the gateway may live below a base path.
//! 5. A route in `pages::routes`.
//!
//! Pages read with `state.client()` and show the shapes of `dto/` (`Job::of(&view, session.role, state.hide())`), which hide
//! what a role may not see. They change things through `acts` alone, as the API does: each checks the role and writes the
//! audit log.
//!
//! An `error::Error` becomes a problem document or, where a browser asks for a page, what
//! `pages::problem` renders: one place (`answer/present.rs`) decides, and adds the request's id. Styles and scripts are
//! files in `/assets/`; the content security policy forbids them inline.

mod acts;
mod answer;
mod api;
mod assets;
mod auth;
pub mod dto;
mod error;
mod events;
mod extract;
mod gateway;
mod kept;
mod pages;
mod router;
mod seen;
mod server;
mod settings;
mod state;
mod trace_url;
#[cfg(feature = "testing")]
mod unconnected;

pub use auth::hide::{HideRule, InvalidHideRule};
pub use auth::oidc::{InvalidRoleRule, OidcSettings, RoleRule};
pub use auth::tokens::{NewToken, SecretText, TokenError, Tokens};
pub use auth::watch::{
    InvalidLifetime, WATCH_LIFETIME_MAX, WatchAllows, WatchLink, WatchLinkError, watch_link,
};
pub use gateway::{Gateway, GatewayBuilder, InvalidSetting};
pub use longshore_core::access::Role;
pub use settings::Access;
pub use trace_url::{InvalidTraceUrl, TraceUrl};
#[cfg(feature = "testing")]
pub use unconnected::Unconnected;
