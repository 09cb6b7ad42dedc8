//! Tokens: made once, shown once, kept as a hash.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use longshore_core::access::{Role, Token, TokenId};
use longshore_core::limits::{TOKEN_NAME_BYTES_MAX, TOKENS_MAX};
use longshore_core::port::{self, AccessPort};
use longshore_core::random::Random;
use longshore_core::{Clock, Timestamp};
use sha2::{Digest, Sha256};

use super::signer::random_bytes;

/// What a token of ours begins with, so that scanners for leaked secrets know it.
const PREFIX: &str = "lsk_";

/// Makes, lists and revokes tokens.
#[derive(Clone)]
pub struct Tokens {
    port: Arc<dyn AccessPort>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Why a token was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A field is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong, and the fix.
        problem: String,
    },
    /// There are as many tokens as there may be.
    #[error("there are {TOKENS_MAX} tokens already; revoke some that are not used any more")]
    Full,
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[from] port::Error),
}

/// A token that was just made, with its secret.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What is kept of it.
    pub token: Token,
    /// What its holder sends; nobody can tell it again.
    pub text: SecretText,
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// A text that must not be shown.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself: for its holder, and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(***)")
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens that a store keeps.
    pub fn new(port: Arc<dyn AccessPort>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { port, clock, random }
    }

    /// Makes a token for `name`, good for `lifetime` or for ever.
    ///
    /// # Errors
    /// When the name or the lifetime is out of bounds, there is no room, or the store does not answer.
    pub async fn create(
        &self,
        name: &str,
        role: Role,
        lifetime: Option<Duration>,
        created_by: &str,
    ) -> Result<NewToken, TokenError> {
        check(name, lifetime)?;
        let now = self.clock.now();
        let secret = URL_SAFE_NO_PAD.encode(random_bytes(&*self.random));
        let token = Token {
            id: TokenId(self.random.next_u64()),
            name: name.to_owned(),
            role,
            hash: hash(&secret),
            created_at: now,
            created_by: created_by.to_owned(),
            expires_at: lifetime.map(|lifetime| now.after(lifetime)),
        };
        if !self.port.put_token(token.clone()).await? {
            return Err(TokenError::Full);
        }
        let text = SecretText(format!("{PREFIX}{}_{secret}", token.id));
        Ok(NewToken { token, text })
    }

    /// Every token, the oldest first, those that have expired included.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Vec<Token>, TokenError> {
        Ok(self.port.tokens().await?)
    }

    /// Revokes a token: the next request with it, or with a session that it opened, is refused. Answers whether it was
    /// there.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke(&self, id: TokenId) -> Result<bool, TokenError> {
        Ok(self.port.revoke_token(id).await?)
    }

    /// Replaces the key that gateways sign with: every session and watch link is good no more, tokens are. Gateways that run
    /// take it within 10 s.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rotate_key(&self) -> Result<(), TokenError> {
        Ok(self.port.replace_gateway_key(random_bytes(&*self.random)).await?)
    }

    /// The token behind a text, when it is one that is good now.
    pub(crate) async fn recognise(&self, text: &str) -> Result<Option<Token>, port::Error> {
        let Some((id, secret)) = parse(text) else {
            return Ok(None);
        };
        let known = self.good(id).await?;
        Ok(known.filter(|token| same(&token.hash, &hash(secret))))
    }

    /// The token of an id, when it is neither revoked nor expired.
    pub(crate) async fn good(&self, id: TokenId) -> Result<Option<Token>, port::Error> {
        let now: Timestamp = self.clock.now();
        let known = self.port.token(id).await?;
        Ok(known.filter(|token| !token.is_expired(now)))
    }
}

fn check(name: &str, lifetime: Option<Duration>) -> Result<(), TokenError> {
    let invalid = |field, problem: &str| {
        let problem = problem.to_owned();
        Err(TokenError::Invalid { field, problem })
    };
    if name.trim().is_empty() || name.len() > TOKEN_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return invalid(
            "name",
            "use 1 to 128 bytes without control characters, for example the service's name",
        );
    }
    match lifetime {
        Some(lifetime) if lifetime < Duration::from_secs(1) => {
            invalid("expires_in", "is shorter than a second; use for example 90d")
        }
        Some(lifetime) if lifetime > longshore_core::limits::DURATION_MAX => {
            invalid("expires_in", "is longer than ten years; use for example 90d")
        }
        _ => Ok(()),
    }
}

/// Random bits need no slow hash: nobody tries 2^256 of them.
fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Takes the same time wherever the two differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

fn parse(text: &str) -> Option<(TokenId, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some((id.parse().ok()?, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let text = format!("{PREFIX}{}_se_cret", TokenId(9));
        assert_eq!(parse(&text), Some((TokenId(9), "se_cret")));
        for wrong in [
            "",
            "lsk_",
            "lsk_9_x",
            "lsk_00000000000000zz_x",
            "x00000000000009_x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hashes_are_compared_whole() {
        assert!(same(&hash("a"), &hash("a")));
        assert!(!same(&hash("a"), &hash("b")));
        assert!(!same(&hash("a"), &[]));
    }
}
