//! `longshore doctor` on the command line.

use clap::Args;

/// `longshore doctor`
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "Looks at the servers and their settings, the queues and exchanges, every record and every index row, \
    what waits too long, and whether workers and schedulers are alive. Nothing is changed without --fix.\n\n\
    Exit code 9: errors were found that are not repaired. Warnings and notices are no failure.\n\n\
    Examples:\n  \
    longshore doctor\n  \
    longshore doctor --quick -o json\n  \
    longshore doctor --fix"
)]
pub(crate) struct Doctor {
    /// Repair what can be repaired: index rows from their records, missing queues, exchanges and bindings
    #[arg(long)]
    pub(crate) fix: bool,
    /// Leave out the comparison of records and index rows, which reads all of them
    #[arg(long, conflicts_with = "fix")]
    pub(crate) quick: bool,
}
