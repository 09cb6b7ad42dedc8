//! Recurring jobs: when a cron entry ticks, and what a tick makes.
//!
//! # Daylight-saving time
//! What a change of the clock means depends on how the time of day is written:
//!
//! - **Fixed times** (no `*` and no `/` in the second, minute and hour, such as `30 2 * * *` or `0 9,17 * * *`) follow
//!   the clock on the wall, once a day each. A time that the clock skips in spring fires once, when the gap ends; a
//!   time that the clock shows twice in autumn fires once, the first time. Fixed times that fall into one gap fire
//!   together, as one tick.
//! - **Intervals** (a `*` or `/` there, such as `*/15 * * * *` or `0 * * * *`) follow elapsed time: what the clock
//!   skips does not happen, and an hour that the clock shows twice ticks in both.
//!
//! In both, a tick is strictly later than the one before it.

mod definition;
mod expression;
mod field;
mod plan;
mod policy;
mod schedule;
#[cfg(test)]
mod tests;
mod zone;

pub use definition::{Definition, InvalidDefinition, Source, Template};
pub use expression::{Expression, InvalidExpression};
pub use plan::{Step, plan};
pub use policy::{InvalidPolicy, Misfire, Overlap};
pub use schedule::Schedule;
pub use zone::{UnknownZone, Zone};
