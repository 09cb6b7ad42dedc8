//! One job on its way in.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use crate::client::Client;
use crate::error::EnqueueError;
use crate::handle::JobHandle;
use crate::options::{Draft, job_options};
use crate::parent::Parent;

/// A job to be enqueued; made by [`Client::enqueue`]. Set its fields, then await it for the handle.
///
/// # Errors
/// Awaiting it gives [`EnqueueError`]. Success means that the job is recorded, and in the broker unless
/// [`JobHandle::is_deferred`].
#[derive(Debug)]
#[must_use = "a job is enqueued when this is awaited"]
pub struct Enqueue<T> {
    client: Client,
    draft: Draft,
    output: PhantomData<fn() -> T>,
}

impl<T> Enqueue<T> {
    pub(crate) const fn new(client: Client, draft: Draft) -> Self {
        Self {
            client,
            draft,
            output: PhantomData,
        }
    }

    fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    job_options!();

    /// Jobs that must complete first: ids or handles, each alone or with a policy for the case that it does not
    /// complete. At most 10,000 in all; calls add up.
    pub fn depends_on<P: Into<Parent>>(mut self, parents: impl IntoIterator<Item = P>) -> Self {
        let parents = parents.into_iter().map(|parent| parent.into().0);
        self.draft.set(|spec| spec.depends_on.extend(parents));
        self
    }
}

impl<T: Send + 'static> IntoFuture for Enqueue<T> {
    type Output = Result<JobHandle<T>, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, draft, .. } = self;
            let (id, accepted) = client.pipeline().enqueue(&draft, client.created_by()).await?;
            Ok(JobHandle::new(client, id, Some(accepted)))
        })
    }
}
