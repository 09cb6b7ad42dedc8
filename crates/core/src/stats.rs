//! What jobs did, and how long it took: counts and histograms by function and queue, in buckets of a minute and of an
//! hour.
//!
//! A store counts where it changes a record: what happened follows from the record before and after
//! ([`happening::happened`]), so that nothing is counted twice and nothing is missed, whoever did it and whoever died
//! then. `docs/reference/statistics.md` says what each number means.

mod answer;
pub mod happening;
mod histogram;
mod ledger;
mod query;
mod tally;
#[cfg(test)]
mod tests;

pub use answer::{FunctionRow, Point, QueueRow, Standing, Statistics};
pub use histogram::Histogram;
pub use ledger::{Bucket, Ledger, Place, Span};
pub use query::{InvalidQuery, StatisticsQuery};
pub use tally::Tally;
