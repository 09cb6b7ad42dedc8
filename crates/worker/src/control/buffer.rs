//! Jobs that were delivered and wait for a slot, most urgent first.

use std::collections::VecDeque;

use longshore_core::Priority;

/// One start in this many goes to the lowest priority that waits.
const AGEING: u32 = 20;

/// Waiting jobs by priority, first come first served within one.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    levels: [VecDeque<T>; 4],
    starts: u32,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            levels: std::array::from_fn(|_| VecDeque::new()),
            starts: 0,
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

    /// The next to start: the most urgent; one start in [`AGEING`] the least urgent, never while a critical one waits.
    pub(super) fn pop(&mut self) -> Option<T> {
        let [low, normal, high, critical] = &mut self.levels;
        if let Some(item) = critical.pop_front() {
            return Some(item);
        }
        self.starts = (self.starts + 1) % AGEING;
        let item = if self.starts == 0 {
            low.pop_front()
                .or_else(|| normal.pop_front())
                .or_else(|| high.pop_front())
        } else {
            high.pop_front()
                .or_else(|| normal.pop_front())
                .or_else(|| low.pop_front())
        };
        if item.is_none() {
            self.starts = self.starts.checked_sub(1).unwrap_or(AGEING - 1);
        }
        item
    }

    pub(super) fn len(&self) -> usize {
        self.levels.iter().map(VecDeque::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.levels.iter().flatten()
    }

    /// Takes out what `wanted` says, the least urgent first.
    pub(super) fn take_if(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for level in &mut self.levels {
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
        let order: Vec<_> = std::iter::from_fn(|| buffer.pop()).collect();
        assert_eq!(order, [3, 5, 2, 4, 1]);
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn one_start_in_twenty_goes_to_the_lowest() {
        let mut buffer = Buffer::default();
        for number in 0..200 {
            buffer.push(Priority::High, (Priority::High, number));
            buffer.push(Priority::Low, (Priority::Low, number));
        }
        let low = (0..100)
            .filter_map(|_| buffer.pop())
            .filter(|(priority, _)| *priority == Priority::Low)
            .count();
        assert_eq!(low, 5);
    }

    #[test]
    fn ageing_waits_while_a_critical_job_waits() {
        let mut buffer = Buffer::default();
        for number in 0..100 {
            buffer.push(Priority::Critical, number);
        }
        buffer.push(Priority::Low, 1_000);
        let order: Vec<_> = std::iter::from_fn(|| buffer.pop()).collect();
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
        assert_eq!(buffer.pop(), Some(1));
    }
}
