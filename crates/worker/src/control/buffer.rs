//! Jobs that were delivered and wait for a slot, most urgent first.

use std::collections::VecDeque;

use longshore_core::Priority;

/// One start in this many goes to a priority below the highest that waits, to each of them in turn.
const AGEING: u32 = 20;

/// Waiting jobs by priority, first come first served within one.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    levels: [VecDeque<T>; 4],
    starts: u32,
    /// Ageing starts so far.
    turns: usize,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            levels: std::array::from_fn(|_| VecDeque::new()),
            starts: 0,
            turns: 0,
        }
    }
}

impl<T> Buffer<T> {
    pub(super) fn push(&mut self, priority: Priority, item: T) {
        self.level(priority).push_back(item);
    }

    /// Puts an item before the others of its priority.
    pub(super) fn push_front(&mut self, priority: Priority, item: T) {
        self.level(priority).push_front(item);
    }

    /// The next to start among those that `may`: the most urgent; one start in [`AGEING`] a less urgent one, never
    /// while a critical one waits.
    pub(super) fn pop(&mut self, may: impl Fn(&T) -> bool) -> Option<T> {
        let [low, normal, high, critical] = &mut self.levels;
        if let Some(item) = take_first(critical, &may) {
            return Some(item);
        }
        let waiting = [high, normal, low].map(|level| level.iter().position(&may).map(|at| (level, at)));
        let mut waiting: Vec<_> = waiting.into_iter().flatten().collect();
        let lower = waiting.len().checked_sub(1)?;
        self.starts = (self.starts + 1) % AGEING;
        let level = if self.starts == 0 && lower > 0 {
            self.turns = self.turns.wrapping_add(1);
            1 + self.turns % lower
        } else {
            0
        };
        let (level, at) = waiting.swap_remove(level);
        level.remove(at)
    }

    /// The first critical one that `may` start.
    pub(super) fn pop_critical(&mut self, may: impl Fn(&T) -> bool) -> Option<T> {
        take_first(self.level(Priority::Critical), may)
    }

    pub(super) fn len(&self) -> usize {
        self.levels.iter().map(VecDeque::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.levels.iter().flatten()
    }

    /// Takes out what `wanted` says, the most urgent first: what goes elsewhere may find a free slot there.
    pub(super) fn take_if(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for level in self.levels.iter_mut().rev() {
            for _ in 0..level.len() {
                match level.pop_front() {
                    Some(item) if wanted(&item) => taken.push(item),
                    Some(item) => level.push_back(item),
                    None => break,
                }
            }
        }
        taken
    }

    fn level(&mut self, priority: Priority) -> &mut VecDeque<T> {
        let [low, normal, high, critical] = &mut self.levels;
        match priority {
            Priority::Low => low,
            Priority::Normal => normal,
            Priority::High => high,
            Priority::Critical => critical,
        }
    }
}

fn take_first<T>(level: &mut VecDeque<T>, may: impl Fn(&T) -> bool) -> Option<T> {
    let at = level.iter().position(may)?;
    level.remove(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_starts_first_and_equals_in_order() {
        let mut buffer = Buffer::default();
        for (priority, item) in [
            (Priority::Low, 1),
            (Priority::Normal, 2),
            (Priority::Critical, 3),
            (Priority::Normal, 4),
        ] {
            buffer.push(priority, item);
        }
        buffer.push_front(Priority::Normal, 5);
        let order: Vec<_> = std::iter::from_fn(|| buffer.pop(|_| true)).collect();
        assert_eq!(order, [3, 5, 2, 4, 1]);
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn one_start_in_twenty_goes_to_each_lower_priority_in_turn() {
        let mut buffer = Buffer::default();
        for _ in 0..200 {
            for priority in [Priority::High, Priority::Normal, Priority::Low] {
                buffer.push(priority, priority);
            }
        }
        let started: Vec<_> = (0..200).filter_map(|_| buffer.pop(|_| true)).collect();
        let count = |priority| started.iter().filter(|started| **started == priority).count();
        assert_eq!((count(Priority::Normal), count(Priority::Low)), (5, 5));
    }

    #[test]
    fn what_may_not_start_is_passed_over() {
        let mut buffer = Buffer::default();
        for item in [1, 2, 3] {
            buffer.push(Priority::Critical, item);
            buffer.push(Priority::High, item + 10);
        }
        assert_eq!(buffer.pop(|item| item % 2 == 0), Some(2));
        assert_eq!(buffer.pop(|item| *item > 11), Some(12));
        assert_eq!(buffer.pop_critical(|item| *item > 3), None);
        assert_eq!(buffer.pop_critical(|_| true), Some(1));
        assert_eq!(buffer.len(), 3);
    }

    #[test]
    fn ageing_waits_while_a_critical_job_waits() {
        let mut buffer = Buffer::default();
        for number in 0..100 {
            buffer.push(Priority::Critical, number);
        }
        buffer.push(Priority::Low, 1_000);
        let order: Vec<_> = std::iter::from_fn(|| buffer.pop(|_| true)).collect();
        assert_eq!(order.last(), Some(&1_000));
        assert_eq!(order.len(), 101);
    }

    #[test]
    fn what_is_asked_for_is_taken_out_and_the_rest_stays_in_order() {
        let mut buffer = Buffer::default();
        for number in 0..6 {
            buffer.push(Priority::Normal, number);
        }
        assert_eq!(buffer.take_if(|number| number % 2 == 0), [0, 2, 4]);
        assert_eq!(buffer.len(), 3);
        assert_eq!(buffer.pop(|_| true), Some(1));
    }

    #[test]
    fn the_most_urgent_are_taken_out_first_and_equals_in_order() {
        let mut buffer = Buffer::default();
        for (priority, item) in [
            (Priority::Low, 1),
            (Priority::Critical, 2),
            (Priority::Normal, 3),
            (Priority::Critical, 4),
        ] {
            buffer.push(priority, item);
        }
        let mut left = 3;
        let mut some = |_: &i32| {
            let goes = left > 0;
            left -= i32::from(goes);
            goes
        };
        assert_eq!(buffer.take_if(|item| some(item)), [2, 4, 3]);
        assert_eq!(buffer.pop(|_| true), Some(1));
    }
}
