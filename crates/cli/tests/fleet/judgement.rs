//! What a fleet comes to: its history, its indexes, its counters, and what the broker and the outbox still have.

use longshore_core::{JobId, JobStatus};
use longshore_testkit::history::{Event, Final, History, Ties, Verdict};
use longshore_testkit::process::Proc;
use longshore_testkit::wait::eventually;
use serde_json::Value;
use tokio::time::Instant;

use crate::scene::{REST, Scene, id_of};

/// Rows of all outboxes.
const OUTBOX: &str = "local rows = 0
    for shard = 0, 3 do rows = rows + redis.call('ZCARD', string.format('{s%02d}:outbox', shard)) end
    return rows";

impl Scene {
    /// Waits until the fleet has come to rest, and decides. `healed` is when the fault was over.
    pub(crate) async fn judge(&self, healed: Instant, ties: &Ties) -> Verdict {
        let verdict = self.judge_jobs(healed, ties).await;
        self.indexes_agree();
        verdict
    }

    /// The same of jobs alone.
    pub(crate) async fn judge_jobs(&self, healed: Instant, ties: &Ties) -> Verdict {
        // What does not end is judged with everything else.
        let rest = eventually(REST, "every job has ended", || self.at_rest()).await;
        let recovery = healed.elapsed().as_secs_f64();
        let verdict = self.verdict(ties);
        eprintln!(
            "figures: seed={} acknowledged={} starts={} lost={} doubled={} excused={} recovery={recovery:.1}",
            self.seed,
            verdict.acknowledged,
            verdict.starts,
            verdict.lost(),
            verdict.doubled(),
            verdict.excused,
        );
        rest.unwrap_or_else(|error| panic!("{error}\n{verdict}"));
        assert_eq!(verdict.violations, [], "{verdict}");
        verdict
    }

    /// Judges a fleet on its way out, after [`Scene::judge`]: nothing is left to do, these processes end when they are told
    /// to, with whatever they still had to tell, and by then every job has ended once.
    pub(crate) async fn end(&self, processes: impl IntoIterator<Item = Proc>, ties: &Ties) {
        self.nothing_is_left().await;
        let processes: Vec<_> = processes.into_iter().collect();
        processes.iter().for_each(Proc::term);
        for process in processes {
            let status = process.wait(REST).await.unwrap();
            assert!(status.success(), "{status}: {}", process.log_tail());
        }
        let known = self.looked().await;
        let verdict = self.verdict(ties);
        assert_eq!(verdict.violations, [], "{verdict}");
        let again = |event: &Event| matches!(event, Event::StoreWentBack | Event::Requeued);
        if !self.history().by_job().values().flatten().any(again) {
            self.ends_were_counted_once(&known).await;
            self.results_are_of_the_last_start(&known).await;
        }
        self.indexes_agree();
    }

    /// Neither the outbox nor the broker has anything of jobs that have ended.
    pub(crate) async fn nothing_is_left(&self) {
        eventually(REST, "outbox and queues are empty", || async {
            let rows = self.fleet.redis_cli(&["EVAL", OUTBOX, "0"]).await;
            let messages = self.fleet.messages().await;
            match (rows.as_deref(), &messages) {
                (Ok("0"), Ok(0)) => Ok(()),
                _ => Err(format!("{rows:?} rows, {messages:?} messages")),
            }
        })
        .await
        .unwrap();
    }

    /// Where no worker was hurt and no job handed back: every job has started once, and once more for each retry.
    pub(crate) async fn nothing_started_twice(&self) {
        let known = self.looked().await;
        let by_job = self.history().by_job();
        for job in &known {
            let events = &by_job[&id_of(job)];
            let starts = events
                .iter()
                .filter(|event| matches!(event, Event::Started { .. }))
                .count();
            let retries = job["retries"].as_u64().unwrap();
            assert_eq!(starts as u64, 1 + retries, "{job}: {events:?}");
        }
    }

    /// Every record has its rows, and every row its record.
    pub(crate) fn indexes_agree(&self) {
        let findings = self.findings(&[]);
        let of_indexes: Vec<_> = findings
            .iter()
            .filter(|finding| finding["subject"] == "index")
            .collect();
        assert!(of_indexes.is_empty(), "{of_indexes:?}");
    }

    /// What the doctor finds.
    pub(crate) fn findings(&self, options: &[&str]) -> Vec<Value> {
        let args = [&["doctor", "-o", "json"], options].concat();
        let output = self.fleet.command(&args).output().unwrap();
        let mut said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert!(!said["compared"].is_null(), "{said}");
        serde_json::from_value(said["findings"].take()).unwrap()
    }

    /// Ends are counted in the step that accepts them: a job that ended twice is counted twice, however its record looks
    /// by now. Where the store went back in time, or a person queued jobs again, this says nothing.
    async fn ends_were_counted_once(&self, known: &[Value]) {
        let stats = self
            .fleet
            .run(&["stats", "-o", "json", "--window", "7d"])
            .await
            .unwrap();
        let stats: Value = serde_json::from_str(&stats).unwrap();
        let counted: u64 = ["completed", "failed", "cancelled", "expired"]
            .iter()
            .map(|end| stats["total"][end].as_u64().unwrap())
            .sum();
        assert_eq!(counted, known.len() as u64, "jobs have ended: {}", stats["total"]);
    }

    /// A result is of a start that this job had, and of the last one: an end of an earlier one was nobody's any more.
    async fn results_are_of_the_last_start(&self, known: &[Value]) {
        let by_job = self.history().by_job();
        let completed = JobStatus::Completed.as_str();
        for job in known.iter().filter(|job| job["status"] == completed) {
            let events = &by_job[&id_of(job)];
            let fences = events.iter().filter_map(|event| match event {
                Event::Started { fence, .. } => Some(*fence),
                _ => None,
            });
            let shown = self.fleet.job(job["id"].as_str().unwrap()).await;
            if let Some(fence) = shown["result"].as_u64() {
                assert_eq!(Some(fence), fences.max(), "{shown}: {events:?}");
            }
        }
    }

    fn history(&self) -> History {
        let history = History::default();
        history
            .read(&std::fs::read_to_string(&self.history).unwrap())
            .unwrap();
        history
    }

    /// What the history shows so far.
    pub(crate) fn verdict(&self, ties: &Ties) -> Verdict {
        let history = self.history();
        let (events, excused) = (history.by_job(), self.excused.lock());
        let ends = |job: JobId| {
            let seen = events[&job].iter().rev().find_map(|event| match event {
                Event::Seen { status, .. } => Some(*status),
                _ => None,
            });
            Final {
                excused: excused.contains(&job),
                ..Final::of(seen)
            }
        };
        history.check(ends, ties)
    }
}
