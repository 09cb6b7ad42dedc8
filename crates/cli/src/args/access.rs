//! What `longshore token`, `longshore audit` and `longshore job link` take.

use clap::{Args, Subcommand};
use longshore_core::access::{Role, TokenId};

use crate::job_ref::JobRef;

/// `longshore token`
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; it is shown this once
    #[command(after_help = "Examples:\n  \
        longshore token create shop --role producer --expires-in 90d\n  \
        longshore token create ada --role admin")]
    Create {
        /// Whom it is for
        name: String,
        /// viewer (looks), producer (enqueues and cancels), operator (repairs) or admin (gives out tokens)
        #[arg(long)]
        role: Role,
        /// How long it is good [default: for ever]
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
    },
    /// List tokens, without their secrets
    #[command(after_help = "Examples:\n  longshore token ls\n  longshore token ls -o json")]
    Ls,
    /// Revoke a token: it and the sessions that it opened are good no more
    #[command(after_help = "Example:\n  longshore token revoke 5f1c9a2b00c3d417")]
    Revoke {
        /// The token, by the id that `longshore token ls` prints
        id: TokenId,
    },
    /// Replace the key that gateways sign with: every session and watch link ends, tokens stay
    #[command(after_help = "Example:\n  longshore token rotate-key --yes")]
    RotateKey {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `longshore audit`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Audit {
    /// List what was done through the gateway, the newest first
    #[command(after_help = "Examples:\n  longshore audit ls\n  longshore audit ls -n 200 -o jsonl")]
    Ls {
        /// Go on where a listing ended: the number that it printed
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
}

/// `longshore job link`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    longshore job link 0193f0a1-7c5e-8001-9313-0242ac120002 --cancel --expires-in 2h\n\n\
    The token goes into <job-progress job-id=\"ID\" token=\"TOKEN\"> of any web page whose origin gateway.cors_origins names.")]
pub(crate) struct Link {
    /// The job
    pub(crate) id: JobRef,
    /// Let its holder cancel the job
    #[arg(long)]
    pub(crate) cancel: bool,
    /// Let its holder read the message of the job's error
    #[arg(long)]
    pub(crate) error: bool,
    /// How long it is good, at most 30d
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) expires_in: String,
}
