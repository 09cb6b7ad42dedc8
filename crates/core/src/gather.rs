//! Gathers what concurrent callers ask for while the last round trip is under way, without a timer: the first request
//! travels at once, and whatever came meanwhile travels together next.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// One trip for many requests; answers in the order of the requests.
pub type Trip<'a, R> = Pin<Box<dyn Future<Output = Vec<R>> + Send + 'a>>;

/// Carries gathered requests: a batch in, one answer each out.
pub trait Carry<Q, R>: Send + Sync {
    /// Makes one trip. Must give exactly one answer a request; missing answers reach their callers as [`Dropped`].
    fn carry(&self, batch: Vec<Q>) -> Trip<'_, R>;
}

/// The trip ended without an answer for this request (its carrier was dropped or cancelled).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was dropped before it was answered")]
pub struct Dropped;

/// A gathering point in front of a [`Carry`]. Cheap to clone.
pub struct Gather<Q, R, C> {
    inner: Arc<Inner<Q, R, C>>,
}

struct Inner<Q, R, C> {
    carrier: C,
    batch_max: usize,
    trips_max: usize,
    state: Mutex<State<Q, R>>,
}

struct State<Q, R> {
    waiting: VecDeque<(Q, oneshot::Sender<R>)>,
    trips: usize,
}

impl<Q, R, C> Clone for Gather<Q, R, C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<Q, R, C> std::fmt::Debug for Gather<Q, R, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gather")
            .field("batch_max", &self.inner.batch_max)
            .finish_non_exhaustive()
    }
}

impl<Q, R, C> Gather<Q, R, C>
where
    Q: Send + 'static,
    R: Send + 'static,
    C: Carry<Q, R> + 'static,
{
    /// A gathering point with at most `trips_max` trips under way and `batch_max` requests a trip (both at least 1).
    pub fn new(carrier: C, batch_max: usize, trips_max: usize) -> Self {
        let state = Mutex::new(State {
            waiting: VecDeque::new(),
            trips: 0,
        });
        Self {
            inner: Arc::new(Inner {
                carrier,
                batch_max: batch_max.max(1),
                trips_max: trips_max.max(1),
                state,
            }),
        }
    }

    /// Sends one request and awaits its answer. `spawn` starts the task that makes the trips: it outlives this call,
    /// so that a caller who gives up does not strand the requests gathered with its own.
    ///
    /// # Errors
    /// [`Dropped`] when the carrier gave no answer.
    pub async fn call(
        &self,
        request: Q,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
    ) -> Result<R, Dropped> {
        let (answer, answered) = oneshot::channel();
        if self.push(request, answer) {
            let this = self.clone();
            spawn(Box::pin(async move { this.make_trips().await }));
        }
        answered.await.map_err(|_| Dropped)
    }

    /// Queues a request; true when the caller must start another carrier.
    fn push(&self, request: Q, answer: oneshot::Sender<R>) -> bool {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_back((request, answer));
        let start = state.trips < self.inner.trips_max;
        if start {
            state.trips += 1;
        }
        start
    }

    async fn make_trips(&self) {
        let mut place = TripPlace {
            inner: &self.inner,
            released: false,
        };
        while let Some((requests, answers)) = self.next_batch(&mut place) {
            let replies = self.inner.carrier.carry(requests).await;
            for (answer, reply) in answers.into_iter().zip(replies) {
                // The caller may have given up; its answer is nobody's then.
                drop(answer.send(reply));
            }
        }
    }

    /// The next batch, or `None` once nothing waits; gives up the trip's place under the same lock, so that a request
    /// that comes right after finds it free.
    fn next_batch(&self, place: &mut TripPlace<'_, Q, R, C>) -> Option<(Vec<Q>, Vec<oneshot::Sender<R>>)> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.trips -= 1;
            place.released = true;
            return None;
        }
        let count = state.waiting.len().min(self.inner.batch_max);
        Some(state.waiting.drain(..count).unzip())
    }
}

/// A place among the trips under way; given back even when the trip's task is cancelled.
struct TripPlace<'a, Q, R, C> {
    inner: &'a Inner<Q, R, C>,
    released: bool,
}

impl<Q, R, C> Drop for TripPlace<'_, Q, R, C> {
    fn drop(&mut self) {
        if !self.released {
            self.inner
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .trips -= 1;
        }
    }
}
