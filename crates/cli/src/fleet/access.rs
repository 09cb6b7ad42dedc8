//! Tokens, watch links and the audit log.

use std::sync::Arc;
use std::time::Duration;

use longshore::ClientError;
use longshore_core::access::{AuditEntry, Role, Token, TokenId};
use longshore_core::clock::duration_millis;
use longshore_core::port::Ports;
use longshore_core::random::SystemRandom;
use longshore_core::{JobId, SystemClock, Timestamp};
use longshore_gateway::{Tokens, WatchAllows, dto, watch_link};
use serde_json::json;

use super::Fleet;
use super::jobs::listed;
use crate::failure::Failure;
use crate::remote::view;

fn tokens(ports: &Ports) -> Tokens {
    Tokens::new(
        ports.access.clone(),
        Arc::new(SystemClock),
        Arc::new(SystemRandom),
    )
}

impl Fleet {
    /// Makes a token; answers it with its secret.
    pub(crate) async fn create_token(
        &self,
        name: &str,
        role: Role,
        lifetime: Option<Duration>,
    ) -> Result<(Token, String), Failure> {
        match self {
            Self::Direct { ports, .. } => {
                let made = tokens(ports)
                    .create(name, role, lifetime, "the command line")
                    .await?;
                Ok((made.token, made.text.expose().to_owned()))
            }
            Self::Remote { remote, .. } => {
                let lifetime = lifetime.map(duration_millis);
                let body = json!({ "name": name, "role": role, "expires_in_ms": lifetime });
                let made: dto::access::TokenMade = remote.post("tokens", &body).await?;
                Ok((view::token(made.token)?, made.secret))
            }
        }
    }

    /// Every token.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, Failure> {
        match self {
            Self::Direct { ports, .. } => Ok(tokens(ports).list().await?),
            Self::Remote { remote, .. } => {
                let known: Vec<dto::access::TokenView> = listed(remote.get("tokens", &[]).await?, "tokens")?;
                known.into_iter().map(view::token).collect()
            }
        }
    }

    /// Revokes a token; answers whether it was there.
    pub(crate) async fn revoke_token(&self, id: TokenId) -> Result<bool, Failure> {
        match self {
            Self::Direct { ports, .. } => Ok(tokens(ports).revoke(id).await?),
            Self::Remote { remote, .. } => remote.delete(&format!("tokens/{id}")).await,
        }
    }

    /// Replaces the key that gateways sign with.
    pub(crate) async fn rotate_key(&self) -> Result<(), Failure> {
        match self {
            Self::Direct { ports, .. } => Ok(tokens(ports).rotate_key().await?),
            Self::Remote { .. } => Err(Failure::usage(
                "the key is replaced at the servers alone; give --redis-url instead of --url",
            )),
        }
    }

    /// Lines of the audit log, the newest first.
    pub(crate) async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, Failure> {
        match self {
            Self::Direct { ports, .. } => {
                let lines = ports.access.audit_log(before, limit).await;
                Ok(lines.map_err(ClientError::from)?)
            }
            Self::Remote { remote, .. } => {
                let mut query = vec![("limit", limit.to_string())];
                query.extend(before.map(|before| ("before", before.to_string())));
                let lines: Vec<dto::access::AuditLine> = listed(remote.get("audit", &query).await?, "lines")?;
                Ok(lines.into_iter().map(view::audit).collect())
            }
        }
    }

    /// Makes a watch link for a job; answers it and its end.
    pub(crate) async fn link(
        &self,
        id: JobId,
        allows: WatchAllows,
        lifetime: Duration,
    ) -> Result<(String, Timestamp), Failure> {
        match self {
            Self::Direct { client, ports } => {
                let known = client.summary(id).await?;
                known.ok_or(longshore::ClientError::NotFound(id))?;
                let link =
                    watch_link(&ports.access, &SystemClock, &SystemRandom, id, allows, lifetime).await?;
                Ok((link.text.expose().to_owned(), link.expires_at))
            }
            Self::Remote { remote, .. } => {
                let body = json!({
                    "cancel": allows.cancel,
                    "error": allows.error,
                    "expires_in_ms": duration_millis(lifetime),
                });
                let link: dto::access::Link = remote.post(&format!("jobs/{id}/watch-link"), &body).await?;
                Ok((link.token, Timestamp(link.expires_at_ms)))
            }
        }
    }
}
