//! What is dear to read is read once for everybody who looks at it, and no more often than it is worth.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Answers that are kept; the oldest go first.
const KEPT_MAX: usize = 128;
/// Reading takes at most this part of the time: after a read that took a second the next one comes ten seconds later.
const SHARE: u32 = 10;

/// Answers by what was asked.
#[derive(Debug)]
pub(crate) struct Kept<V> {
    places: Mutex<HashMap<String, Place<V>>>,
    /// How long an answer is good while nothing tells that it changed.
    good_for: Duration,
}

type Cell<V> = Arc<tokio::sync::Mutex<Option<Answer<V>>>>;

#[derive(Debug)]
struct Place<V> {
    cell: Cell<V>,
    used: Instant,
}

/// An answer, and when it was read.
#[derive(Clone, Debug)]
pub(crate) struct Answer<V> {
    pub(crate) value: Arc<V>,
    version: u64,
    cost: Duration,
    at: Instant,
}

impl<V> Answer<V> {
    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        self.at.elapsed()
    }

    /// Whether it still does: reading it anew would cost too much yet, or nothing has changed.
    fn is_good(&self, version: u64, good_for: Duration) -> bool {
        let age = self.age();
        age < self.cost * SHARE || (self.version == version && age < good_for)
    }
}

impl<V> Kept<V> {
    pub(crate) fn new(good_for: Duration) -> Self {
        Self {
            places: Mutex::default(),
            good_for,
        }
    }

    /// What is kept for `key`, or what `read` gives. `version` is cheap to know and differs when the answer does. Who
    /// comes while it is read waits for that one read.
    ///
    /// # Errors
    /// As `read`; nothing is kept then.
    pub(crate) async fn get<E, F: Future<Output = Result<V, E>>>(
        &self,
        key: &str,
        version: u64,
        read: impl FnOnce() -> F,
    ) -> Result<Answer<V>, E> {
        let cell = self.cell(key);
        let mut kept = cell.lock().await;
        if let Some(answer) = kept
            .as_ref()
            .filter(|answer| answer.is_good(version, self.good_for))
        {
            return Ok(Answer {
                value: Arc::clone(&answer.value),
                ..*answer
            });
        }
        let began = Instant::now();
        let value = Arc::new(read().await?);
        let answer = Answer {
            value: Arc::clone(&value),
            version,
            cost: began.elapsed(),
            at: Instant::now(),
        };
        *kept = Some(Answer { value, ..answer });
        Ok(answer)
    }

    fn cell(&self, key: &str) -> Cell<V> {
        let mut places = self.places.lock();
        let now = Instant::now();
        if let Some(place) = places.get_mut(key) {
            place.used = now;
            return Arc::clone(&place.cell);
        }
        if places.len() >= KEPT_MAX {
            let oldest = places.iter().min_by_key(|(_, place)| place.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                places.remove(&oldest);
            }
        }
        let cell = Cell::default();
        let place = Place {
            cell: Arc::clone(&cell),
            used: now,
        };
        places.insert(key.to_owned(), place);
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    struct Source {
        reads: AtomicU32,
        takes: Duration,
    }

    impl Source {
        async fn read(&self) -> Result<u32, ()> {
            sleep(self.takes).await;
            Ok(self.reads.fetch_add(1, Ordering::SeqCst) + 1)
        }
    }

    fn source(millis: u64) -> Source {
        Source {
            reads: AtomicU32::new(0),
            takes: Duration::from_millis(millis),
        }
    }

    async fn ask(kept: &Kept<u32>, key: &str, version: u64, source: &Source) -> u32 {
        *kept.get(key, version, || source.read()).await.unwrap().value
    }

    /// As if that much time had passed since `key` was read.
    async fn pass(kept: &Kept<u32>, key: &str, time: Duration) {
        kept.cell(key).lock().await.as_mut().unwrap().at -= time;
    }

    #[tokio::test]
    async fn an_answer_is_kept_until_it_changes_or_is_old() {
        let (kept, source) = (Kept::new(Duration::from_secs(1_500)), source(1));
        assert_eq!(ask(&kept, "a", 1, &source).await, 1);
        pass(&kept, "a", Duration::from_secs(1_000)).await;
        assert_eq!(ask(&kept, "a", 1, &source).await, 1);
        assert_eq!(ask(&kept, "a", 2, &source).await, 2, "it has changed");
        assert_eq!(ask(&kept, "b", 2, &source).await, 3, "another question");
        pass(&kept, "a", Duration::from_secs(2_000)).await;
        assert_eq!(ask(&kept, "a", 2, &source).await, 4, "it is old");
    }

    #[tokio::test]
    async fn a_dear_answer_is_read_a_tenth_of_the_time_at_most_however_often_it_changes() {
        let (kept, source) = (Kept::new(Duration::from_secs(15)), source(200));
        for version in 0..60 {
            ask(&kept, "a", version, &source).await;
            pass(&kept, "a", Duration::from_millis(100)).await;
        }
        assert!(source.reads.load(Ordering::SeqCst) <= 4);
    }

    #[tokio::test]
    async fn those_who_come_together_share_one_read() {
        let (kept, source) = (Kept::new(Duration::from_secs(15)), source(50));
        let asks = (0..50).map(|_| ask(&kept, "a", 1, &source));
        let answers = futures_util::future::join_all(asks).await;
        assert!(answers.iter().all(|answer| *answer == 1));
    }

    #[tokio::test]
    async fn a_bounded_number_of_answers_is_kept_and_no_failure() {
        let (kept, source) = (Kept::new(Duration::from_secs(15)), source(1));
        for key in 0..2 * KEPT_MAX {
            ask(&kept, &key.to_string(), 1, &source).await;
        }
        assert_eq!(kept.places.lock().len(), KEPT_MAX);
        let failed = kept.get("x", 1, || async { Err::<u32, _>("away") }).await;
        assert_eq!(failed.unwrap_err(), "away");
        assert!(ask(&kept, "x", 1, &source).await > 0);
    }
}
