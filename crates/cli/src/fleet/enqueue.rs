//! Handing jobs over.

use std::collections::BTreeMap;

use longshore::{Batch, EnqueueError, JobHandle};
use longshore_core::random::{Random, SystemRandom};
use longshore_core::{JobId, JobSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fleet;
use super::jobs::listed;
use crate::failure::Failure;
use crate::remote::{Remote, view, write};

/// Jobs of one request.
const JOBS_MAX: usize = 1_000;
/// Bytes of one request, below what a gateway takes unless configured.
const BYTES_MAX: usize = 3 * 1024 * 1024;

/// A job that was handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    pub(crate) id: JobId,
    /// It was known already.
    pub(crate) existing: bool,
    /// It is published once the broker is back.
    pub(crate) deferred: bool,
}

/// A batch that came to its end too soon.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) why: Failure,
    /// How many were accepted, and the ids with which the same jobs may be handed over again.
    pub(crate) part: Option<(usize, Vec<Option<JobId>>)>,
}

/// As a gateway answers it.
#[derive(Deserialize)]
struct Enqueued {
    id: String,
    acceptance: String,
}

impl Enqueued {
    fn read(&self) -> Result<Handed, Failure> {
        Ok(Handed {
            id: self.id.parse().map_err(view::unread)?,
            existing: self.acceptance == "existing",
            deferred: self.acceptance == "deferred",
        })
    }
}

impl From<&JobHandle<Value>> for Handed {
    fn from(handle: &JobHandle<Value>) -> Self {
        Self {
            id: handle.id(),
            existing: handle.was_existing(),
            deferred: handle.is_deferred(),
        }
    }
}

impl Fleet {
    /// Hands one job over.
    pub(crate) async fn enqueue(&self, spec: JobSpec) -> Result<Handed, Failure> {
        match self {
            Self::Direct { client, .. } => Ok(Handed::from(&client.enqueue_spec(spec).await?)),
            Self::Remote { remote, .. } => {
                // The id is made here, so that a job whose answer is lost can be asked for again.
                let spec = with_id(spec);
                let sent = remote.post::<Enqueued>("jobs", &write::job(&spec)?).await;
                let id = spec.id.map(|id| id.to_string()).unwrap_or_default();
                let known = |mut why: Failure| {
                    if !is_refused(&why) {
                        why.message = format!(
                            "{}; it may have been written as {id}: the same command with --id {id} makes it once",
                            why.message
                        );
                    }
                    why
                };
                sent.map_err(known)?.read()
            }
        }
    }

    /// Hands many jobs over; `told` hears how many were accepted.
    pub(crate) async fn enqueue_many(
        &self,
        specs: Vec<JobSpec>,
        told: impl Fn(usize) + Send + 'static,
    ) -> Result<Vec<Handed>, Broken> {
        let client = match self {
            Self::Direct { client, .. } => client,
            Self::Remote { remote, .. } => return many(remote, specs, told).await,
        };
        let mut batch = Batch::new();
        for spec in specs {
            batch.add_spec(spec);
        }
        let handed = client
            .enqueue_many(batch)
            .on_progress(move |progress| told(progress.accepted))
            .await;
        match handed {
            Ok(handles) => Ok(handles.iter().map(Handed::from).collect()),
            Err(EnqueueError::Incomplete {
                accepted,
                batch,
                source,
                ..
            }) => Err(Broken {
                why: Failure::from(*source),
                part: Some((accepted, batch.ids().collect())),
            }),
            Err(error) => Err(Broken {
                why: error.into(),
                part: None,
            }),
        }
    }
}

/// A key is an id.
fn keyed(mut spec: JobSpec) -> JobSpec {
    if let Some(key) = spec.idempotency_key.take() {
        spec.id = Some(JobId::from_idempotency_key(&key));
    }
    spec
}

/// Every job gets its id here, so that a request whose answer is lost may be sent again.
fn with_id(spec: JobSpec) -> JobSpec {
    let mut spec = keyed(spec);
    let random = || format!("{:016x}{:016x}", SystemRandom.next_u64(), SystemRandom.next_u64());
    spec.id
        .get_or_insert_with(|| JobId::from_idempotency_key(&random()));
    spec
}

/// Whether a gateway said before it wrote anything that it would not.
fn is_refused(why: &Failure) -> bool {
    !why.said.is_empty() && !why.may_pass()
}

async fn many(remote: &Remote, specs: Vec<JobSpec>, told: impl Fn(usize)) -> Result<Vec<Handed>, Broken> {
    let specs: Vec<JobSpec> = specs.into_iter().map(with_id).collect();
    let ids: Vec<Option<JobId>> = specs.iter().map(|spec| spec.id).collect();
    let mut handed: BTreeMap<usize, Handed> = BTreeMap::new();
    // What may have been written keeps its ids: a second run must not make it again.
    let broken = |why: Failure, accepted: usize| Broken {
        part: (accepted > 0 || !is_refused(&why)).then(|| (accepted, ids.clone())),
        why,
    };
    let requests = requests(&specs).map_err(|why| Broken { why, part: None })?;
    for (places, jobs) in requests {
        let said = remote.post("jobs/batch", &json!({ "jobs": jobs })).await;
        let said = said.and_then(|said| listed::<Enqueued>(said, "jobs"));
        let said = said.map_err(|why| broken(why, handed.len()))?;
        if said.len() != places.len() {
            let why = view::unread(format!(
                "{} jobs were sent, {} are answered",
                places.len(),
                said.len()
            ));
            return Err(broken(why, handed.len()));
        }
        for (place, job) in places.into_iter().zip(said) {
            let job = job.read().map_err(|why| broken(why, handed.len()))?;
            handed.insert(place, job);
        }
        told(handed.len());
    }
    Ok(handed.into_values().collect())
}

/// Places of jobs, and the jobs as they travel.
type Request = (Vec<usize>, Vec<Value>);

/// Requests within their bounds, parents before their children.
fn requests(specs: &[JobSpec]) -> Result<Vec<Request>, Failure> {
    let mut requests = Vec::new();
    let (mut places, mut jobs, mut bytes) = (Vec::new(), Vec::new(), 0);
    for place in parents_first(specs) {
        let Some(spec) = specs.get(place) else { continue };
        let job = serde_json::to_value(write::job(spec)?).map_err(view::unread)?;
        let size = job.to_string().len();
        if !jobs.is_empty() && (jobs.len() == JOBS_MAX || bytes + size > BYTES_MAX) {
            requests.push((std::mem::take(&mut places), std::mem::take(&mut jobs)));
            bytes = 0;
        }
        bytes += size;
        places.push(place);
        jobs.push(job);
    }
    if !jobs.is_empty() {
        requests.push((places, jobs));
    }
    Ok(requests)
}

/// The places of the jobs so that parents stand before their children; jobs of a circle come last, as they are.
fn parents_first(specs: &[JobSpec]) -> Vec<usize> {
    let place_of: BTreeMap<JobId, usize> = specs
        .iter()
        .zip(0..)
        .filter_map(|(spec, place)| Some((spec.id?, place)))
        .collect();
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut open: Vec<usize> = vec![0; specs.len()];
    for (child, spec) in specs.iter().enumerate() {
        for parent in spec
            .depends_on
            .iter()
            .filter_map(|parent| place_of.get(&parent.id))
        {
            children.entry(*parent).or_default().push(child);
            if let Some(open) = open.get_mut(child) {
                *open += 1;
            }
        }
    }
    let free = open.iter().zip(0..).filter(|(open, _)| **open == 0);
    let mut order: Vec<usize> = free.map(|(_, place)| place).collect();
    let mut at = 0;
    while let Some(place) = order.get(at).copied() {
        at += 1;
        for child in children.get(&place).into_iter().flatten() {
            let Some(open) = open.get_mut(*child) else {
                continue;
            };
            *open -= 1;
            if *open == 0 {
                order.push(*child);
            }
        }
    }
    let circle = open.iter().zip(0..).filter(|(open, _)| **open > 0);
    order.extend(circle.map(|(_, place)| place));
    order
}

#[cfg(test)]
mod tests {
    use longshore_core::FunctionName;

    use super::*;

    #[test]
    fn parents_travel_before_their_children() {
        let id = |key: &str| JobId::from_idempotency_key(key);
        let spec = |key: &str, parents: &[&str]| {
            let mut spec = JobSpec::new(FunctionName::new("f").unwrap(), vec![0xc0].into());
            spec.id = Some(id(key));
            spec.depends_on = parents.iter().map(|parent| id(parent).into()).collect();
            spec
        };
        let specs = [spec("c", &["b"]), spec("b", &["a", "elsewhere"]), spec("a", &[])];
        assert_eq!(parents_first(&specs), [2, 1, 0]);
        let circle = [spec("a", &["b"]), spec("b", &["a"]), spec("c", &[])];
        assert_eq!(parents_first(&circle), [2, 0, 1]);
    }
}
