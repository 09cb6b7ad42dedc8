//! How many event streams and long polls one caller has open: each holds a connection, and what it follows.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::rate::Caller;
use crate::error::{Error, ErrorCode};

/// When whoever has too many may come again, in seconds.
const COME_AGAIN: u64 = 5;

/// What is open, by caller. It has as many rows as there are streams, and those are bounded by the connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<Caller, usize>>>);

/// One of a caller's places; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Streams,
    callers: Vec<Caller>,
}

impl Streams {
    /// Takes a place of each of these callers, who may have `max` each; 0 for any number.
    ///
    /// # Errors
    /// When one of them has no place left.
    pub(crate) fn enter(&self, callers: Vec<Caller>, max: usize) -> Result<Place, Error> {
        let mut open = self.0.lock();
        let is_full = |caller: &Caller| max > 0 && open.get(caller).is_some_and(|count| *count >= max);
        if callers.iter().any(is_full) {
            return Err(Error {
                retry_after: Some(COME_AGAIN),
                ..Error::new(
                    ErrorCode::RateLimited,
                    format!(
                        "{max} streams and waits are open at once; end some, follow several jobs with one stream, or \
                         raise gateway.streams_max"
                    ),
                )
            });
        }
        for caller in &callers {
            *open.entry(*caller).or_default() += 1;
        }
        drop(open);
        Ok(Place {
            streams: self.clone(),
            callers,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        for caller in &self.callers {
            if let Some(count) = open.get_mut(caller) {
                *count -= 1;
                if *count == 0 {
                    open.remove(caller);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::access::TokenId;

    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_left_andothers_have_their_own() {
        let streams = Streams::default();
        let (one, other) = (Caller::Token(TokenId(1)), Caller::Token(TokenId(2)));
        let first = streams.enter(vec![one], 2).unwrap();
        let second = streams.enter(vec![one], 2).unwrap();
        let refused = streams.enter(vec![one], 2).unwrap_err();
        assert_eq!(
            (refused.code, refused.retry_after),
            (ErrorCode::RateLimited, Some(5))
        );
        assert!(streams.enter(vec![other, one], 2).is_err(), "both must have room");
        let others = streams.enter(vec![other], 1).unwrap();
        let any = streams.enter(vec![one], 0).unwrap();
        drop(first);
        assert!(streams.enter(vec![one], 3).is_ok());
        drop((second, others, any));
        assert!(streams.0.lock().is_empty());
    }
}
