//! Randomness, injected: ids, nonces and jitter take their bits from here, so that a seed repeats a run.

/// A source of random bits.
pub trait Random: Send + Sync + std::fmt::Debug {
    /// 64 uniformly distributed random bits.
    fn next_u64(&self) -> u64;
}

/// A uniform number in `[0, 1)` from 53 of the 64 bits.
pub fn unit_f64(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = (bits >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

/// Random bits from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // The version and variant nibbles are fixed in each half; folding one half over the other hides them.
        high.rotate_left(32) ^ low
    }
}
