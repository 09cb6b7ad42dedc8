//! Signatures with the key that the gateway's replicas share.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use longshore_core::random::Random;
use sha2::Sha256;

/// Signs texts, each for one use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signer([u8; 32]);

/// HMAC takes a key of a block's length as it is, and fills a shorter one with zeros.
const BLOCK: usize = 64;

impl Signer {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The signature of `text` for `purpose`: one for a use is of no use for another.
    pub(crate) fn sign(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(purpose, text).finalize().into_bytes())
    }

    /// Whether a signature is right; takes the same time whether it is or not.
    pub(crate) fn verify(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let decoded = URL_SAFE_NO_PAD.decode(signature);
        decoded.is_ok_and(|bytes| self.mac(purpose, text).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut key = [0_u8; BLOCK];
        for (at, byte) in key.iter_mut().zip(self.0) {
            *at = byte;
        }
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&key.into());
        // The length keeps `a` + `bc` and `ab` + `c` apart.
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(text.as_bytes());
        mac
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

/// 256 random bits.
pub(crate) fn random_bytes(random: &dyn Random) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&random.next_u64().to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use longshore_core::random::SystemRandom;

    use super::*;

    #[test]
    fn a_signature_is_good_for_its_text_its_use_and_its_key_alone() {
        let signer = Signer::new(random_bytes(&SystemRandom));
        let signature = signer.sign("csrf", "session");
        assert!(signer.verify("csrf", "session", &signature));
        assert!(!signer.verify("csrf", "sessio", &signature));
        assert!(!signer.verify("csrfs", "ession", &signature));
        assert!(!signer.verify("csrf", "session", "!"));
        assert!(!Signer::new([7; 32]).verify("csrf", "session", &signature));
        assert_eq!(format!("{signer:?}"), "Signer(***)");
    }
}
