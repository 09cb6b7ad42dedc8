//! How often one caller may ask: a bucket each, in a table that is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use http::{Extensions, HeaderMap};
use longshore_core::Timestamp;
use longshore_core::access::TokenId;
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
}

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Rate {
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
        let named = state.settings().trust_forwarded.then(forwarded).flatten();
        Self::Address(named.or(peer))
    }
}

impl Rate {
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

    /// That this caller has not shown too many wrong tokens.
    ///
    /// # Errors
    /// When it has.
    pub(crate) fn check_failures(&self, caller: &Caller, now: Timestamp) -> Result<(), Error> {
        let rate = 1.0 / FAILURE_FORGOTTEN.as_secs_f64();
        take(&mut self.failures.lock(), *caller, rate, FAILURES_MAX, now, 0.0)
    }

    /// Remembers a wrong token.
    pub(crate) fn count_failure(&self, caller: &Caller, now: Timestamp) {
        let rate = 1.0 / FAILURE_FORGOTTEN.as_secs_f64();
        let mut table = self.failures.lock();
        // A bucket that overflows stays full.
        take(&mut table, *caller, rate, FAILURES_MAX + 1.0, now, 1.0).ok();
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
    fn wrong_tokens_lock_an_address_for_a_while() {
        let rate = Rate::default();
        let at = |seconds: u64| Timestamp(1_000 * (1_000 + seconds));
        for _ in 0..20 {
            rate.check_failures(&ONE, at(0)).unwrap();
            rate.count_failure(&ONE, at(0));
        }
        assert!(rate.check_failures(&ONE, at(0)).is_err());
        rate.check_failures(&ONE, at(7)).unwrap();
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
