//! Who may do what through the gateway.

use serde::{Deserialize, Serialize};

/// What a caller of the gateway may do. Each role may do everything that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Enqueues jobs, and cancels them.
    Producer,
    /// Repairs: dead letters, queues, cron entries, the quarantine.
    Operator,
    /// Gives out tokens, and reads the audit log.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ASCENDING: [Self; 4] = [Self::Viewer, Self::Producer, Self::Operator, Self::Admin];

    /// The lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Producer => "producer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role: unknown value \"{0}\"; use viewer, producer, operator or admin")]
pub struct UnknownRole(pub String);

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ASCENDING
            .into_iter()
            .find(|role| role.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_read_back_and_rise() {
        for pair in Role::ASCENDING.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for role in Role::ASCENDING {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
