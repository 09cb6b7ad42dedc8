//! What a daemon tells of itself.

use longshore_core::Timestamp;

use crate::error::Error;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows that it moved: jobs published, leases expired, children told.
    pub rows: u64,
    /// More rows were there than the pass may take: the next one follows at once.
    pub more: bool,
    /// Rows that were to be published and that the broker did not confirm; they are published again later.
    pub unconfirmed: u64,
}

impl Done {
    /// A pass that moved this many rows and left none.
    pub(crate) const fn rows(rows: u64) -> Self {
        Self {
            rows,
            more: false,
            unconfirmed: 0,
        }
    }

    /// Both together.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            more: self.more || other.more,
            unconfirmed: self.unconfirmed.saturating_add(other.unconfirmed),
        }
    }

    /// What the broker did not confirm, as an error; `None` when it confirmed everything.
    pub(crate) fn trouble(self) -> Option<Error> {
        (self.unconfirmed > 0).then(|| Error::Unconfirmed {
            count: usize::try_from(self.unconfirmed).unwrap_or(usize::MAX),
            of: usize::try_from(self.rows.saturating_add(self.unconfirmed)).unwrap_or(usize::MAX),
            reason: "a queue does not take or confirm them".to_owned(),
        })
    }
}

/// How a daemon does. Published on a watch channel after every pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Passes that ended.
    pub passes: u64,
    /// When the last pass ended; `None` before the first.
    pub last_ended: Option<Timestamp>,
    /// How the last pass ended; `None` before the first.
    pub last: Option<Result<Done, Error>>,
    /// Rows moved since the start.
    pub rows: u64,
    /// Passes that ended with an error.
    pub errors: u64,
    /// Passes in a row that ended with an error, up to the last one.
    pub errors_in_a_row: u32,
}

impl Status {
    /// Takes the end of a pass.
    pub(crate) fn record(&mut self, now: Timestamp, result: Result<Done, Error>) {
        self.passes = self.passes.saturating_add(1);
        self.last_ended = Some(now);
        if let Ok(done) = &result {
            self.rows = self.rows.saturating_add(done.rows);
            self.errors_in_a_row = 0;
        } else {
            self.errors = self.errors.saturating_add(1);
            self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        }
        self.last = Some(result);
    }
}
