//! Signatures as [Standard Webhooks](https://www.standardwebhooks.com) describes them: `webhook-id`,
//! `webhook-timestamp`, and `webhook-signature: v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header with the identity of a message: the same for every try.
pub const ID: &str = "webhook-id";
/// Header with the time of a try, in seconds since the Unix epoch.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signature.
pub const SIGNATURE: &str = "webhook-signature";

/// A key that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// What follows `whsec_` is not base64.
    #[error("is not base64 after whsec_; copy it again, or leave whsec_ out for a plain text")]
    NotBase64,
    /// There is no byte in it: anybody could sign.
    #[error("is empty; write base64 after whsec_, or any plain text")]
    Empty,
}

/// The key of signatures. Its debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key as it is written: base64 after `whsec_`, any text otherwise.
    ///
    /// # Errors
    /// When what follows `whsec_` is not base64, or when the key has no byte.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let key = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| InvalidKey::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err(InvalidKey::Empty);
        }
        Ok(Self(key))
    }

    /// The signature of a message, version 1.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // Computed with: printf 'msg_1.1700000000.{}' | openssl dgst -sha256 -hmac secret -binary | base64
        let expected = "v1,A5oIrJxXPB/PkULSoVu0e4khvPiqpF9vljmhkSKg0FI=";
        for key in ["secret", "whsec_c2VjcmV0"] {
            let key = Key::parse(key).unwrap();
            assert_eq!(key.sign("msg_1", 1_700_000_000, b"{}"), expected);
        }
        assert_eq!(Key::parse("whsec_***"), Err(InvalidKey::NotBase64));
    }

    #[test]
    fn a_key_without_a_byte_is_refused() {
        for empty in ["whsec_", ""] {
            assert_eq!(Key::parse(empty), Err(InvalidKey::Empty), "{empty:?}");
        }
    }
}
