//! What waits too long, and who should be there to look after it.

mod leftover;
mod parked;
mod start;

use std::collections::BTreeMap;
use std::time::Duration;

use longshore::QueueView;
use longshore_backend::checkup::{Finding, Severity};
use longshore_core::clock::short_time;
use longshore_core::limits::{QUARANTINE_BYTES_MAX, QUARANTINE_MESSAGES_MAX};
use longshore_core::port::Ports;
use longshore_core::port::broker::Depth;
use longshore_core::port::checkup::{IndexHead, ShardState};
use longshore_core::record::Index;
use longshore_core::{JobStatus, Priority, QueueName, Timestamp};
use longshore_service::config::Endpoints;

use super::index::queue_subject;
use super::report::Report;
use super::{asked, joined};
use crate::failure::Failure;
use start::Start;

/// How long something may be due before it is late. Schedulers look every few seconds.
const LATE: Duration = Duration::from_secs(60);
/// How long a published job may be away from the broker's queues while workers are there: they may hold it.
const HELD: Duration = Duration::from_secs(600);
/// How long a job that was given back has to get out of the outbox.
const SETTLE: Duration = Duration::from_secs(3);
/// From so many hundredths on, the quarantine is nearly full.
const FULL_PERCENT: u64 = 80;

/// Looks at what waits.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn run(
    ports: &Ports,
    endpoints: &Endpoints,
    depths: Option<&[Depth]>,
    report: &mut Report,
) -> Result<(), Failure> {
    let start = Start::of(endpoints);
    let queues = asked(ports.inspect.queues()).await?;
    let mut shards = states(ports).await?;
    if shards.iter().any(|shard| unpublished_for(shard) > LATE) {
        // A job that a worker has just given back is old and goes out at once: only what stays is stuck.
        tokio::time::sleep(SETTLE).await;
        shards = states(ports).await?;
    }
    let waits = Waits {
        now: shards.iter().map(|shard| shard.now).max().unwrap_or_default(),
        queues: &queues,
        shards: &shards,
        start,
    };
    waits.schedulers(&mut report.findings);
    waits.late(&mut report.findings);
    waits.unpublished(&mut report.findings);
    waits.paused(&mut report.findings);
    if let Some(depths) = depths {
        waits.published(depths, &mut report.findings);
        waits.archive(asked(ports.consume.archived()).await.ok(), &mut report.findings);
    }
    workers(ports, &queues, start, &mut report.findings).await?;
    parked::look(ports, &mut report.findings).await?;
    quarantine(ports, &mut report.findings).await
}

async fn states(ports: &Ports) -> Result<Vec<ShardState>, Failure> {
    let mut shards = Vec::new();
    for shard in ports.enqueue.shards().all() {
        shards.push(asked(ports.checkup.shard_state(shard)).await?);
    }
    Ok(shards)
}

/// How long the first job of a shard that no try gets published could have run.
fn unpublished_for(shard: &ShardState) -> Duration {
    let since = shard.unpublished.map(|(since, _)| shard.now.since(since));
    since.unwrap_or_default()
}

struct Waits<'a> {
    now: Timestamp,
    queues: &'a BTreeMap<QueueName, QueueView>,
    shards: &'a [ShardState],
    start: Start,
}

/// The heads of one index, or of one queue and priority of it, over all shards.
#[derive(Clone, Debug, Default)]
struct Head {
    rows: u64,
    first: Option<(Timestamp, String)>,
}

impl Waits<'_> {
    fn heads(&self, wanted: impl Fn(&IndexHead) -> bool) -> Head {
        let mut sum = Head::default();
        for head in self.shards.iter().flat_map(|shard| &shard.heads) {
            if wanted(head) {
                sum.rows += head.rows;
                let job = head.first.map(|id| id.to_string()).unwrap_or_default();
                let first = (head.first_at, job);
                sum.first = Some(sum.first.take().map_or(first.clone(), |known| known.min(first)));
            }
        }
        sum
    }

    /// How late the first job of an index is, when it is too late.
    fn lateness(&self, head: &Head) -> Option<(Duration, String)> {
        let (at, job) = head.first.clone()?;
        let late = self.now.since(at);
        (late > LATE).then_some((late, job))
    }

    fn schedulers(&self, findings: &mut Vec<Finding>) {
        let missing: Vec<String> = (0..)
            .zip(self.shards)
            .filter(|(_, shard)| shard.scheduler.is_none())
            .map(|(number, _): (usize, _)| number.to_string())
            .collect();
        let why = "nobody publishes what is due, takes over what lost workers left, fires cron entries or deletes what is old";
        if missing.len() == self.shards.len() {
            findings.push(Finding::new(
                Severity::Error,
                "scheduler",
                "no scheduler runs",
                why,
                self.start.scheduler(),
            ));
        } else if !missing.is_empty() {
            findings.push(Finding::new(
                Severity::Warning,
                "scheduler",
                format!("no scheduler has shard(s) {}", missing.join(", ")),
                why,
                "look again in half a minute; if it stays so, look into the schedulers' logs",
            ));
        }
    }

    /// What is late by the time of its row. That of an outbox job is its next try to publish, which moves on with each: it
    /// is late here only once nobody tries.
    fn late(&self, findings: &mut Vec<Finding>) {
        let cases = [
            (
                Index::Outbox,
                "wait to be published",
                "no scheduler runs, or RabbitMQ does not take them",
            ),
            (
                Index::Due,
                "are due and not started",
                "no scheduler has promoted them",
            ),
            (
                Index::Running,
                "run with a lease that is over",
                "their workers are lost, and no scheduler has taken over",
            ),
            (
                Index::Edges,
                "wait for parents that nobody has verified",
                "a child whose parent is unknown is only found by the scheduler",
            ),
            (
                Index::Rel,
                "have children that nobody tells of their end",
                "the children wait",
            ),
            (
                Index::Expiring,
                "are past their time and not expired",
                "they may still start, although nobody wants them to",
            ),
            (
                Index::Dead,
                "are dead letters without a copy in the archive",
                "a loss of Redis would lose them",
            ),
        ];
        for (index, what, why) in cases {
            let head = self.heads(|head| head.index == index);
            let Some((late, job)) = self.lateness(&head) else {
                continue;
            };
            let severity = match index {
                Index::Outbox | Index::Due | Index::Running => Severity::Error,
                _ => Severity::Warning,
            };
            findings.push(Finding::new(
                severity,
                "jobs",
                format!("job(s) {what}; the first, {job}, for {}", short_time(late)),
                why,
                format!(
                    "{}; `longshore job why {job}` tells more",
                    self.start.see_to_the_scheduler()
                ),
            ));
        }
    }

    /// A job that schedulers try to publish, again and again in vain.
    fn unpublished(&self, findings: &mut Vec<Finding>) {
        let first = self.shards.iter().filter_map(|shard| shard.unpublished).min();
        let Some((since, job)) = first.filter(|(since, _)| self.now.since(*since) > LATE) else {
            return;
        };
        let is_tried = self
            .lateness(&self.heads(|head| head.index == Index::Outbox))
            .is_none();
        // Where nobody tries, that is told already.
        if !is_tried {
            return;
        }
        let waited = short_time(self.now.since(since));
        findings.push(Finding::new(
            Severity::Error,
            "jobs",
            format!("job(s) cannot be published although schedulers try; the first, {job}, has waited for {waited}"),
            "the broker refuses them or does not confirm: a queue is missing, has no leader or is full, or an alarm blocks publishers",
            format!("see what else is found of the broker; `longshore doctor --fix` makes missing queues anew; `longshore job why {job}` tells more"),
        ));
    }

    fn paused(&self, findings: &mut Vec<Finding>) {
        for (queue, view) in self
            .queues
            .iter()
            .filter(|(_, view)| view.paused && view.size() > 0)
        {
            findings.push(Finding::new(
                Severity::Notice,
                queue_subject(queue),
                format!("it is paused, and {} job(s) wait", view.size()),
                "nothing of it starts",
                format!("longshore queue resume {queue}"),
            ));
        }
    }

    /// Jobs that were published, against what the broker has.
    fn published(&self, depths: &[Depth], findings: &mut Vec<Finding>) {
        let mut lanes: BTreeMap<(QueueName, Option<Priority>), (u64, u64)> = BTreeMap::new();
        for depth in depths {
            let lane = lanes.entry((depth.queue.clone(), depth.priority)).or_default();
            *lane = (lane.0 + depth.ready, lane.1 + depth.consumers);
        }
        let heads = self.shards.iter().flat_map(|shard| &shard.heads);
        let mut waiting: Vec<_> = heads.filter_map(|head| head.queue.clone()).collect();
        waiting.sort_unstable();
        waiting.dedup();
        for (queue, priority) in waiting {
            if self.queues.get(&queue).is_some_and(|view| view.paused) {
                continue;
            }
            let lane = [Some(priority), None]
                .into_iter()
                .find_map(|of| lanes.get(&(queue.clone(), of)));
            let head = self.heads(|head| head.queue.as_ref() == Some(&(queue.clone(), priority)));
            findings.extend(self.lane(&queue, priority, &head, lane.copied()));
        }
        findings.extend(leftover::of(self.queues, depths));
    }

    /// Jobs of one queue and priority, against the messages and consumers that the broker has of them; `None` when the
    /// queue is not there. Between the two looks a message may have been on its way: what is young is no problem.
    fn lane(
        &self,
        queue: &QueueName,
        priority: Priority,
        head: &Head,
        lane: Option<(u64, u64)>,
    ) -> Option<Finding> {
        let (ready, consumers) = lane.unwrap_or_default();
        let (at, job) = head.first.clone()?;
        let age = self.now.since(at);
        let count = head.rows;
        let (severity, problem, why, fix) = match (ready, consumers) {
            (0, 0) if lane.is_none() || age > LATE => (
                Severity::Error,
                format!(
                    "{count} job(s) of priority {priority} are published and in no queue of the broker, for example {job}"
                ),
                "their messages were lost: a queue was deleted, purged, or never survived a restart",
                format!(
                    "{}: the scheduler publishes them again then",
                    self.start.consumer(queue)
                ),
            ),
            (0, _) if age > HELD => (
                Severity::Warning,
                format!(
                    "{count} job(s) of priority {priority} are published and in no queue of the broker; the first, {job}, for {}",
                    short_time(age)
                ),
                "workers hold them, or their messages were lost; the scheduler publishes lost ones again",
                format!("see what holds it: `longshore job why {job}`"),
            ),
            (_, 0) if age > LATE => (
                Severity::Warning,
                format!("{count} job(s) of priority {priority} wait and nobody consumes the queue"),
                "nothing of it starts",
                self.start.consumer(queue),
            ),
            _ => return None,
        };
        Some(Finding::new(severity, queue_subject(queue), problem, why, fix))
    }

    /// Every dead letter has its copy, but for those that the keeper has yet to write.
    fn archive(&self, archived: Option<u64>, findings: &mut Vec<Finding>) {
        let Some(archived) = archived else { return };
        let failed = |view: &QueueView| view.counts.get(&JobStatus::Failed).copied().unwrap_or(0);
        let dead: u64 = self.queues.values().map(failed).sum();
        let uncopied = self.heads(|head| head.index == Index::Dead).rows;
        let wanted = dead.saturating_sub(uncopied);
        if archived >= wanted {
            return;
        }
        findings.push(Finding::new(
            Severity::Warning,
            "dead letters",
            format!("{dead} dead letters have {archived} copies in the archive, and {uncopied} are known to have none"),
            "a loss of Redis would lose those without a copy",
            "a scheduler holds copies while it goes through the archive: look again in a minute; if it stays so, requeue or discard what `longshore dlq ls` shows",
        ));
    }
}

async fn workers(
    ports: &Ports,
    queues: &BTreeMap<QueueName, QueueView>,
    start: Start,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let workers = asked(ports.inspect.workers()).await?;
    let draining: Vec<_> = workers
        .iter()
        .filter(|worker| worker.draining)
        .map(|worker| worker.id.clone())
        .collect();
    if workers.len() == draining.len() {
        let waiting: u64 = queues.values().map(QueueView::size).sum();
        let severity = if waiting > 0 {
            Severity::Error
        } else {
            Severity::Warning
        };
        let problem = if draining.is_empty() {
            format!("no worker is live, and {waiting} job(s) wait")
        } else {
            format!(
                "every live worker drains ({}), and {waiting} job(s) wait",
                joined(&draining)
            )
        };
        findings.push(Finding::new(
            severity,
            "workers",
            problem,
            "nothing starts",
            start.worker(),
        ));
    }
    Ok(())
}

async fn quarantine(ports: &Ports, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let fill = asked(ports.checkup.quarantine_fill()).await?;
    if fill.messages == 0 {
        return Ok(());
    }
    let percent = |part: u64, most: usize| part.saturating_mul(100) / (most as u64).max(1);
    let full = percent(fill.messages, QUARANTINE_MESSAGES_MAX).max(percent(fill.bytes, QUARANTINE_BYTES_MAX));
    let severity = match full {
        100.. => Severity::Error,
        FULL_PERCENT.. => Severity::Warning,
        _ => Severity::Notice,
    };
    findings.push(Finding::new(
        severity,
        "quarantine",
        format!(
            "{} message(s) that nobody could read, {full} % of what has room",
            fill.messages
        ),
        "when it is full, further ones stay in the broker and hold others up",
        "look at them (`longshore quarantine ls`), then `longshore quarantine drop`",
    ));
    Ok(())
}
