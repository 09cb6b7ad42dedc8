//! What an entry does with ticks that were missed, and with a job that still runs.

use serde::{Deserialize, Serialize};

use crate::limits::CRON_CATCH_UP_MAX;

/// What becomes of ticks that nobody fired within [`crate::limits::CRON_GRACE`], because no scheduler ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Misfire {
    /// They are dropped.
    Skip,
    /// One job stands for all of them; a tick that is due on time stands for them too. Default.
    #[default]
    Once,
    /// A job each for the newest, at most this many (1 to [`CRON_CATCH_UP_MAX`]); older ones are dropped.
    All(u32),
}

/// What a tick does while the job of the entry's last one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Overlap {
    /// Fires all the same. Default.
    #[default]
    Allow,
    /// Makes no job.
    Skip,
    /// Cancels the earlier job and fires.
    CancelPrevious,
}

/// A policy that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: \"{text}\" is not a policy; use {choices}")]
pub struct InvalidPolicy {
    /// `misfire` or `overlap`.
    pub field: &'static str,
    /// What was asked for, cut to 64 characters.
    pub text: String,
    /// What there is.
    pub choices: &'static str,
}

/// How many missed ticks `all` without a number catches up.
const ALL_DEFAULT: u32 = 100;

impl Misfire {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "skip" => Some(Self::Skip),
            "once" => Some(Self::Once),
            "all" => Some(Self::All(ALL_DEFAULT)),
            _ => {
                let most = text.strip_prefix("all:")?.parse().ok()?;
                (1..=CRON_CATCH_UP_MAX).contains(&most).then_some(Self::All(most))
            }
        }
    }
}

impl Overlap {
    /// Its name in configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Skip => "skip",
            Self::CancelPrevious => "cancel-previous",
        }
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .take(64)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

impl std::str::FromStr for Misfire {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        Self::parse(text).ok_or_else(|| InvalidPolicy {
            field: "misfire",
            text: cut(text),
            choices: "skip, once, all (the newest 100) or all:N with N from 1 to 1000",
        })
    }
}

impl std::str::FromStr for Overlap {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let known = [Self::Allow, Self::Skip, Self::CancelPrevious];
        let found = known.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| InvalidPolicy {
            field: "overlap",
            text: cut(text),
            choices: "allow, skip or cancel-previous",
        })
    }
}

impl std::fmt::Display for Misfire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skip => f.pad("skip"),
            Self::Once => f.pad("once"),
            Self::All(most) => f.pad(&format!("all:{most}")),
        }
    }
}

impl std::fmt::Display for Overlap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidPolicy;

            fn try_from(text: String) -> Result<Self, InvalidPolicy> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(policy: $name) -> Self {
                policy.to_string()
            }
        }
    )+};
}
as_text!(Misfire, Overlap);
