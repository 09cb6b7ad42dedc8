//! How urgent a job is.

use serde::{Deserialize, Serialize};

/// How urgent a job is. Higher priorities start first, in the broker and in a worker's own buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Priority {
    /// Background maintenance.
    Low = 0,
    /// The default.
    #[default]
    Normal = 1,
    /// Somebody waits for it.
    High = 2,
    /// Starts at the next free slot.
    Critical = 3,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const DESCENDING: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The lower-case name, as it appears in queue names, the wire format and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// 0 (low) to 3 (critical): the number on the wire and in Redis.
    pub const fn level(self) -> u8 {
        self as u8
    }

    /// The priority with this level, or `None` above 3.
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::Low),
            1 => Some(Self::Normal),
            2 => Some(Self::High),
            3 => Some(Self::Critical),
            _ => None,
        }
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("priority: unknown value \"{0}\"; use low, normal, high or critical")]
pub struct UnknownPriority(pub String);

impl std::str::FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::DESCENDING
            .into_iter()
            .find(|priority| priority.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownPriority(text.chars().take(64).collect()))
    }
}
