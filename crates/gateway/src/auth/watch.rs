//! Watch links: what lets somebody without a token see one job, and cancel it if that was granted.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use longshore_core::port::{self, AccessPort};
use longshore_core::random::Random;
use longshore_core::{Clock, JobId, Timestamp};

use super::signer::{Signer, random_bytes};
use super::tokens::SecretText;

/// What a watch link's token begins with.
const PREFIX: &str = "lsw_";
/// What it is signed for.
const PURPOSE: &str = "watch";
/// Longest time for which one is good: 30 days. It cannot be revoked alone.
pub const WATCH_LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What the holder of a watch link may do besides following the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchAllows {
    /// Cancel it.
    pub cancel: bool,
    /// Read the message of its error, as far as a viewer may. Errors may tell of what is inside.
    pub error: bool,
}

impl WatchAllows {
    const CANCEL: u8 = 1;
    const ERROR: u8 = 2;

    fn bits(self) -> u8 {
        u8::from(self.cancel) * Self::CANCEL + u8::from(self.error) * Self::ERROR
    }

    /// For the audit log.
    pub(crate) const fn words(self) -> &'static str {
        match (self.cancel, self.error) {
            (false, false) => "may watch",
            (true, false) => "may cancel",
            (false, true) => "may watch, and read its error",
            (true, true) => "may cancel, and read its error",
        }
    }

    const fn of(bits: u8) -> Self {
        Self {
            cancel: bits & Self::CANCEL != 0,
            error: bits & Self::ERROR != 0,
        }
    }
}

/// What a watch link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) job: JobId,
    pub(crate) allows: WatchAllows,
    pub(crate) expires_at: Timestamp,
}

/// A lifetime that a watch link cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expires_in: {0:?} is out of range; use 1 s to 30 days")]
pub struct InvalidLifetime(pub Duration);

/// Why no watch link was made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchLinkError {
    /// The lifetime is out of range.
    #[error(transparent)]
    Lifetime(#[from] InvalidLifetime),
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[from] port::Error),
}

/// A token for one job.
#[derive(Clone, Debug)]
pub struct WatchLink {
    /// What `<job-progress token="…">` is given.
    pub text: SecretText,
    /// From when it is good no more.
    pub expires_at: Timestamp,
}

/// Makes a watch link for a job with the key that the gateways of this store share.
///
/// # Errors
/// When the lifetime is out of range, or the store does not answer.
pub async fn watch_link(
    access: &Arc<dyn AccessPort>,
    clock: &dyn Clock,
    random: &dyn Random,
    job: JobId,
    allows: WatchAllows,
    lifetime: Duration,
) -> Result<WatchLink, WatchLinkError> {
    let key = access.gateway_key(random_bytes(random)).await?;
    Ok(mint(&Signer::new(key), clock.now(), job, allows, lifetime)?)
}

pub(crate) fn mint(
    signer: &Signer,
    now: Timestamp,
    job: JobId,
    allows: WatchAllows,
    lifetime: Duration,
) -> Result<WatchLink, InvalidLifetime> {
    if lifetime < Duration::from_secs(1) || lifetime > WATCH_LIFETIME_MAX {
        return Err(InvalidLifetime(lifetime));
    }
    let expires_at = now.after(lifetime);
    let mut bytes = job.as_bytes().to_vec();
    bytes.extend(expires_at.millis().to_be_bytes());
    bytes.push(allows.bits());
    let payload = URL_SAFE_NO_PAD.encode(bytes);
    let signature = signer.sign(PURPOSE, &payload);
    Ok(WatchLink {
        text: SecretText::new(format!("{PREFIX}{payload}.{signature}")),
        expires_at,
    })
}

/// What a token allows; `None` when it is not ours. Says nothing about its time.
pub(crate) fn read(signer: &Signer, text: &str) -> Option<Grant> {
    let (payload, signature) = text.strip_prefix(PREFIX)?.split_once('.')?;
    if !signer.verify(PURPOSE, payload, signature) {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let (job, rest) = bytes.split_first_chunk::<16>()?;
    let (expires_at, rest) = rest.split_first_chunk::<8>()?;
    let [bits] = rest else { return None };
    Some(Grant {
        job: JobId::from_uuid(uuid::Uuid::from_bytes(*job)),
        allows: WatchAllows::of(*bits),
        expires_at: Timestamp(u64::from_be_bytes(*expires_at)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_link_reads_back_and_no_letter_of_it_may_change() {
        let signer = Signer::new([3; 32]);
        let job = JobId::from_idempotency_key("a");
        let allows = WatchAllows {
            cancel: true,
            error: false,
        };
        let link = mint(&signer, Timestamp(5), job, allows, Duration::from_secs(60)).unwrap();
        let text = link.text.expose();
        let grant = Grant {
            job,
            allows,
            expires_at: Timestamp(60_005),
        };
        assert_eq!(read(&signer, text), Some(grant));
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            // The other case of a letter, or another sign: always a change that base64 would see.
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                read(&signer, &changed).is_none_or(|read| read == grant && at == text.len() - 1),
                "{at}"
            );
        }
        assert_eq!(read(&Signer::new([4; 32]), text), None);
        for (cancel, error) in [(false, false), (true, false), (false, true), (true, true)] {
            let allows = WatchAllows { cancel, error };
            let link = mint(&signer, Timestamp(5), job, allows, Duration::from_secs(60)).unwrap();
            assert_eq!(read(&signer, link.text.expose()).unwrap().allows, allows);
        }
        assert!(mint(&signer, Timestamp(5), job, allows, Duration::ZERO).is_err());
        assert!(mint(&signer, Timestamp(5), job, allows, WATCH_LIFETIME_MAX * 2).is_err());
    }
}
