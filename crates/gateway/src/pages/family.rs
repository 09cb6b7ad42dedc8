//! The jobs that a job depends on, and those that wait for it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use longshore::{JobFilter, JobId, JobStatus, JobView};
use longshore_core::Envelope;
use longshore_core::limits::LIST_PAGE_MAX;

use super::graph::{Graph, Node};
use crate::error::Error;
use crate::state::AppState;

/// Jobs that are drawn.
const NODES: usize = 48;
/// Parents that are drawn of one job.
const PARENTS: usize = 12;
/// How far back the graph reaches.
const DEPTH: usize = 6;

/// The graph of a job; `None` when it stands alone. Of what waits for it, only jobs that still wait are found, among the
/// newest thousand.
///
/// A page that is open asks for it with every change of its job: the family is read every few seconds at most, for all who
/// look, and the job itself stands as it is now.
pub(super) async fn graph(
    state: &AppState,
    job: &JobView,
    envelope: Option<&Envelope>,
) -> Result<Option<Graph>, Error> {
    let version = job.status as u64;
    let read = || read(state, job, envelope);
    let family = state.families().get(&job.id.to_string(), version, read).await?;
    let family = family.value;
    if family.nodes.len() < 2 {
        return Ok(None);
    }
    let mut nodes = family.nodes.clone();
    if let Some(own) = nodes.iter_mut().find(|node| node.id == job.id) {
        (own.status, own.fraction) = (Some(job.status), job.progress.fraction);
    }
    Ok(Some(Graph::draw(job.id, &nodes, family.left_out, |path| {
        state.href(path)
    })))
}

async fn read(state: &AppState, job: &JobView, envelope: Option<&Envelope>) -> Result<Family, Error> {
    let mut family = Family::new(job, envelope);
    for _ in 0..DEPTH {
        if family.open.is_empty() || family.nodes.len() >= NODES {
            break;
        }
        let asked: Vec<JobId> = std::mem::take(&mut family.open);
        let found = join_all(asked.iter().map(|id| state.client().view(*id))).await;
        for (id, found) in asked.into_iter().zip(found) {
            family.take(id, found?.as_ref());
        }
    }
    let waiting = JobFilter {
        statuses: vec![JobStatus::Blocked],
        ..JobFilter::default()
    };
    if !matches!(
        job.status,
        JobStatus::Completed | JobStatus::Cancelled | JobStatus::Expired
    ) {
        let waiting = state.client().list(waiting).limit(LIST_PAGE_MAX).await?;
        waiting.jobs.iter().for_each(|child| family.child(child));
    }
    Ok(family)
}

/// A job and those that it depends on, or that wait for it.
#[derive(Debug)]
pub(crate) struct Family {
    own: JobId,
    nodes: Vec<Node>,
    seen: BTreeSet<JobId>,
    open: Vec<JobId>,
    left_out: u64,
}

impl Family {
    fn new(job: &JobView, envelope: Option<&Envelope>) -> Self {
        let mut family = Self {
            own: job.id,
            nodes: Vec::new(),
            seen: BTreeSet::from([job.id]),
            open: Vec::new(),
            left_out: 0,
        };
        family.add(job, envelope);
        family
    }

    fn add(&mut self, job: &JobView, envelope: Option<&Envelope>) {
        let parents: Vec<JobId> = envelope.map_or(Vec::new(), |envelope| {
            envelope.depends_on.iter().map(|parent| parent.id).collect()
        });
        for (number, parent) in parents.iter().enumerate() {
            if self.seen.contains(parent) {
                continue;
            }
            if number < PARENTS && self.nodes.len() + self.open.len() < NODES {
                self.seen.insert(*parent);
                self.open.push(*parent);
            } else {
                self.left_out += 1;
            }
        }
        self.push(Node {
            id: job.id,
            name: job.name.clone(),
            status: Some(job.status),
            fraction: job.progress.fraction,
            parents,
        });
    }

    fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    fn take(&mut self, id: JobId, found: Option<&JobView>) {
        match found {
            Some(job) => {
                let envelope = job
                    .full
                    .as_ref()
                    .and_then(|full| Envelope::decode(&full.envelope).ok());
                self.add(job, envelope.as_ref());
            }
            None => self.push(Node {
                id,
                name: id.to_string(),
                status: None,
                fraction: None,
                parents: Vec::new(),
            }),
        }
    }

    /// A job that waits for this one.
    fn child(&mut self, child: &JobView) {
        if self.seen.contains(&child.id) || !child.open_parents.iter().any(|(parent, _)| *parent == self.own)
        {
            return;
        }
        if self.nodes.len() >= NODES {
            self.left_out += 1;
            return;
        }
        self.seen.insert(child.id);
        self.push(Node {
            id: child.id,
            name: child.name.clone(),
            status: Some(child.status),
            fraction: child.progress.fraction,
            parents: child.open_parents.iter().map(|(parent, _)| *parent).collect(),
        });
    }
}
