//! Shards: the unit that one script, one lease and one hash slot of Redis covers.

use crate::id::JobId;

/// How many shards an installation has; fixed when its store is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shards(u16);

/// A number of shards that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shards: {0} is out of range; use 1 to 4096")]
pub struct InvalidShards(pub u64);

impl Shards {
    /// Shards of a standalone Redis, unless configured.
    pub const STANDALONE: Self = Self(4);
    /// Shards of a Redis Cluster, unless configured.
    pub const CLUSTER: Self = Self(64);

    /// `count` shards.
    ///
    /// # Errors
    /// When `count` is 0 or above 4096.
    pub fn new(count: u64) -> Result<Self, InvalidShards> {
        match u16::try_from(count) {
            Ok(small) if (1..=4096).contains(&small) => Ok(Self(small)),
            _ => Err(InvalidShards(count)),
        }
    }

    /// How many there are.
    pub const fn count(self) -> u16 {
        self.0
    }

    /// The shard that a job belongs to: the one its id carries, or a hash of a caller's id.
    pub fn of(self, id: &JobId) -> u16 {
        match id.carried_shard() {
            Some(shard) => shard % self.0,
            None => self.of_bytes(id.as_bytes()),
        }
    }

    /// The shard of a named thing such as a cron entry.
    pub fn of_bytes(self, bytes: &[u8]) -> u16 {
        let hash = fnv1a(bytes) % u64::from(self.0);
        u16::try_from(hash).unwrap_or(0)
    }

    /// Every shard number.
    pub fn all(self) -> impl Iterator<Item = u16> + Clone {
        0..self.0
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo; offset basis and prime of the 64-bit variant). Part of the wire contract: every
/// client must place a foreign id in the same shard.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Published test vectors of the 64-bit variant.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn foreign_ids_spread_over_all_shards() {
        let shards = Shards::new(4).unwrap();
        let mut counts = [0_u32; 4];
        for number in 0..4_000 {
            counts[usize::from(shards.of(&JobId::from_idempotency_key(&number.to_string())))] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_count_out_of_range_is_refused() {
        assert_eq!(Shards::new(0), Err(InvalidShards(0)));
        assert_eq!(Shards::new(4097), Err(InvalidShards(4097)));
    }
}
