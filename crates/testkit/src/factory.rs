//! Makes jobs for tests: every one valid, none like another, the same again from the same seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::clock::Clock;
use longshore_core::name::FunctionName;
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::Random;
use longshore_core::{Envelope, JobId, JobSpec, Nonce};

/// Random bits from a seed: splitmix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Makes jobs and nonces.
#[derive(Debug)]
pub struct Factory {
    clock: Arc<dyn Clock>,
    random: SeededRandom,
}

impl Factory {
    /// A factory whose jobs are created at the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            clock,
            random: SeededRandom::new(seed),
        }
    }

    /// A job of `shard` for the function `work`, with what `shape` changes in it.
    ///
    /// # Panics
    ///
    /// When the changed spec is not valid.
    pub fn job(&self, shard: u16, shape: impl FnOnce(&mut JobSpec)) -> NewJob {
        let mut spec = Self::spec();
        shape(&mut spec);
        assert_eq!(spec.validate(), Ok(()));
        let now = self.clock.now();
        let id = spec
            .id
            .unwrap_or_else(|| JobId::generate(now, shard, &self.random));
        self.job_of(&spec, id)
    }

    /// The job of `spec` with this id.
    ///
    /// # Panics
    ///
    /// When the spec does not encode.
    #[expect(clippy::expect_used, reason = "the caller's spec is a test's own")]
    pub fn job_of(&self, spec: &JobSpec, id: JobId) -> NewJob {
        let envelope = Envelope::from_spec(spec, id, self.clock.now());
        let encoded = envelope.encode().expect("the spec encodes");
        NewJob::from_envelope(&envelope, encoded)
    }

    /// A plain spec for the function `work`.
    ///
    /// # Panics
    ///
    /// Never.
    #[expect(clippy::expect_used, reason = "constants")]
    pub fn spec() -> JobSpec {
        let args = longshore_core::value::encode("args", &7_u8).expect("a number encodes");
        JobSpec::new(FunctionName::new("work").expect("a valid name"), args)
    }

    /// An id of `shard` that no other job has.
    pub fn id(&self, shard: u16) -> JobId {
        JobId::generate(self.clock.now(), shard, &self.random)
    }

    /// A nonce that no other claim has.
    pub fn nonce(&self) -> Nonce {
        Nonce::generate(&self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 0, as published with the xoshiro generators.
        let random = SeededRandom::new(0);
        assert_eq!(random.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next_u64(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_seed_gives_the_same_jobs_again() {
        let make = || Factory::new(Arc::new(ManualClock::default()), 3).job(1, |_| {});
        assert_eq!(make(), make());
        let factory = Factory::new(Arc::new(ManualClock::default()), 3);
        assert_ne!(factory.job(1, |_| {}).id, factory.job(1, |_| {}).id);
    }
}
