//! The oldest publish time among first deliveries of about the last minute: what is older is out of the broker.

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::{Priority, QueueName, Timestamp};
use tokio::time::Instant;

/// Two of these make the minute.
const WINDOW: Duration = Duration::from_secs(30);

/// Per queue and priority, the minimum of this window and of the one before.
#[derive(Debug)]
pub(super) struct Watermarks {
    oldest: HashMap<(QueueName, Priority), [Option<Timestamp>; 2]>,
    turned: Instant,
}

impl Watermarks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            oldest: HashMap::new(),
            turned: now,
        }
    }

    /// A message came for the first time.
    pub(super) fn saw(&mut self, queue: &QueueName, priority: Priority, published_at: Timestamp) {
        let [current, _] = self.oldest.entry((queue.clone(), priority)).or_default();
        *current = Some(current.map_or(published_at, |oldest| oldest.min(published_at)));
    }

    /// The watermarks to tell. Each window must have passed before an old minimum is forgotten.
    pub(super) fn tell(&mut self, now: Instant) -> Vec<(QueueName, Priority, Timestamp)> {
        if now.duration_since(self.turned) >= WINDOW {
            self.turned = now;
            self.oldest.retain(|_, [current, before]| {
                *before = current.take();
                before.is_some()
            });
        }
        self.oldest
            .iter()
            .filter_map(|((queue, priority), [current, before])| {
                let oldest = current.iter().chain(before.iter()).min()?;
                Some((queue.clone(), *priority, *oldest))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_last_windows_is_told_and_then_forgotten() {
        let start = Instant::now();
        let mut marks = Watermarks::new(start);
        let queue = QueueName::default();
        marks.saw(&queue, Priority::Low, Timestamp(20));
        marks.saw(&queue, Priority::Low, Timestamp(10));
        assert_eq!(marks.tell(start), [(queue.clone(), Priority::Low, Timestamp(10))]);
        assert_eq!(marks.tell(start + WINDOW).len(), 1);
        marks.saw(&queue, Priority::Low, Timestamp(30));
        assert_eq!(
            marks.tell(start + WINDOW),
            [(queue.clone(), Priority::Low, Timestamp(10))]
        );
        assert_eq!(
            marks.tell(start + WINDOW * 2),
            [(queue, Priority::Low, Timestamp(30))]
        );
        assert!(marks.tell(start + WINDOW * 3).is_empty());
    }
}
