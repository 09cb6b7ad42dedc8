//! What `longshore stats` and `longshore top` take.

use clap::Args;
use longshore_core::{FunctionName, QueueName};

/// `longshore stats`
#[derive(Debug, Args)]
#[command(
    after_help = "Times are percentiles over all attempts of the window: half of them took no longer than P50. \
    WAIT is from the moment at which a job could run to the start of its attempt, RUN from there to its end.\n\n\
    Examples:\n  \
    longshore stats\n  \
    longshore stats --window 15m --queue mails\n  \
    longshore stats --window 7d --step 1d -o json"
)]
pub(crate) struct Stats {
    /// How far back: 1m to 7d
    #[arg(long, short, value_name = "DURATION", default_value = "1h")]
    pub(crate) window: String,
    /// Length of the steps of the series in -o json: whole minutes for a window of up to 2h, whole hours for a longer
    /// one [default: 1m, or 1h]
    #[arg(long, value_name = "DURATION")]
    pub(crate) step: Option<String>,
    /// Only this function
    #[arg(long, short)]
    pub(crate) function: Option<FunctionName>,
    /// Only this queue
    #[arg(long, short)]
    pub(crate) queue: Option<QueueName>,
}

/// `longshore top`
#[derive(Debug, Args)]
#[command(
    after_help = "Keys: 1 to 5, Tab and the arrows choose a screen and scroll, p pauses, q quits.\n\
    It needs a terminal; for programs there is `longshore stats -o json`.\n\n\
    Examples:\n  \
    longshore top\n  \
    longshore top --screen jobs --every 500ms"
)]
pub(crate) struct Top {
    /// The screen to begin with
    #[arg(long, value_enum, default_value_t)]
    pub(crate) screen: crate::top::Screen,
    /// How often it looks: 100ms to 1m
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(crate) every: String,
}
