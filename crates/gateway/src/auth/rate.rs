//! How often one caller may ask: a bucket each, in a table that is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Extensions, HeaderMap};
use longshore_core::access::TokenId;
use longshore_core::{JobId, Timestamp};
use parking_lot::Mutex;

use crate::error::Error;
use crate::server::Peer;
use crate::state::AppState;

/// Callers that are remembered.
const CALLERS_MAX: usize = 10_000;
/// Wrong tokens that one address may show at once, and how long one of them counts.
const FAILURES_MAX: f64 = 20.0;
const FAILURE_FORGOTTEN: Duration = Duration::from_secs(6);
/// Requests at once, as so many seconds' worth of the rate.
const BURST_SECONDS: f64 = 2.0;

/// Whom requests are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Whoever has no token that is known.
    Address(Option<IpAddr>),
    /// A token, whatever addresses its holders have.
    Token(TokenId),
    /// The session of somebody whom the OpenID provider has named.
    Session(u64),
    /// A watch link: its job, and when it ends.
    Link(JobId, Timestamp),
}

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// Whether it was told that a proxy stands before the gateway which is not trusted.
    told: AtomicBool,
    requests: Mutex<HashMap<Caller, Bucket>>,
    failures: Mutex<HashMap<Caller, Bucket>>,
}

/// How much of a caller's allowance is used up.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    used: f64,
    at: Timestamp,
}

impl Caller {
    /// The address at the other end, or the one that a trusted proxy names.
    pub(crate) fn of(state: &AppState, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<Peer>().map(|peer| peer.0.ip());
        let forwarded = || {
            // The last one is the proxy's word; what comes before is the client's own.
            let last = headers.get_all("x-forwarded-for").iter().next_back()?;
            last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let trusts = state.settings().trust_forwarded;
        if !trusts && is_forwarded(headers) {
            state.rate().tell_of_a_proxy();
        }
        let named = trusts.then(forwarded).flatten();
        Self::Address(named.or(peer))
    }

    /// The address that somebody with a watch link has besides the link; nothing where it is a proxy's, whose callers are
    /// not one.
    pub(crate) fn apart(state: &AppState, extensions: &Extensions, headers: &HeaderMap) -> Option<Self> {
        let is_known = state.settings().trust_forwarded || !is_forwarded(headers);
        is_known.then(|| Self::of(state, extensions, headers))
    }
}

/// Whether a request says that it came through a proxy.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(http::header::FORWARDED)
}

impl Rate {
    /// Says once that a proxy is not trusted, and what follows from that.
    fn tell_of_a_proxy(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come through a proxy (they have the header X-Forwarded-For) that gateway.trust_forwarded does not \
                 name as one, so everybody without a token counts as one caller; set gateway.trust_forwarded = true if the \
                 proxy sets the header itself"
            );
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// When there were too many.
    pub(crate) fn check(&self, caller: Caller, per_second: u32, now: Timestamp) -> Result<(), Error> {
        if per_second == 0 {
            return Ok(());
        }
        let (rate, room) = (f64::from(per_second), f64::from(per_second) * BURST_SECONDS);
        take(&mut self.requests.lock(), caller, rate, room, now, 1.0)
    }

    /// Counts a wrong token. It is asked for after a token was looked at, so that whoever has a good one gets in, however
    /// many wrong ones others have shown at the same address.
    ///
    /// # Errors
    /// When the caller has shown too many.
    pub(crate) fn fail(&self, caller: Caller, now: Timestamp) -> Result<(), Error> {
        let rate = 1.0 / FAILURE_FORGOTTEN.as_secs_f64();
        take(&mut self.failures.lock(), caller, rate, FAILURES_MAX, now, 1.0)
    }
}

fn take(
    table: &mut HashMap<Caller, Bucket>,
    caller: Caller,
    rate: f64,
    room: f64,
    now: Timestamp,
    count: f64,
) -> Result<(), Error> {
    let left = |bucket: &Bucket| (bucket.used - now.since(bucket.at).as_secs_f64() * rate).max(0.0);
    if table.len() >= CALLERS_MAX && !table.contains_key(&caller) {
        table.retain(|_, bucket| left(bucket) > 0.0);
        if table.len() >= CALLERS_MAX {
            // Everybody at once: better nobody is counted for a moment than somebody is refused for others.
            table.clear();
        }
    }
    let used = table.get(&caller).map_or(0.0, left);
    if used + count.max(1.0) > room {
        let seconds = ((used + 1.0 - room) / rate).ceil().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few seconds"
        )]
        return Err(Error::rate_limited(seconds as u64));
    }
    table.insert(
        caller,
        Bucket {
            used: used + count,
            at: now,
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Caller = Caller::Token(TokenId(1));

    #[test]
    fn a_burst_is_let_through_and_what_follows_goes_by_the_rate() {
        let rate = Rate::default();
        let at = |millis: u64| Timestamp(1_000_000 + millis);
        for _ in 0..20 {
            rate.check(ONE, 10, at(0)).unwrap();
        }
        assert_eq!(rate.check(ONE, 10, at(0)).unwrap_err().retry_after, Some(1));
        rate.check(Caller::Token(TokenId(2)), 10, at(0)).unwrap();
        rate.check(ONE, 10, at(100)).unwrap();
        assert!(rate.check(ONE, 10, at(100)).is_err());
        rate.check(ONE, 0, at(100)).unwrap();
    }

    #[test]
    fn wrong_tokens_are_told_to_wait_after_some() {
        let rate = Rate::default();
        let at = |seconds: u64| Timestamp(1_000 * (1_000 + seconds));
        for _ in 0..20 {
            rate.fail(ONE, at(0)).unwrap();
        }
        assert!(rate.fail(ONE, at(0)).is_err());
        rate.fail(ONE, at(7)).unwrap();
    }

    #[test]
    fn the_table_stays_within_its_bound() {
        let rate = Rate::default();
        for id in 0..(CALLERS_MAX as u64 * 2) {
            rate.check(Caller::Token(TokenId(id)), 1, Timestamp(5)).unwrap();
        }
        assert!(rate.requests.lock().len() <= CALLERS_MAX);
    }
}
