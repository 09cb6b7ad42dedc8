//! Who may do what through the gateway: roles, tokens as the store keeps them, and the audit log.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What a caller of the gateway may do. Each role may do everything that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Enqueues jobs, and cancels them.
    Producer,
    /// Repairs: dead letters, queues, cron entries, the quarantine; reads the audit log.
    Operator,
    /// Gives out tokens.
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

/// The identity of a token: what may be shown of it, and what it is revoked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u64);

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no token's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "id: \"{0}\" is not the id of a token; it has 16 hexadecimal digits, as `longshore token ls` prints it"
)]
pub struct InvalidTokenId(pub String);

impl std::str::FromStr for TokenId {
    type Err = InvalidTokenId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or_else(|| InvalidTokenId(text.chars().take(64).collect()))
    }
}

/// A token as the store keeps it: enough to recognise it, not enough to use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Which.
    pub id: TokenId,
    /// Whom it was made for: at most [`crate::limits::TOKEN_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// SHA-256 of its secret.
    #[serde(with = "serde_bytes")]
    pub hash: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when it is good no more; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Something that a person or program did through the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// A random number: the same note again is kept once.
    pub id: u64,
    /// Who did it.
    pub who: String,
    /// What was done, such as `job.cancel`.
    pub action: String,
    /// To what, such as a job's id.
    pub subject: String,
    /// What else matters, such as the reason that was given.
    pub detail: String,
    /// The id of the request.
    pub request_id: String,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the log; rises by one.
    pub seq: u64,
    /// When it was written, by the store's clock.
    pub at: Timestamp,
    /// What happened.
    pub note: AuditNote,
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

    #[test]
    fn a_token_id_reads_back() {
        let id = TokenId(0x1f);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "1f", "000000000000001g", "+00000000000001f"] {
            assert!(wrong.parse::<TokenId>().is_err(), "{wrong}");
        }
    }
}
