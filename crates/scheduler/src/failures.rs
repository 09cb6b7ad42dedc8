//! What failed in a pass that goes on.

use std::collections::BTreeSet;

use longshore_core::port;

use crate::error::Error;
use crate::status::Done;

/// What failed in a pass that goes on with the rest of its work.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<Error>,
    away: BTreeSet<u16>,
}

impl Failures {
    /// A question to a shard failed.
    pub(crate) fn note(&mut self, shard: u16, error: Error) {
        if matches!(
            error,
            Error::Port(port::Error::Unavailable { .. } | port::Error::OutcomeUnknown { .. })
        ) {
            self.away.insert(shard);
        }
        self.first = self.first.take().or(Some(error));
    }

    /// Whether a shard did not answer. It is asked no more in this pass: each question may last as long as a time-out.
    pub(crate) fn is_away(&self, shard: u16) -> bool {
        self.away.contains(&shard)
    }

    /// The end of the pass: the first error, or what was done.
    pub(crate) fn end(self, done: Done) -> Result<Done, Error> {
        self.first.map_or(Ok(done), Err)
    }
}
