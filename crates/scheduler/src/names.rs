//! Names of spans and of their fields, in one place. The macros of `tracing` need literals; these are what tests and
//! documents refer to.

/// The span around one pass of a daemon. Exported under the daemon's name, when the pass moved a row or failed.
pub const SPAN_PASS: &str = "pass";
/// The daemon.
pub const DAEMON: &str = "longshore.scheduler.daemon";
/// Rows that the pass moved.
pub const ROWS: &str = "longshore.scheduler.rows";
