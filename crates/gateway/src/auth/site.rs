//! Where a request comes from: another site may not make a browser change anything here.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use super::session::{bearer, changes_something};
use crate::api::watch::is_watch;
use crate::error::{Error, ErrorCode};
use crate::settings::Access;
use crate::state::AppState;

/// Refuses what another site asks a browser for, and, without tokens, whoever calls us by a name that is not ours: a
/// name that a stranger lets point to this machine would make the stranger's page one of our own site.
pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match judge(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn judge(state: &AppState, request: &Request) -> Result<(), Error> {
    let headers = request.headers();
    let host = text(headers, &HOST).unwrap_or_default();
    if state.settings().access == Access::Open && !is_loopback_name(host) {
        return Err(Error::new(
            ErrorCode::CrossSite,
            "without tokens the gateway answers to 127.0.0.1 and localhost alone",
        ));
    }
    // A token in a header is sent by programs, never by a browser on its own; nor is a watch link. A password that a
    // browser remembers it does send.
    if is_watch(state, request.uri().path())
        || !changes_something(request.method())
        || bearer(headers).is_some()
    {
        return Ok(());
    }
    let fetch_site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let same_site = fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = text(headers, &ORIGIN).is_none_or(|origin| is_ours(state, origin, host));
    if same_site && same_origin {
        Ok(())
    } else {
        Err(Error::new(
            ErrorCode::CrossSite,
            "only pages of this gateway may ask for changes",
        ))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    // What is no text is not ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_ours(state: &AppState, origin: &str, host: &str) -> bool {
    let public = state.settings().public_url.as_ref();
    public.is_some_and(|url| url.origin().ascii_serialization() == origin) || is_host(origin, host)
}

/// Whether an origin is the host that was asked.
fn is_host(origin: &str, host: &str) -> bool {
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// `127.0.0.1`, `localhost` or `[::1]`, with any port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_from_others() {
        for ours in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "127.1.2.3",
        ] {
            assert!(is_loopback_name(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil:80",
            "10.0.0.1",
        ] {
            assert!(!is_loopback_name(other), "{other}");
        }
    }

    #[test]
    fn an_origin_is_ours_by_name_and_port() {
        assert!(is_host("http://h:8080", "h:8080"));
        assert!(!is_host("http://h:8081", "h:8080"));
        assert!(!is_host("null", "h:8080"));
        assert!(!is_host("https://h.evil", "h"));
    }
}
