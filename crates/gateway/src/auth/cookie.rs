//! Cookies: how ours are written and found, and what the one of a session stands for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use longshore_core::Timestamp;
use longshore_core::access::{Role, TokenId};

use crate::error::Error;
use crate::state::AppState;

/// The cookie of a session.
pub(super) const SESSION: &str = "longshore_session";
const PURPOSE: &str = "session";

/// What the cookie of a session stands for. Whoever can show it is let in: there is nothing in a gateway's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) holder: Holder,
    /// A random number, so that no two sessions share a CSRF token, and that one can be ended.
    pub(super) number: u64,
    pub(super) expires_at: Timestamp,
}

/// Who has a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Whoever has shown a token: its name and role are those of the token, as long as it is good.
    Token(TokenId),
    /// Whom the OpenID provider has named.
    Person { name: String, role: Role },
}

impl Ticket {
    /// The value of the cookie.
    pub(super) async fn sign(&self, state: &AppState) -> Result<String, Error> {
        let payload = self.encode();
        let signature = state.signer().await?.sign(PURPOSE, &payload);
        Ok(format!("{payload}.{signature}"))
    }

    /// The ticket of a request's cookie, when it is one of ours whose time is not over. Says nothing about whether the
    /// session was ended before.
    pub(super) async fn of(state: &AppState, headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some((payload, signature)) = find(headers, SESSION).and_then(|value| value.split_once('.'))
        else {
            return Ok(None);
        };
        if !state.signer().await?.verify(PURPOSE, payload, signature) {
            return Ok(None);
        }
        let now = state.now();
        Ok(Self::decode(payload).filter(|ticket| ticket.expires_at > now))
    }

    fn encode(&self) -> String {
        let mut bytes = self.number.to_be_bytes().to_vec();
        bytes.extend(self.expires_at.millis().to_be_bytes());
        match &self.holder {
            Holder::Token(id) => {
                bytes.push(0);
                bytes.extend(id.0.to_be_bytes());
            }
            Holder::Person { name, role } => {
                bytes.push(1);
                bytes.push(*role as u8);
                bytes.extend(name.as_bytes());
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(payload: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let holder = match rest.split_first()? {
            (0, id) => Holder::Token(TokenId(u64::from_be_bytes(id.try_into().ok()?))),
            (1, rest) => {
                let (role, name) = rest.split_first()?;
                Holder::Person {
                    name: String::from_utf8(name.to_vec()).ok()?,
                    role: Role::ASCENDING.into_iter().find(|known| *known as u8 == *role)?,
                }
            }
            _ => return None,
        };
        Some(Self {
            holder,
            number: u64::from_be_bytes(*number),
            expires_at: Timestamp(u64::from_be_bytes(*expires_at)),
        })
    }
}

/// The header that sets a cookie below `path` of ours; with 0 seconds it takes the cookie away.
pub(super) fn set(
    state: &AppState,
    name: &str,
    value: &str,
    path: &str,
    seconds: u64,
    secure: bool,
) -> Result<HeaderValue, Error> {
    let path = state.href(path);
    let path = if path.is_empty() { "/" } else { &path };
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

/// The value of a cookie.
pub(super) fn find<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Whether the browser came by TLS, as the configuration or a trusted proxy says.
pub(super) fn is_https(state: &AppState, headers: &HeaderMap) -> bool {
    let settings = state.settings();
    let public = settings
        .public_url
        .as_ref()
        .is_some_and(|url| url.scheme() == "https");
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    public || (settings.trust_forwarded && forwarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back() {
        let person = Holder::Person {
            name: "änn@example.com".to_owned(),
            role: Role::Operator,
        };
        for holder in [Holder::Token(TokenId(1)), person] {
            let ticket = Ticket {
                holder,
                number: 2,
                expires_at: Timestamp(3),
            };
            assert_eq!(Ticket::decode(&ticket.encode()), Some(ticket));
        }
        assert_eq!(Ticket::decode("AAAA"), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            HeaderValue::from_static("a=1; longshore_session=x.y; b=2"),
        );
        assert_eq!(find(&headers, SESSION), Some("x.y"));
    }
}
