//! Jobs that wait here go to workers that can start them now.
//!
//! A worker tells the store its free slots when they change, at most once a second. One that has held jobs for a second asks
//! for such slots, once a second, and hands jobs back for those that it gets: nobody asks who holds nothing, and what one
//! worker was given no other is within that second.

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::port::Error;
use longshore_core::port::attempt::{GiveBackReason, SlotsWanted};
use longshore_core::{FunctionName, Priority, QueueName};
use tokio::time::Instant;

use super::Control;
use super::arrive::Held;
use super::flights::{Answer, in_time};

/// A job that waits here for longer goes back while others have free slots.
pub(super) const HOLD: Duration = Duration::from_secs(1);
/// A job that waits here for longer goes back always.
const HOLD_MAX: Duration = Duration::from_secs(300);
/// How often a worker asks while it holds such jobs.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Queues and functions of one question; those with the most urgent job come first, then those with the most jobs.
const WANTS_MAX: usize = 16;

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Relief {
    asked: Option<Instant>,
    asking: bool,
}

impl Relief {
    /// The earliest time of the next question; none while one is under way.
    fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.asked.map_or(now, |asked| asked + ASK_EVERY);
        (!self.asking).then_some(next)
    }
}

impl Control {
    /// Slots that would take a job of another worker now, where its queue is consumed here: whoever cannot consume would not
    /// get what others hand back.
    pub(super) fn free_slots(&self) -> usize {
        if !self.phase.is_working() || self.exclusive > 0 || self.solo.is_some() {
            return 0;
        }
        let meant = self.running.active() + self.claiming + self.buffer.len();
        self.settings.slots.saturating_sub(meant)
    }

    /// Hands back what waits too long: to others that have free slots, and in the end to whom it may concern. The job
    /// that waits to be alone has a time of its own: elsewhere it would wait as here.
    pub(super) fn keep_held(&mut self, now: Instant) {
        let max = HOLD_MAX.min(self.early_ack() / 2);
        let over = |held: &Held| age(held, now) >= max && held.asked.is_none();
        for held in self.buffer.take_if(|held| over(held)) {
            self.give_back(held, GiveBackReason::Unstarted);
        }
        if self.relief.next(now).is_none_or(|at| at > now) {
            return;
        }
        let wanted = self.wanted(now);
        if wanted.is_empty() {
            return;
        }
        self.relief = Relief {
            asked: Some(now),
            asking: true,
        };
        let (port, me) = (self.ports.attempt.clone(), self.me.clone());
        self.calls.push(Box::pin(async move {
            let answer = in_time(port.take_slots(me, wanted.clone())).await;
            Answer::Slots(wanted, answer)
        }));
    }

    /// When the longest held job is held for too long, or is asked for again.
    pub(super) fn relief_due(&self, now: Instant) -> Option<Instant> {
        let oldest = self.buffer.iter().filter(|held| held.asked.is_none());
        let due = oldest.map(|held| held.since + HOLD).min()?;
        self.relief.next(now).map(|next| next.max(due))
    }

    /// The jobs that are held for too long, by queue and function.
    fn wanted(&self, now: Instant) -> Vec<SlotsWanted> {
        let mut counts: HashMap<(&QueueName, &FunctionName), (Priority, u32)> = HashMap::new();
        for held in self.buffer.iter().filter(|held| is_long_held(held, now)) {
            let priority = held.envelope.priority;
            let of = (&held.envelope.queue, &held.envelope.function_name);
            let (highest, most) = counts.entry(of).or_insert((priority, 0));
            *highest = priority.max(*highest);
            *most += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.truncate(WANTS_MAX);
        let wanted = counts
            .into_iter()
            .map(|((queue, function), (_, most))| SlotsWanted {
                queue: queue.clone(),
                function: function.clone(),
                most,
            });
        wanted.collect()
    }

    /// Slots of others were taken: jobs go back for them.
    pub(super) fn on_slots(&mut self, wanted: &[SlotsWanted], answer: Result<Vec<u32>, Error>) {
        let now = Instant::now();
        self.relief.asking = false;
        match answer {
            Ok(taken) => {
                for (want, slots) in wanted.iter().zip(taken) {
                    if slots > 0 {
                        self.relieve(want, slots as usize, now);
                    }
                }
            }
            Err(error) => self.note_failure("ask for free slots of others", &error),
        }
        self.wake_by(self.relief.next(now).unwrap_or(now));
    }

    fn relieve(&mut self, want: &SlotsWanted, slots: usize, now: Instant) {
        let is_meant = |held: &Held| {
            is_long_held(held, now)
                && held.envelope.queue == want.queue
                && held.envelope.function_name == want.function
        };
        let held = self.buffer.iter().filter(|held| is_meant(held)).count();
        let run_time = self.run_times.of(&want.queue).map(|mean| mean.seconds);
        let mut left = share(held, slots, self.settings.slots, run_time);
        let mut goes = |held: &Held| {
            let goes = left > 0 && is_meant(held);
            left -= usize::from(goes);
            goes
        };
        for held in self.buffer.take_if(|held| goes(held)) {
            self.give_back(held, GiveBackReason::Unstarted);
        }
    }
}

fn age(held: &Held, now: Instant) -> Duration {
    now.duration_since(held.since)
}

/// Whether a job is held for so long that others may have it. One whose claim may have been granted is asked for again
/// instead.
fn is_long_held(held: &Held, now: Instant) -> bool {
    age(held, now) >= HOLD && held.asked.is_none()
}

/// How many of the jobs that are held here go back for `theirs` slots of others: one for each slot, and more when jobs are
/// so short that those slots would be free again before the next question, but no more than their part of all slots.
fn share(held: usize, theirs: usize, mine: usize, run_time: Option<f64>) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is out of range is bounded, and rounding down is meant"
    )]
    let of_one = run_time.map_or(1, |seconds| {
        (ASK_EVERY.as_secs_f64() / seconds.max(1e-3)) as usize
    });
    let part = held.saturating_mul(theirs).div_ceil(theirs + mine.max(1));
    theirs.max(part.min(theirs.saturating_mul(of_one))).min(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_gets_one_long_job_or_its_part_of_the_short_ones() {
        assert_eq!(share(62, 2, 2, None), 2, "nothing is known of them");
        assert_eq!(share(62, 2, 2, Some(5.0)), 2);
        assert_eq!(share(62, 2, 2, Some(0.1)), 20);
        assert_eq!(share(62, 2, 2, Some(0.001)), 31);
        assert_eq!(share(62, 2, 6, Some(0.001)), 16);
        assert_eq!(share(1, 4, 1, Some(0.001)), 1);
        assert_eq!(share(3, 8, 2, None), 3);
    }

    #[test]
    fn the_next_question_waits_for_the_answer_and_a_second() {
        let now = Instant::now();
        let mut relief = Relief::default();
        assert_eq!(relief.next(now), Some(now));
        relief = Relief {
            asked: Some(now),
            asking: true,
        };
        assert_eq!(relief.next(now + ASK_EVERY), None);
        relief.asking = false;
        assert_eq!(relief.next(now), Some(now + ASK_EVERY));
    }
}
