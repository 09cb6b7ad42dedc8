//! Identities: of jobs, of claims, of workers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::random::Random;

/// Namespace of ids derived from idempotency keys (a random UUID, fixed for ever).
const IDEMPOTENCY_NAMESPACE: Uuid = Uuid::from_u128(0x6f0b_3a52_51de_4c8f_9d0a_7c4e_2b91_e6d3);
/// Marks our own v8 ids among v8 ids that others made: the first nibble of the fourth group's tail.
const OWN_MARK: u64 = 0x4c53;

/// The identity of a job: a UUID.
///
/// Ids that Longshore makes are UUIDv8: 48 bits of Unix milliseconds, 12 bits of shard, 16 bits of a mark, 46 random
/// bits. They sort by creation time and carry their shard. A caller's own id may be any UUID; its shard is a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A new id in `shard` (below 4096).
    pub fn generate(now: Timestamp, shard: u16, random: &dyn Random) -> Self {
        let high = (now.millis() << 16) | u64::from(shard & 0x0fff);
        let low = (OWN_MARK << 46) | (random.next_u64() >> 18);
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id that stands for an idempotency key: UUIDv5 of the key, so that the same key is the same job.
    pub fn from_idempotency_key(key: &str) -> Self {
        Self(Uuid::new_v5(&IDEMPOTENCY_NAMESPACE, key.as_bytes()))
    }

    /// The id of the job that a cron entry fires at `due`, in the entry's shard: the same for every scheduler.
    pub fn from_cron_tick(entry: &str, due: Timestamp, shard: u16) -> Self {
        let name = format!("cron\0{entry}\0{}", due.millis());
        let seed = Uuid::new_v5(&IDEMPOTENCY_NAMESPACE, name.as_bytes()).as_u128();
        let high = (due.millis() << 16) | u64::from(shard & 0x0fff);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits of a hash are wanted"
        )]
        let low = (OWN_MARK << 46) | ((seed as u64) >> 18);
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Takes a caller's UUID as a job id.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID itself.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The sixteen bytes of the UUID.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The shard that the id carries, when Longshore made it; `None` for a caller's id.
    pub fn carried_shard(&self) -> Option<u16> {
        let (high, low) = self.0.as_u64_pair();
        let ours = self.0.get_version_num() == 8 && (low >> 46) & 0xffff == OWN_MARK;
        ours.then_some(u16::try_from(high & 0x0fff).unwrap_or(0))
    }

    /// 32 lower-case hexadecimal digits, as Redis keys carry the id.
    pub fn to_hex(self) -> String {
        self.0.simple().to_string()
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

/// A text that is no job id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id: \"{0}\" is not a job id; a job id is a UUID such as 0193f0a1-7c5e-8001-9313-0242ac120002")]
pub struct InvalidJobId(pub String);

impl std::str::FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidJobId(text.chars().take(64).collect()))
    }
}

/// The random owner of one claim. Internal transitions compare it for equality; it is never ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(pub u128);

impl Nonce {
    /// A new nonce.
    pub fn generate(random: &dyn Random) -> Self {
        Self((u128::from(random.next_u64()) << 64) | u128::from(random.next_u64()))
    }

    /// 32 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }

    /// Reads what [`Nonce::to_hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

/// The name of one worker process, unique while it lives, for example `host-4711-9f3a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl std::fmt::Display for WorkerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_generated_id_carries_its_shard_and_sorts_by_time() {
        let early = JobId::generate(Timestamp(1_700_000_000_000), 4095, &SystemRandom);
        let late = JobId::generate(Timestamp(1_700_000_000_001), 0, &SystemRandom);
        assert_eq!(early.carried_shard(), Some(4095));
        assert_eq!(late.carried_shard(), Some(0));
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 8);
    }

    #[test]
    fn a_foreign_id_carries_no_shard() {
        assert_eq!(JobId::from_uuid(Uuid::new_v4()).carried_shard(), None);
        assert_eq!(JobId::from_idempotency_key("order-1").carried_shard(), None);
    }

    #[test]
    fn an_idempotency_key_is_always_the_same_job() {
        assert_eq!(JobId::from_idempotency_key("a"), JobId::from_idempotency_key("a"));
        assert_ne!(JobId::from_idempotency_key("a"), JobId::from_idempotency_key("b"));
    }

    #[test]
    fn a_cron_tick_has_one_id() {
        let tick = JobId::from_cron_tick("nightly", Timestamp(1_700_000_000_000), 3);
        assert_eq!(
            tick,
            JobId::from_cron_tick("nightly", Timestamp(1_700_000_000_000), 3)
        );
        assert_eq!(tick.carried_shard(), Some(3));
    }

    #[test]
    fn hex_forms_read_back() {
        let nonce = Nonce::generate(&SystemRandom);
        assert_eq!(Nonce::from_hex(&nonce.to_hex()), Some(nonce));
        let id = JobId::generate(Timestamp(5), 1, &SystemRandom);
        assert_eq!(id.to_hex().parse(), Ok(id));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
