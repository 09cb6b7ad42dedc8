//! Many jobs in one call.

mod plan;
mod run;

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::spec::{Dependency, EdgePolicy};
use longshore_core::{Job, JobId, JobSpec};

use crate::client::Client;
use crate::error::EnqueueError;
use crate::handle::JobHandle;
use crate::options::{Draft, chosen_id, job_options};
use crate::parent::Parent;

/// Tells batches of one process apart, so that a reference is not taken for another batch's.
static BATCHES: AtomicU64 = AtomicU64::new(0);

/// Jobs that are enqueued together, at most 100,000, and that may depend on each other.
///
/// ```
/// # use longshore::{Batch, Job};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Fetch { page: u32 }
/// # impl Job for Fetch { const FUNCTION_NAME: &'static str = "fetch"; type Output = u64; }
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Merge;
/// # impl Job for Merge { const FUNCTION_NAME: &'static str = "merge"; type Output = u64; }
/// let mut batch = Batch::new();
/// let pages: Vec<_> = (0..10).map(|page| batch.add(Fetch { page }).reference()).collect();
/// batch.add(Merge).name("Merge the pages").depends_on(pages);
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    token: u64,
    items: Vec<Item>,
}

/// A job of a batch and its edges to others of the batch.
#[derive(Clone, Debug)]
struct Item {
    draft: Draft,
    inner: Vec<(Place, EdgePolicy)>,
}

/// A job of a batch, whose handler returns a `T`: for [`BatchJob::depends_on`] of others in the same batch, and for its
/// handle among [`BatchHandles`].
pub struct BatchRef<T = serde_json::Value> {
    place: Place,
    output: PhantomData<fn() -> T>,
}

/// Which job of which batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    token: u64,
    index: usize,
}

impl<T> BatchRef<T> {
    /// Its place in the batch, from 0; its handle has the same.
    pub const fn index(self) -> usize {
        self.place.index
    }
}

impl<T> Clone for BatchRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for BatchRef<T> {}

impl<T> std::fmt::Debug for BatchRef<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BatchRef").field(&self.place.index).finish()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            token: BATCHES.fetch_add(1, Ordering::Relaxed),
            items: Vec::new(),
        }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job; its fields may be set on what is returned.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a job is handed over; `enqueue(Report { … })` reads so"
    )]
    pub fn add<T: Job>(&mut self, job: T) -> BatchJob<'_, T::Output> {
        self.push(Draft::of(&job))
    }

    /// Adds an untyped job.
    pub fn add_spec(&mut self, spec: JobSpec) -> BatchJob<'_> {
        self.push(Draft::from_spec(spec))
    }

    /// A job that was added, to change its fields or to let it depend on one that was added later; `None` for
    /// another batch's.
    pub fn job<T>(&mut self, reference: BatchRef<T>) -> Option<BatchJob<'_, T>> {
        let place = reference.place;
        let known = place.token == self.token;
        let item = self.items.get_mut(place.index).filter(|_| known)?;
        Some(BatchJob::new(item, place))
    }

    /// How many jobs it has.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The id of each job in order, where it has one: its own, that of its idempotency key, or, in the batch of
    /// [`EnqueueError::Incomplete`], the one that it was given.
    pub fn ids(&self) -> impl Iterator<Item = Option<JobId>> + '_ {
        let id = |item: &Item| item.draft.spec().and_then(chosen_id);
        self.items.iter().map(id)
    }

    fn push<T>(&mut self, draft: Draft) -> BatchJob<'_, T> {
        let place = Place {
            token: self.token,
            index: self.items.len(),
        };
        let inner = Vec::new();
        self.items.push(Item { draft, inner });
        match self.items.as_mut_slice() {
            [.., item] => BatchJob::new(item, place),
            [] => unreachable!("an item was just added"),
        }
    }
}

/// A job in a batch, whose fields may be set.
#[derive(Debug)]
pub struct BatchJob<'a, T = serde_json::Value> {
    item: &'a mut Item,
    place: Place,
    output: PhantomData<fn() -> T>,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the job is in its batch already; what is returned may be dropped"
)]
impl<'a, T> BatchJob<'a, T> {
    const fn new(item: &'a mut Item, place: Place) -> Self {
        Self {
            item,
            place,
            output: PhantomData,
        }
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.item.draft
    }

    job_options!();

    /// Jobs that must complete first: of this batch or others, each alone or with a policy for the case that it does
    /// not complete. At most 10,000 in all; calls add up.
    pub fn depends_on<P: Into<BatchParent>>(self, parents: impl IntoIterator<Item = P>) -> Self {
        for parent in parents {
            match parent.into().0 {
                Edge::Inner(place, policy) => self.item.inner.push((place, policy)),
                Edge::Outer(parent) => self.item.draft.set(|spec| spec.depends_on.push(parent)),
            }
        }
        self
    }

    /// The job, for others of the batch to depend on, and for its handle.
    pub const fn reference(&self) -> BatchRef<T> {
        BatchRef {
            place: self.place,
            output: PhantomData,
        }
    }
}

/// A parent of a job in a batch: a [`BatchRef`], an id or a handle, alone or with a policy.
#[derive(Clone, Copy, Debug)]
pub struct BatchParent(Edge);

#[derive(Clone, Copy, Debug)]
enum Edge {
    Inner(Place, EdgePolicy),
    Outer(Dependency),
}

impl<T> From<BatchRef<T>> for BatchParent {
    fn from(reference: BatchRef<T>) -> Self {
        (reference, EdgePolicy::default()).into()
    }
}

impl<T> From<&BatchRef<T>> for BatchParent {
    fn from(reference: &BatchRef<T>) -> Self {
        (*reference).into()
    }
}

impl<T> From<(BatchRef<T>, EdgePolicy)> for BatchParent {
    fn from((reference, policy): (BatchRef<T>, EdgePolicy)) -> Self {
        Self(Edge::Inner(reference.place, policy))
    }
}

impl<P: Into<Parent>> From<P> for BatchParent {
    fn from(parent: P) -> Self {
        Self(Edge::Outer(parent.into().0))
    }
}

/// How far a long batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchProgress {
    /// Jobs accepted so far.
    pub accepted: usize,
    /// Jobs in all.
    pub of: usize,
}

/// A batch on its way in; made by [`Client::enqueue_many`]. Await it for the handles, in the order of the batch.
///
/// Parents are written before their children, so that what exists after a crash makes sense by itself.
///
/// # Errors
/// Awaiting it gives [`EnqueueError`]. Problems of the jobs, cycles and unknown parents are found before anything is
/// written; what stops it later is [`EnqueueError::Incomplete`], which has the batch to complete it with.
#[must_use = "a batch is enqueued when this is awaited"]
pub struct EnqueueMany {
    client: Client,
    batch: Batch,
    progress: Option<OnProgress>,
}

type OnProgress = Box<dyn FnMut(BatchProgress) + Send>;

impl EnqueueMany {
    pub(crate) const fn new(client: Client, batch: Batch) -> Self {
        Self {
            client,
            batch,
            progress: None,
        }
    }

    /// Calls this as jobs are accepted, some hundreds at a time.
    pub fn on_progress(mut self, call: impl FnMut(BatchProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(call));
        self
    }
}

impl std::fmt::Debug for EnqueueMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnqueueMany")
            .field("jobs", &self.batch.len())
            .finish_non_exhaustive()
    }
}

/// The handles of a batch, in the order in which its jobs were added: a slice of untyped ones, and by
/// [`BatchHandles::get`] each with its job's own type.
#[derive(Clone, Debug)]
pub struct BatchHandles {
    token: u64,
    handles: Vec<JobHandle<serde_json::Value>>,
}

impl BatchHandles {
    /// The handle of a job of the batch; `None` for another batch's reference.
    pub fn get<T>(&self, reference: BatchRef<T>) -> Option<JobHandle<T>> {
        let place = reference.place;
        let handle = self.handles.get(place.index)?;
        (place.token == self.token).then(|| handle.typed())
    }
}

impl std::ops::Deref for BatchHandles {
    type Target = [JobHandle<serde_json::Value>];

    fn deref(&self) -> &Self::Target {
        &self.handles
    }
}

impl IntoIterator for BatchHandles {
    type Item = JobHandle<serde_json::Value>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.handles.into_iter()
    }
}

impl<'a> IntoIterator for &'a BatchHandles {
    type Item = &'a JobHandle<serde_json::Value>;
    type IntoIter = std::slice::Iter<'a, JobHandle<serde_json::Value>>;

    fn into_iter(self) -> Self::IntoIter {
        self.handles.iter()
    }
}

impl IntoFuture for EnqueueMany {
    type Output = Result<BatchHandles, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self {
                client,
                batch,
                progress,
            } = self;
            let token = batch.token;
            let accepted = run::run(&client, batch, progress).await?;
            let handle = |(id, accepted)| JobHandle::new(client.clone(), id, Some(accepted));
            let handles = accepted.into_iter().map(handle).collect();
            Ok(BatchHandles { token, handles })
        })
    }
}
