//! One call at a time for many requests: what gathers while a call is under way travels with the next.

use std::time::Duration;

use longshore_core::random::{Random, unit_f64};
use tokio::time::Instant;

/// The longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The first.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// How long after an answer a busy lane gathers. A call costs the store as much as three jobs in it.
const GATHER: Duration = Duration::from_millis(1);
/// A lane whose last call carried as many is busy.
const BUSY: usize = 4;
/// So many requests go without more ado.
const GATHERED: usize = 64;

/// The pause before try number `failures` + 1: doubles up to [`BACKOFF_MAX`], half of it at random.
pub(super) fn backoff(failures: u32, random: &dyn Random) -> Duration {
    let grown = BACKOFF_MIN.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
    grown.mul_f64(0.5 + unit_f64(random.next_u64()) / 2.0)
}

/// Requests of one kind and shard. What flies stays here, so that a call that failed can be made again.
#[derive(Debug)]
pub(super) struct Lane<T> {
    waiting: Vec<T>,
    flying: Vec<T>,
    failures: u32,
    retry_at: Option<Instant>,
    /// When the last call was answered, and how much it carried.
    landed: Option<(Instant, usize)>,
    /// After a call that was refused as a whole its requests travel alone, so that one does not hold up the rest.
    alone: usize,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            flying: Vec::new(),
            failures: 0,
            retry_at: None,
            landed: None,
            alone: 0,
        }
    }
}

impl<T> Lane<T> {
    pub(super) fn push(&mut self, item: T) {
        self.waiting.push(item);
    }

    /// As [`Self::push`], after a pause for the whole lane.
    pub(super) fn push_late(&mut self, item: T, now: Instant) {
        self.push(item);
        self.retry_at = Some(now + BACKOFF_MIN);
    }

    /// Forgets waiting requests that have become void.
    pub(super) fn retain_waiting(&mut self, wanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(wanted);
    }

    /// Starts a call with up to `max` requests; `None` when one is under way, none wait, or a pause lasts.
    pub(super) fn depart(&mut self, now: Instant, max: usize) -> Option<&[T]> {
        let paused = self.retry_at.is_some_and(|at| at > now);
        if paused || !self.flying.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let count = if self.alone > 0 {
            1
        } else {
            max.min(self.waiting.len())
        };
        if count == self.waiting.len() {
            std::mem::swap(&mut self.waiting, &mut self.flying);
        } else {
            self.flying.extend(self.waiting.drain(..count));
        }
        Some(&self.flying)
    }

    /// Until when the next call is worth waiting with, if it is: the lane is busy, has just been answered, and has
    /// gathered little since.
    pub(super) fn gathers_until(&self, now: Instant) -> Option<Instant> {
        let (landed, carried) = self.landed?;
        let until = landed + GATHER;
        let gathers = carried >= BUSY && (1..GATHERED).contains(&self.waiting.len()) && now < until;
        (gathers && self.flying.is_empty()).then_some(until)
    }

    /// The call was answered: its requests, in order.
    pub(super) fn landed(&mut self) -> Vec<T> {
        self.landed = Some((Instant::now(), self.flying.len()));
        self.failures = 0;
        self.retry_at = None;
        self.alone = self.alone.saturating_sub(1);
        std::mem::take(&mut self.flying)
    }

    /// The call failed and is made again after a pause.
    pub(super) fn failed(&mut self, now: Instant, random: &dyn Random) {
        self.retry_at = Some(now + backoff(self.failures, random));
        self.failures += 1;
        if self.alone > 0 {
            self.waiting.append(&mut self.flying);
        } else {
            self.flying.append(&mut self.waiting);
            std::mem::swap(&mut self.waiting, &mut self.flying);
        }
    }

    /// The call was refused because of what one of its requests is about. Several travel alone next; a single one is
    /// answered, for the caller to put aside.
    pub(super) fn refused(&mut self, now: Instant, random: &dyn Random) -> Option<T> {
        if self.flying.len() == 1 {
            return self.landed().pop();
        }
        self.isolate(now, random);
        None
    }

    /// As [`Self::failed`], and the requests travel alone from now on.
    pub(super) fn isolate(&mut self, now: Instant, random: &dyn Random) {
        let count = self.flying.len();
        self.failed(now, random);
        if count > 1 {
            self.alone = count;
        }
    }

    /// When the pause after a failure ends.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether the last call failed and the next has not been answered: what is not in the lane yet stays out.
    pub(super) fn is_failing(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at || !self.is_idle())
    }

    /// Takes waiting requests out again.
    pub(super) fn take_waiting(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        self.waiting.extract_if(.., |item| wanted(item)).collect()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::random::SystemRandom;

    #[test]
    fn what_gathers_during_a_call_travels_with_the_next() {
        let now = Instant::now();
        let mut lane = Lane::default();
        lane.push(1);
        assert_eq!(lane.depart(now, 10), Some(&[1][..]));
        lane.push(2);
        lane.push(3);
        assert_eq!(lane.depart(now, 10), None);
        assert_eq!(lane.landed(), [1]);
        assert_eq!(lane.depart(now, 10), Some(&[2, 3][..]));
    }

    #[test]
    fn a_busy_lane_gathers_for_a_moment_and_an_idle_one_does_not() {
        let mut lane = Lane::default();
        lane.push(1);
        assert_eq!(lane.gathers_until(Instant::now()), None);
        lane.depart(Instant::now(), 10);
        lane.landed();
        lane.push(2);
        assert_eq!(
            lane.gathers_until(Instant::now()),
            None,
            "the last call carried one"
        );
        (3..=9).for_each(|item| lane.push(item));
        lane.depart(Instant::now(), 10);
        let began = Instant::now();
        lane.landed();
        assert_eq!(lane.gathers_until(began), None, "nothing waits");
        lane.push(10);
        assert!(
            lane.gathers_until(began)
                .is_some_and(|until| until >= began + GATHER)
        );
        assert_eq!(lane.gathers_until(Instant::now() + GATHER), None);
        (0..GATHERED).for_each(|item| lane.push(item));
        assert_eq!(lane.gathers_until(began), None, "enough waits");
    }

    #[test]
    fn a_failed_call_is_made_again_first_and_after_a_pause() {
        let now = Instant::now();
        let mut lane = Lane::default();
        lane.push(1);
        lane.depart(now, 1);
        lane.push(2);
        lane.failed(now, &SystemRandom);
        assert_eq!(lane.depart(now, 10), None);
        assert_eq!(lane.depart(now + BACKOFF_MAX, 10), Some(&[1, 2][..]));
    }

    #[test]
    fn requests_of_a_refused_call_travel_alone_until_the_bad_one_is_found() {
        let later = Instant::now() + BACKOFF_MAX;
        let mut lane = Lane::default();
        lane.push(1);
        lane.push(2);
        lane.depart(later, 10);
        assert_eq!(lane.refused(Instant::now(), &SystemRandom), None);
        assert_eq!(lane.depart(later, 10), Some(&[1][..]));
        assert_eq!(lane.refused(later, &SystemRandom), Some(1));
        assert_eq!(lane.depart(later, 10), Some(&[2][..]));
        assert_eq!(lane.landed(), [2]);
        assert!(lane.is_idle());
    }
}
