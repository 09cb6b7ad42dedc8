//! Tokens, watch links, the audit log, and who asks.

use longshore_core::Timestamp;
use longshore_core::access::{AuditEntry, Role, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token's holder may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub enum RoleName {
    /// Looks at everything.
    Viewer,
    /// Enqueues jobs, and cancels them.
    Producer,
    /// Repairs: dead letters, queues, cron entries, the quarantine; reads the audit log.
    Operator,
    /// Gives out tokens.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Producer => Self::Producer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Producer => Self::Producer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Whom it was made for.
    pub name: String,
    /// What its holder may do.
    pub role: RoleName,
    /// When it was made.
    pub created_at_ms: u64,
    /// Who made it.
    pub created_by: String,
    /// From when it is good no more.
    pub expires_at_ms: Option<u64>,
}

impl TokenView {
    pub(crate) fn of(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            role: token.role.into(),
            created_at_ms: token.created_at.millis(),
            created_by: token.created_by.clone(),
            expires_at_ms: token.expires_at.map(Timestamp::millis),
        }
    }
}

/// A token to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Whom it is for.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f]+$")]
    pub name: String,
    /// What its holder may do.
    pub role: RoleName,
    /// How long it is good; for ever unless set.
    #[schema(minimum = 1_000, maximum = 315_360_000_000_u64)]
    pub expires_in_ms: Option<u64>,
}

/// A token that was just made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// What is kept of it.
    #[serde(flatten)]
    pub token: TokenView,
    /// What its holder sends as `Authorization: Bearer …`; it is told this once.
    pub secret: String,
}

/// A watch link to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinkRequest {
    /// Whether its holder may cancel the job.
    pub cancel: bool,
    /// Whether its holder may read the message of the job's error.
    pub error: bool,
    /// How long it is good, at most 30 days; an hour unless set.
    #[schema(minimum = 1_000, maximum = 2_592_000_000_u64)]
    pub expires_in_ms: Option<u64>,
}

/// A watch link.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The job.
    #[schema(format = "uuid")]
    pub job_id: String,
    /// What `<job-progress token="…">` is given.
    pub token: String,
    /// From when it is good no more.
    pub expires_at_ms: u64,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its place in the log.
    pub seq: u64,
    /// When it was done.
    pub at_ms: u64,
    /// Who did it.
    pub who: String,
    /// What was done, such as `job.cancel`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else matters.
    pub detail: String,
    /// The id of the request.
    pub request_id: String,
}

impl AuditLine {
    pub(crate) fn of(entry: &AuditEntry) -> Self {
        let note = entry.note.clone();
        Self {
            seq: entry.seq,
            at_ms: entry.at.millis(),
            who: note.who,
            action: note.action,
            subject: note.subject,
            detail: note.detail,
            request_id: note.request_id,
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// Whom the token was made for.
    pub who: String,
    /// What they may do.
    pub role: RoleName,
}
