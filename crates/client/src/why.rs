//! Asking why a job does not run: gathers the facts; [`longshore_core::why::explain`] finds the answer.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use longshore_core::limits::LIST_PAGE_MAX;
use longshore_core::port;
use longshore_core::view::{Detail, JobFilter, JobView};
use longshore_core::why::{BrokerFact, Facts, Line, PARENTS_PAGE, Parent, Why, explain};
use longshore_core::{JobId, JobStatus};

use crate::client::Client;
use crate::error::ClientError;

/// Pages of queued jobs that are looked at for a place in the line.
const LINE_PAGES: usize = 5;
/// How long the broker may take to say what waits in it.
const BROKER_PATIENCE: Duration = Duration::from_secs(5);

/// The question why a job does not run; made by [`Client::why`]. Await it for the answer.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until this is awaited"]
pub struct AskWhy {
    client: Client,
    id: JobId,
    parents_from: usize,
}

impl AskWhy {
    pub(crate) const fn new(client: Client, id: JobId) -> Self {
        Self {
            client,
            id,
            parents_from: 0,
        }
    }

    /// Where the page of parents begins, for a job that waits for many: an answer names at most 100 and says where the
    /// next page begins. Default: 0.
    pub const fn parents_from(mut self, parents: usize) -> Self {
        self.parents_from = parents;
        self
    }

    async fn answer(&self) -> Result<Why, ClientError> {
        match self.facts().await {
            Ok(facts) => Ok(explain(&facts)),
            Err(ClientError::Store(
                error @ (port::Error::Unavailable { .. } | port::Error::OutcomeUnknown { .. }),
            )) => {
                let now = self.client.settings().clock.now();
                Ok(Why::store_unreachable(self.id, error.to_string(), now))
            }
            Err(error) => Err(error),
        }
    }

    async fn facts(&self) -> Result<Facts, ClientError> {
        let job = self.client.look(self.id, Detail::Summary).await?;
        let mut facts = Facts {
            id: self.id,
            now: self.client.settings().clock.now(),
            job: None,
            tombstone: None,
            parents: Vec::new(),
            parents_from: self.parents_from,
            paused: false,
            workers: Vec::new(),
            broker: BrokerFact::Unasked,
            line: Line::default(),
        };
        match &job {
            None => facts.tombstone = self.statuses(&[self.id]).await?.remove(&self.id),
            Some(job) if job.status.is_terminal() || job.status == JobStatus::Running => {}
            Some(job) => self.surroundings(job, &mut facts).await?,
        }
        facts.job = job;
        Ok(facts)
    }

    /// What is around a job that waits.
    async fn surroundings(&self, job: &JobView, facts: &mut Facts) -> Result<(), ClientError> {
        facts.paused = self
            .client
            .queues()
            .await?
            .get(&job.queue)
            .is_some_and(|queue| queue.paused);
        facts.workers = self.client.workers().await?;
        if job.status == JobStatus::Blocked {
            facts.parents = self.parents(job).await?;
        }
        if job.status == JobStatus::Queued && job.parked.is_none() {
            facts.broker = self.broker(job).await;
            if job.published_at.is_some() && !facts.paused {
                facts.line = self.line(job).await?;
            }
        }
        Ok(())
    }

    async fn parents(&self, job: &JobView) -> Result<Vec<Parent>, ClientError> {
        let page: Vec<_> = job
            .open_parents
            .iter()
            .skip(self.parents_from)
            .take(PARENTS_PAGE)
            .collect();
        let ids: Vec<JobId> = page.iter().map(|(id, _)| *id).collect();
        let statuses = self.statuses(&ids).await?;
        let parent = |(id, policy): &(JobId, _)| Parent {
            id: *id,
            status: statuses.get(id).copied(),
            policy: *policy,
        };
        Ok(page.into_iter().map(parent).collect())
    }

    /// How jobs stand, deleted ones included; unknown ones are left out.
    async fn statuses(&self, ids: &[JobId]) -> Result<BTreeMap<JobId, JobStatus>, ClientError> {
        let mut shards: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
        for id in ids {
            shards.entry(self.client.shard_of(*id)).or_default().push(*id);
        }
        let mut statuses = BTreeMap::new();
        for (shard, ids) in shards {
            let found = self
                .client
                .asking(|ports| ports.enqueue.statuses(shard, ids.clone()));
            for (id, status) in ids.iter().zip(found.await?) {
                statuses.extend(status.map(|status| (*id, status)));
            }
        }
        Ok(statuses)
    }

    async fn broker(&self, job: &JobView) -> BrokerFact {
        let asked = self.client.ports().consume.depths(vec![job.queue.clone()]);
        let depths = match tokio::time::timeout(BROKER_PATIENCE, asked).await {
            Ok(Ok(depths)) => depths,
            Ok(Err(error)) => return BrokerFact::Unreachable(error.to_string()),
            Err(_) => {
                return BrokerFact::Unreachable(format!("it did not answer within {BROKER_PATIENCE:?}"));
            }
        };
        let mine = depths
            .iter()
            .find(|depth| depth.priority.is_none_or(|priority| priority == job.priority));
        mine.map_or_else(
            || {
                let problem = format!(
                    "its queue for jobs of {} with priority {} does not answer",
                    job.queue, job.priority
                );
                BrokerFact::Unreachable(problem)
            },
            |depth| BrokerFact::Ready(depth.ready),
        )
    }

    /// Queued jobs that stand before it, among a bounded number of them.
    async fn line(&self, job: &JobView) -> Result<Line, ClientError> {
        let filter = JobFilter {
            statuses: vec![JobStatus::Queued],
            queue: Some(job.queue.clone()),
            ..JobFilter::default()
        };
        let (mut ahead, mut after) = (0_u64, None);
        for _ in 0..LINE_PAGES {
            let page = self
                .client
                .list(&filter)
                .limit(LIST_PAGE_MAX)
                .after(after)
                .await?;
            let before = page.jobs.iter().filter(|other| is_before(other, job));
            ahead += before.count() as u64;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Line {
            ahead,
            or_more: after.is_some(),
        })
    }
}

impl IntoFuture for AskWhy {
    type Output = Result<Why, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.answer().await })
    }
}

/// Whether `other` is published and stands before `job`: by priority, then by when it was published.
fn is_before(other: &JobView, job: &JobView) -> bool {
    let place = |job: &JobView| (std::cmp::Reverse(job.priority), job.published_at, job.id);
    other.published_at.is_some() && place(other) < place(job)
}
