//! Gathers what concurrent callers ask for while the last round trip is under way, without a timer: the first request
//! travels at once, and whatever came meanwhile travels together next.
//!
//! Nothing is bounded here but a trip: what waits is as much as its callers ask for at once. A caller of
//! [`Gather::call`] waits for its answer and so bounds itself; who uses [`Gather::cast`] bounds itself otherwise.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::oneshot;

/// One trip for many requests; answers in the order of the requests.
pub type Trip<'a, R> = Pin<Box<dyn Future<Output = Vec<R>> + Send + 'a>>;

/// What makes the trips, to be spawned by the caller.
pub type Carrier = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries gathered requests: a batch in, one answer each out.
pub trait Carry<Q, R>: Send + Sync {
    /// Makes one trip. Must give exactly one answer a request; missing answers reach their callers as [`Dropped`].
    fn carry(&self, batch: Vec<Q>) -> Trip<'_, R>;

    /// How heavy a request is, for [`TripLimits::weight_max`]; bytes, usually. Default: nothing.
    fn weight(&self, _request: &Q) -> usize {
        0
    }
}

/// The trip ended without an answer for this request (its carrier panicked, or its runtime ended). Whether the request
/// was carried is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was dropped before it was answered")]
pub struct Dropped;

/// How much travels at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripLimits {
    /// Most requests of a trip; at least 1.
    pub batch_max: usize,
    /// Most weight of a trip; a request that is heavier travels alone.
    pub weight_max: usize,
    /// Most trips under way; at least 1.
    pub trips_max: usize,
}

/// A gathering point in front of a [`Carry`]. Cheap to clone.
pub struct Gather<Q, R, C> {
    inner: Arc<Inner<Q, R, C>>,
}

struct Inner<Q, R, C> {
    carrier: C,
    limits: TripLimits,
    state: Mutex<State<Q, R>>,
}

struct State<Q, R> {
    /// A request that was cast has nobody to answer.
    waiting: VecDeque<(Q, Option<oneshot::Sender<R>>)>,
    trips: usize,
}

impl<Q, R, C> Inner<Q, R, C> {
    /// No code that can panic runs under this lock, so a poisoned one is whole.
    fn state(&self) -> MutexGuard<'_, State<Q, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let (waiting, trips) = {
            let state = self.inner.state();
            (state.waiting.len(), state.trips)
        };
        f.debug_struct("Gather")
            .field("limits", &self.inner.limits)
            .field("waiting", &waiting)
            .field("trips", &trips)
            .finish_non_exhaustive()
    }
}

impl<Q, R, C> Gather<Q, R, C>
where
    Q: Send + 'static,
    R: Send + 'static,
    C: Carry<Q, R> + 'static,
{
    /// A gathering point.
    pub fn new(carrier: C, limits: TripLimits) -> Self {
        let limits = TripLimits {
            batch_max: limits.batch_max.max(1),
            trips_max: limits.trips_max.max(1),
            ..limits
        };
        let state = Mutex::new(State {
            waiting: VecDeque::new(),
            trips: 0,
        });
        Self {
            inner: Arc::new(Inner {
                carrier,
                limits,
                state,
            }),
        }
    }

    /// Sends one request and awaits its answer. `spawn` starts the task that makes the trips: it outlives this call,
    /// so that a caller who gives up does not strand the requests gathered with its own.
    ///
    /// Cancel-safe in this sense: once polled, the request travels whether or not anybody waits for its answer.
    ///
    /// # Errors
    /// [`Dropped`] when the carrier gave no answer.
    pub async fn call(&self, request: Q, spawn: impl FnOnce(Carrier)) -> Result<R, Dropped> {
        let (answer, answered) = oneshot::channel();
        self.push([(request, Some(answer))], spawn);
        answered.await.map_err(|_| Dropped)
    }

    /// Sends requests whose answers nobody waits for.
    pub fn cast(&self, requests: impl IntoIterator<Item = Q>, spawn: impl FnOnce(Carrier)) {
        self.push(requests.into_iter().map(|request| (request, None)), spawn);
    }

    /// Queues requests, and starts a carrier when there is room for one more.
    fn push(
        &self,
        requests: impl IntoIterator<Item = (Q, Option<oneshot::Sender<R>>)>,
        spawn: impl FnOnce(Carrier),
    ) {
        let start = {
            let mut state = self.inner.state();
            state.waiting.extend(requests);
            let start = !state.waiting.is_empty() && state.trips < self.inner.limits.trips_max;
            state.trips += usize::from(start);
            start
        };
        if start {
            // The place is made before the task is: a task that is never polled gives it back as well.
            let place = Place {
                gather: self.clone(),
                released: false,
            };
            spawn(Box::pin(place.make_trips()));
        }
    }
}

/// Goes to the end of the queue of ready tasks, once. No time passes when there are none.
fn after_the_ready() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// A place among the trips under way; given back even when the trip's task is cancelled or panics.
struct Place<Q, R, C> {
    gather: Gather<Q, R, C>,
    released: bool,
}

impl<Q, R, C> Place<Q, R, C>
where
    Q: Send + 'static,
    R: Send + 'static,
    C: Carry<Q, R> + 'static,
{
    async fn make_trips(mut self) {
        // Callers that are ready to run push their requests first: against a server that answers within microseconds
        // nothing would gather otherwise.
        after_the_ready().await;
        while let Some((requests, answers)) = self.next_batch() {
            let replies = self.gather.inner.carrier.carry(requests).await;
            for (answer, reply) in answers.into_iter().zip(replies) {
                // The caller may have given up; its answer is nobody's then.
                drop(answer.map(|answer| answer.send(reply)));
            }
            after_the_ready().await;
        }
    }

    /// The next batch, or `None` once nothing waits; gives up the place under the same lock, so that a request that
    /// comes right after finds it free.
    #[expect(clippy::type_complexity, reason = "the two halves of what waits")]
    fn next_batch(&mut self) -> Option<(Vec<Q>, Vec<Option<oneshot::Sender<R>>>)> {
        let inner = &self.gather.inner;
        let mut state = inner.state();
        if state.waiting.is_empty() {
            state.trips -= 1;
            self.released = true;
            return None;
        }
        let mut weight = 0_usize;
        let fits = state
            .waiting
            .iter()
            .take(inner.limits.batch_max)
            .take_while(|(request, _)| {
                weight = weight.saturating_add(inner.carrier.weight(request));
                weight <= inner.limits.weight_max
            })
            .count();
        Some(state.waiting.drain(..fits.max(1)).unzip())
    }
}

impl<Q, R, C> Drop for Place<Q, R, C> {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let mut state = self.gather.inner.state();
        state.trips -= 1;
        // With the last carrier gone nobody would come for what waits: its callers learn now.
        let stranded = if state.trips == 0 {
            std::mem::take(&mut state.waiting)
        } else {
            VecDeque::new()
        };
        drop(state);
        drop(stranded);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers, one permit a trip; remembers what travelled together.
    struct Doubler {
        gate: Semaphore,
        trips: Mutex<Vec<Vec<u32>>>,
        under_way: AtomicUsize,
        under_way_max: AtomicUsize,
    }

    impl Doubler {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                gate: Semaphore::new(0),
                trips: Mutex::default(),
                under_way: AtomicUsize::new(0),
                under_way_max: AtomicUsize::new(0),
            })
        }

        fn trips(&self) -> Vec<Vec<u32>> {
            self.trips.lock().unwrap().clone()
        }
    }

    impl Carry<u32, u32> for Arc<Doubler> {
        fn carry(&self, batch: Vec<u32>) -> Trip<'_, u32> {
            Box::pin(async move {
                self.trips.lock().unwrap().push(batch.clone());
                let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                self.under_way_max.fetch_max(now, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                self.under_way.fetch_sub(1, Ordering::SeqCst);
                // Numbers above 100 get no answer.
                batch.into_iter().filter(|n| *n <= 100).map(|n| n * 2).collect()
            })
        }

        fn weight(&self, request: &u32) -> usize {
            *request as usize
        }
    }

    /// Runs tasks by hand, so that a test says when a trip goes on.
    #[derive(Default)]
    struct Hand(Vec<Carrier>);

    impl Hand {
        /// Polls every task until it waits for a permit: it yields once or twice a trip.
        fn run(&mut self) {
            for _ in 0..32 {
                self.0.retain_mut(|task| poll(task.as_mut()).is_pending());
            }
        }
    }

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    type Answer = Pin<Box<dyn Future<Output = Result<u32, Dropped>>>>;

    fn ask(gather: &Gather<u32, u32, Arc<Doubler>>, hand: &mut Hand, request: u32) -> Answer {
        let gather = gather.clone();
        let (tasks, spawned) = std::sync::mpsc::channel();
        let mut answer: Answer =
            Box::pin(async move { gather.call(request, |task| tasks.send(task).unwrap()).await });
        assert!(poll(answer.as_mut()).is_pending());
        hand.0.extend(spawned.try_iter());
        answer
    }

    fn limits(batch_max: usize, trips_max: usize) -> TripLimits {
        TripLimits {
            batch_max,
            weight_max: usize::MAX,
            trips_max,
        }
    }

    #[test]
    fn the_first_travels_at_once_and_the_rest_together() {
        let doubler = Doubler::new();
        let gather = Gather::new(Arc::clone(&doubler), limits(100, 1));
        let mut hand = Hand::default();
        let mut first = ask(&gather, &mut hand, 1);
        hand.run();
        let mut rest: Vec<_> = (2..=5).map(|n| ask(&gather, &mut hand, n)).collect();
        assert_eq!(hand.0.len(), 1, "one carrier for all");
        doubler.gate.add_permits(1);
        hand.run();
        assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(2)));
        doubler.gate.add_permits(1);
        hand.run();
        let answers: Vec<_> = rest.iter_mut().map(|answer| poll(answer.as_mut())).collect();
        assert_eq!(answers, [4, 6, 8, 10].map(|n| Poll::Ready(Ok(n))));
        assert_eq!(doubler.trips(), [vec![1], vec![2, 3, 4, 5]]);
        assert!(hand.0.is_empty(), "the carrier ends when nothing waits");
    }

    #[test]
    fn a_trip_takes_no_more_than_its_limits() {
        let doubler = Doubler::new();
        doubler.gate.add_permits(100);
        let by_count = Gather::new(Arc::clone(&doubler), limits(2, 1));
        let mut hand = Hand::default();
        let mut answers: Vec<_> = (1..=5).map(|n| ask(&by_count, &mut hand, n)).collect();
        hand.run();
        assert_eq!(doubler.trips(), [vec![1, 2], vec![3, 4], vec![5]]);
        assert!(answers.iter_mut().all(|answer| poll(answer.as_mut()).is_ready()));

        let doubler = Doubler::new();
        doubler.gate.add_permits(100);
        let heavy = TripLimits {
            weight_max: 10,
            ..limits(100, 1)
        };
        let by_weight = Gather::new(Arc::clone(&doubler), heavy);
        let answers: Vec<_> = [4, 6, 1, 50, 3]
            .map(|n| ask(&by_weight, &mut hand, n))
            .into_iter()
            .collect();
        hand.run();
        assert_eq!(doubler.trips(), [vec![4, 6], vec![1], vec![50], vec![3]]);
        drop(answers);
    }

    #[test]
    fn no_more_trips_are_under_way_than_allowed() {
        let doubler = Doubler::new();
        let gather = Gather::new(Arc::clone(&doubler), limits(1, 3));
        let mut hand = Hand::default();
        let mut answers: Vec<_> = (1..=10).map(|n| ask(&gather, &mut hand, n)).collect();
        hand.run();
        assert_eq!(doubler.trips().len(), 3);
        doubler.gate.add_permits(10);
        hand.run();
        hand.run();
        assert!(answers.iter_mut().all(|answer| poll(answer.as_mut()).is_ready()));
        assert_eq!(doubler.under_way_max.load(Ordering::SeqCst), 3);
        assert!(hand.0.is_empty());
    }

    #[test]
    fn a_caller_that_gives_up_strands_nobody() {
        let doubler = Doubler::new();
        let gather = Gather::new(Arc::clone(&doubler), limits(100, 1));
        let mut hand = Hand::default();
        let first = ask(&gather, &mut hand, 1);
        let mut second = ask(&gather, &mut hand, 2);
        drop(first);
        doubler.gate.add_permits(1);
        hand.run();
        assert_eq!(poll(second.as_mut()), Poll::Ready(Ok(4)));
    }

    #[test]
    fn a_carrier_that_is_cancelled_tells_all_who_wait_and_the_next_call_starts_anew() {
        let doubler = Doubler::new();
        let gather = Gather::new(Arc::clone(&doubler), limits(1, 1));
        let mut hand = Hand::default();
        let mut travelling = ask(&gather, &mut hand, 1);
        hand.run();
        let mut waiting = ask(&gather, &mut hand, 2);
        hand.0.clear();
        assert_eq!(poll(travelling.as_mut()), Poll::Ready(Err(Dropped)));
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Err(Dropped)));
        let mut next = ask(&gather, &mut hand, 3);
        doubler.gate.add_permits(1);
        hand.run();
        assert_eq!(poll(next.as_mut()), Poll::Ready(Ok(6)));
    }

    #[test]
    fn a_carrier_that_was_never_started_gives_its_place_back() {
        let doubler = Doubler::new();
        let gather = Gather::new(Arc::clone(&doubler), limits(1, 1));
        gather.cast([1], drop);
        let mut hand = Hand::default();
        let mut next = ask(&gather, &mut hand, 2);
        doubler.gate.add_permits(1);
        hand.run();
        assert_eq!(poll(next.as_mut()), Poll::Ready(Ok(4)));
    }

    #[test]
    fn requests_that_were_cast_travel_with_the_others() {
        let doubler = Doubler::new();
        doubler.gate.add_permits(10);
        let gather = Gather::new(Arc::clone(&doubler), limits(100, 1));
        let mut hand = Hand::default();
        gather.cast([1, 2, 3], |task| hand.0.push(task));
        let mut last = ask(&gather, &mut hand, 4);
        hand.run();
        assert_eq!(poll(last.as_mut()), Poll::Ready(Ok(8)));
        assert_eq!(doubler.trips(), [vec![1, 2, 3, 4]]);
    }

    #[test]
    fn a_missing_answer_is_told() {
        let doubler = Doubler::new();
        doubler.gate.add_permits(10);
        let gather = Gather::new(Arc::clone(&doubler), limits(100, 1));
        let mut hand = Hand::default();
        let mut answer = ask(&gather, &mut hand, 101);
        hand.run();
        assert_eq!(poll(answer.as_mut()), Poll::Ready(Err(Dropped)));
    }
}
