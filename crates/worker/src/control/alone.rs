//! A job that lost two workers waits until nothing else runs here: it may be what ends them.

use std::time::Duration;

use longshore_core::port::attempt::GiveBackReason;
use tokio::time::Instant;

use super::Control;
use super::arrive::Held;

/// A job that lost this many workers runs alone.
pub(super) const LOSTS_ALONE: u32 = 2;
/// How long such a job waits for that at first, and keeps all but critical jobs from starting.
const WAIT: Duration = Duration::from_secs(30);
/// After it waited in vain, the next ones keep nothing from starting for this many times as long: others lose a tenth of
/// their time at most.
const REST: u32 = 10;

/// A delivered job that waits until nothing else runs here.
#[derive(Debug)]
pub(super) struct Solo {
    pub(super) held: Box<Held>,
    /// When it goes back.
    until: Instant,
    /// Whether only critical jobs start until then.
    pub(super) blocks: bool,
}

/// How long such jobs wait, and whether they keep others from starting: a wait in vain doubles the next, so that one of them
/// ends with nothing else running where every job is shorter than the longest.
#[derive(Debug)]
pub(super) struct Alone {
    wait: Duration,
    /// From then on such a job keeps others from starting.
    blocks_from: Instant,
}

impl Alone {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            wait: WAIT,
            blocks_from: now,
        }
    }

    /// How long one that comes now waits, at most `max`, and whether it keeps others from starting meanwhile. One that does
    /// not need not wait long: elsewhere it may be alone sooner.
    fn turn(&self, now: Instant, max: Duration) -> (Duration, bool) {
        let blocks = now >= self.blocks_from;
        let wait = if blocks { self.wait } else { WAIT };
        (wait.min(max), blocks)
    }

    /// One waited in vain. That of one that kept nothing from starting says nothing: such waits must not put the next turn
    /// off.
    fn was_in_vain(&mut self, blocked: bool, now: Instant, max: Duration) {
        if !blocked {
            return;
        }
        let waited = self.wait.min(max);
        self.blocks_from = now + waited * REST;
        self.wait = (waited * 2).min(max);
    }

    /// One came to its turn.
    const fn came_true(&mut self) {
        self.wait = WAIT;
    }
}

impl Control {
    /// A job that lost two workers waits until nothing else runs. Meanwhile only critical jobs start, but not for long,
    /// and not again soon: jobs beside it may run for hours.
    pub(super) fn wait_alone(&mut self, held: Box<Held>, now: Instant) {
        if self.solo.is_some() {
            return self.hand_back(held, GiveBackReason::NotRunnable);
        }
        let (wait, blocks) = self.alone.turn(now, self.early_ack());
        let until = now + wait;
        self.solo = Some(Solo { held, until, blocks });
        self.wake_by(until);
    }

    /// Claims the job that waits to be alone, once it is.
    pub(super) fn start_alone(&mut self) {
        if self.has_room()
            && self.running.active() == 0
            && self.claiming == 0
            && let Some(solo) = self.solo.take()
        {
            self.alone.came_true();
            self.exclusive += 1;
            self.claim(solo.held);
        }
    }

    /// Hands the job that waits to be alone back, with a delay, when it has waited in vain.
    pub(super) fn keep_solo(&mut self, now: Instant) {
        if let Some(solo) = self.solo.take_if(|solo| now >= solo.until) {
            self.alone.was_in_vain(solo.blocks, now, self.early_ack());
            self.hand_back(solo.held, GiveBackReason::NotRunnable);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(600);

    /// How long the jobs that keep others from starting wait, one after the other, each in vain.
    fn waits(alone: &mut Alone, now: &mut Instant, count: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..count {
            let (wait, blocks) = alone.turn(*now, MAX);
            assert!(blocks);
            *now += wait;
            alone.was_in_vain(true, *now, MAX);
            waits.push(wait.as_secs());
            // Those that come meanwhile change nothing.
            let mut rest = wait * REST;
            while !rest.is_zero() {
                assert_eq!(alone.turn(*now, MAX), (WAIT, false));
                alone.was_in_vain(false, *now, MAX);
                *now += WAIT;
                rest -= WAIT;
            }
        }
        waits
    }

    #[test]
    fn each_wait_in_vain_doubles_the_next_until_one_comes_to_its_turn() {
        let mut now = Instant::now();
        let mut alone = Alone::new(now);
        assert_eq!(waits(&mut alone, &mut now, 7), [30, 60, 120, 240, 480, 600, 600]);
        alone.came_true();
        assert_eq!(waits(&mut alone, &mut now, 2), [30, 60]);
    }

    #[test]
    fn a_wait_is_no_longer_than_its_message_may_wait() {
        let now = Instant::now();
        let mut alone = Alone::new(now);
        let max = Duration::from_secs(20);
        assert_eq!(alone.turn(now, max), (max, true));
        alone.was_in_vain(true, now, max);
        assert_eq!(alone.turn(now + max * REST, max), (max, true));
    }
}
