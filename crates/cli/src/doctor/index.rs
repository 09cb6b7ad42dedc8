//! Records against their index rows, both ways, shard by shard and bite by bite.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::{ProgressBar, ProgressStyle};
use longshore_backend::checkup::{Finding, Severity};
use longshore_core::QueueName;
use longshore_core::port::Ports;
use longshore_core::port::checkup::{FaultKind, IndexFault};

use super::asked;
use super::report::Report;
use crate::failure::Failure;

/// Records or rows of one step.
const BITE: usize = 500;
/// Faults that are told apart; of more only the number is known.
const FAULTS_MAX: usize = 100_000;
/// Jobs that stand for the others of a finding.
const EXAMPLES: usize = 3;

/// Compares every shard.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn run(ports: &Ports, fix: bool, report: &mut Report) -> Result<(), Failure> {
    let queues = asked(ports.inspect.queues()).await?;
    let jobs: u64 = queues.values().flat_map(|view| view.counts.values()).sum();
    let bar = bar(jobs);
    let mut found = Found::default();
    for shard in ports.enqueue.shards().all() {
        let mut from = None;
        loop {
            let look = asked(ports.checkup.compare_index(shard, from, BITE, fix)).await?;
            found.records += look.records;
            found.rows += look.rows;
            bar.set_position(found.records);
            for fault in look.faults {
                found.add(fault);
            }
            from = look.next;
            if from.is_none() {
                break;
            }
        }
    }
    bar.finish_and_clear();
    report.compared = Some((found.records, found.rows));
    report.findings.extend(found.findings());
    Ok(())
}

/// Drawn on stderr where that is a terminal, and nowhere else.
fn bar(jobs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} records compared, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(jobs).with_style(style)
}

/// What all bites found. A fault may come twice.
#[derive(Default)]
struct Found {
    records: u64,
    rows: u64,
    faults: BTreeMap<(FaultKind, String), BTreeSet<String>>,
    kept: usize,
    more: u64,
    unrepaired: BTreeSet<(FaultKind, String)>,
}

impl Found {
    fn add(&mut self, fault: IndexFault) {
        let place = (fault.kind, family(&fault.index));
        if !fault.repaired {
            self.unrepaired.insert(place.clone());
        }
        if self.kept == FAULTS_MAX {
            self.more += 1;
            return;
        }
        if self.faults.entry(place).or_default().insert(fault.job) {
            self.kept += 1;
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<_> = self
            .faults
            .iter()
            .map(|(place, jobs)| finding(place, jobs).repaired(!self.unrepaired.contains(place)))
            .collect();
        if self.more > 0 {
            findings.push(Finding::new(
                Severity::Error,
                "index",
                format!("{} more disagreements that are not told one by one", self.more),
                "somebody has written into the store by hand, or it was restored from a torn copy",
                "run `longshore doctor --fix`, and again until nothing is found",
            ));
        }
        findings
    }
}

/// `finished:6:41` and `finished:6:42` are one index to people.
fn family(index: &str) -> String {
    let name = index.split(':').next().unwrap_or_default();
    match name {
        "finished" | "due" | "outbox" => name.to_owned(),
        _ => index.to_owned(),
    }
}

fn finding((kind, index): &(FaultKind, String), jobs: &BTreeSet<String>) -> Finding {
    let examples: Vec<&str> = jobs.iter().take(EXAMPLES).map(String::as_str).collect();
    let examples = examples.join(", ");
    let count = jobs.len();
    let fix = "`longshore doctor --fix` makes the rows follow the records";
    let (problem, why, fix) = match kind {
        FaultKind::MissingRow => (
            format!("{count} job(s) have no row in {index}, for example {examples}"),
            "who looks there does not find them: they are stuck, or are not listed",
            fix,
        ),
        FaultKind::WrongScore => (
            format!("{count} row(s) of {index} have another time than their jobs, for example {examples}"),
            "the jobs come too early or too late there",
            fix,
        ),
        FaultKind::StrayRow => (
            format!("{count} row(s) of {index} belong to no job, for example {examples}"),
            "they cost memory and make lists longer than they are",
            fix,
        ),
        FaultKind::NoEnvelope => (
            format!("{count} job(s) have lost their arguments, for example {examples}"),
            "they cannot be run",
            "cancel them (`longshore job cancel`) and enqueue them anew",
        ),
        FaultKind::Unreadable => (
            format!("{count} key(s) hold no record, for example {examples}"),
            "what was there is lost; nobody else may write into this store",
            "find out who wrote them, then delete them by hand",
        ),
    };
    let subject = if index.is_empty() { "records" } else { "index" };
    Finding::new(Severity::Error, subject, problem, why, fix)
}

/// What a queue is called in findings.
pub(super) fn queue_subject(queue: &QueueName) -> String {
    format!("queue {queue}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(index: &str, job: &str, repaired: bool) -> IndexFault {
        IndexFault {
            kind: FaultKind::MissingRow,
            index: index.to_owned(),
            job: job.to_owned(),
            repaired,
        }
    }

    #[test]
    fn faults_of_an_index_are_one_finding_and_the_same_fault_counts_once() {
        let mut found = Found::default();
        for (index, job) in [
            ("finished:6:1", "a"),
            ("finished:6:2", "b"),
            ("finished:6:1", "a"),
            ("running", "c"),
        ] {
            found.add(fault(index, job, index == "running"));
        }
        let findings = found.findings();
        assert_eq!(findings.len(), 2);
        assert!(
            findings[0]
                .problem
                .starts_with("2 job(s) have no row in finished"),
            "{findings:?}"
        );
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.repaired)
                .collect::<Vec<_>>(),
            [false, true]
        );
    }
}
