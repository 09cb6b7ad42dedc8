//! What must be remembered of somebody who is at the provider: a signed cookie, and what follows from it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use longshore_core::Timestamp;

use super::super::cookie;
use super::super::login::local_path;
use super::super::signer::{Signer, random_bytes};
use super::ATTEMPT_MAX;
use crate::state::AppState;

/// The cookie. It is sent to the two pages below `/login/oidc` alone.
pub(super) const COOKIE: &str = "longshore_oidc";
/// Longest page that is remembered, in bytes.
const NEXT_BYTES_MAX: usize = 1_024;
const PURPOSE: &str = "oidc";

/// Somebody who was sent to the provider. State, nonce and PKCE verifier are signatures of the cookie's content, each for
/// its own use: who reads the cookie learns none of them, and no two attempts share one.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    payload: String,
    signer: Signer,
    next: String,
}

impl Attempt {
    pub(super) fn new(state: &AppState, signer: Signer, next: &str) -> Self {
        let next = if next.len() > NEXT_BYTES_MAX {
            "/"
        } else {
            local_path(next)
        };
        let mut bytes = random_bytes(state.random()).to_vec();
        bytes.extend(state.now().after(ATTEMPT_MAX).millis().to_be_bytes());
        bytes.extend(next.as_bytes());
        Self {
            payload: URL_SAFE_NO_PAD.encode(bytes),
            signer,
            next: next.to_owned(),
        }
    }

    /// The attempt of a request's cookie; `None` when there is none of ours, or its time is over.
    pub(super) fn of(headers: &HeaderMap, signer: Signer, now: Timestamp) -> Option<Self> {
        let (payload, signature) = cookie::find(headers, COOKIE)?.split_once('.')?;
        if !signer.verify(PURPOSE, payload, signature) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let (_, rest) = bytes.split_first_chunk::<32>()?;
        let (expires_at, next) = rest.split_first_chunk::<8>()?;
        if Timestamp(u64::from_be_bytes(*expires_at)) <= now {
            return None;
        }
        Some(Self {
            payload: payload.to_owned(),
            signer,
            next: String::from_utf8(next.to_vec()).ok()?,
        })
    }

    /// The value of the cookie.
    pub(super) fn cookie(&self) -> String {
        format!("{}.{}", self.payload, self.signer.sign(PURPOSE, &self.payload))
    }

    /// What the provider must send back, so that nobody can make a browser finish what another has begun.
    pub(super) fn state(&self) -> String {
        self.signer.sign("oidc-state", &self.payload)
    }

    /// Whether this is the state; takes the same time wherever the two differ.
    pub(super) fn has_state(&self, shown: &str) -> bool {
        self.signer.verify("oidc-state", &self.payload, shown)
    }

    /// What the provider must put into the token, so that none of another time or browser is taken.
    pub(super) fn nonce(&self) -> String {
        self.signer.sign("oidc-nonce", &self.payload)
    }

    /// The PKCE verifier: 43 letters of base64, as RFC 7636 wants it.
    pub(super) fn verifier(&self) -> String {
        self.signer.sign("oidc-verifier", &self.payload)
    }

    /// Where to go then.
    pub(super) fn next(&self) -> &str {
        &self.next
    }
}
