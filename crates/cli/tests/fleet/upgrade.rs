//! Processes of two builds on the same servers, in the order that docs/guide/deploying.md gives, and back again.
//! `scripts/test upgrade` builds the other build and says where both are.

use std::path::PathBuf;
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::process::Fleet;

/// How long a step may take.
const LONG: Duration = Duration::from_secs(120);

/// A build, as the stage names it.
fn build(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("{variable} names no binary: run `scripts/test upgrade`"));
    assert!(path.is_file(), "{variable}: {} is no file", path.display());
    path
}

/// Both builds on the same servers, and what they have done so far.
struct Mixed {
    old: Fleet,
    new: Fleet,
    jobs: Vec<String>,
}

impl Mixed {
    async fn start() -> Self {
        let (old, new) = (build("UPGRADE_OLD_BINARY"), build("UPGRADE_NEW_BINARY"));
        let mut fleet = Fleet::on_shared_servers("quorum").await;
        fleet.env([
            (
                "LONGSHORE_WORKER__COMMANDS__SLOW__PROGRAM".to_owned(),
                "/bin/sleep".to_owned(),
            ),
            (
                "LONGSHORE_WORKER__COMMANDS__SLOW__ARGS".to_owned(),
                "0.2".to_owned(),
            ),
            (
                "LONGSHORE_WORKER__COMMANDS__QUICK__PROGRAM".to_owned(),
                "/bin/true".to_owned(),
            ),
        ]);
        let beside = fleet.beside(new);
        fleet.of_build(old);
        Self {
            old: fleet,
            new: beside,
            jobs: Vec::new(),
        }
    }

    /// Jobs of every kind from one build: quick and slow, later, and a child of another.
    async fn produce(&mut self, with: Build) {
        let fleet = self.fleet(with);
        let mut made = Vec::new();
        for function in ["quick", "slow", "quick", "slow"] {
            made.push(enqueue(fleet, &[function]).await);
        }
        made.push(enqueue(fleet, &["quick", "--in", "1s"]).await);
        let parent = made.first().unwrap().clone();
        made.push(enqueue(fleet, &["slow", "--depends-on", &parent, "--priority", "high"]).await);
        self.jobs.extend(made);
    }

    const fn fleet(&self, of: Build) -> &Fleet {
        match of {
            Build::Old => &self.old,
            Build::New => &self.new,
        }
    }

    /// Everything so far is done, each with one attempt.
    async fn is_done(&self, when: &str) {
        let what = format!("{when}: every job is done");
        eventually(LONG, &what, || async {
            let jobs = self.new.jobs(&["--limit", "1000"]).await;
            let open: Vec<_> = jobs
                .into_iter()
                .filter(|job| job["status"] != "completed")
                .collect();
            if open.is_empty() {
                Ok(())
            } else {
                Err(format!("{open:?}"))
            }
        })
        .await
        .unwrap();
        let jobs = self.new.jobs(&["--limit", "1000"]).await;
        assert_eq!(jobs.len(), self.jobs.len(), "{when}");
        for job in jobs {
            assert_eq!(job["attempts"], 1, "{when}: {job}");
        }
    }

    /// Nothing is amiss, as the newer build sees it.
    async fn is_sound(&self) {
        let aside = self.new.run(&["quarantine", "ls", "-o", "json"]).await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&aside).unwrap(),
            serde_json::json!([])
        );
        let dead = self.new.run(&["dlq", "ls", "-o", "json"]).await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&dead).unwrap(),
            serde_json::json!([])
        );
        // It ends with an error when it finds one.
        self.new.run(&["doctor"]).await.unwrap();
    }
}

#[derive(Clone, Copy)]
enum Build {
    Old,
    New,
}

async fn enqueue(fleet: &Fleet, args: &[&str]) -> String {
    let args = [&["enqueue", "-o", "json"], args].concat();
    let said: Value = serde_json::from_str(&fleet.run(&args).await.unwrap()).unwrap();
    said["id"].as_str().unwrap().to_owned()
}

async fn end(process: Proc) {
    process.term();
    let status = process.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
}

/// Schedulers, then workers, then producers; then all the way back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two builds: scripts/test upgrade"]
async fn upgrade_in_the_documented_order_and_back_loses_nothing_and_runs_nothing_twice() {
    let mut mixed = Mixed::start().await;
    let old_scheduler = mixed.old.start(&["scheduler"]);
    let old_worker = mixed.old.start(&["worker"]);
    mixed.produce(Build::Old).await;

    let new_scheduler = mixed.new.start(&["scheduler"]);
    mixed.produce(Build::Old).await;
    end(old_scheduler).await;
    let new_worker = mixed.new.start(&["worker"]);
    mixed.produce(Build::Old).await;
    mixed
        .is_done("workers of both builds, producers of the old one")
        .await;
    mixed.produce(Build::New).await;
    mixed.produce(Build::Old).await;
    mixed.is_done("everything of both builds").await;
    mixed.produce(Build::New).await;
    end(old_worker).await;
    mixed.is_done("the old build has gone").await;
    mixed.is_sound().await;

    // Back: producers first, then workers, then schedulers.
    let old_worker = mixed.old.start(&["worker"]);
    mixed.produce(Build::Old).await;
    end(new_worker).await;
    let old_scheduler = mixed.old.start(&["scheduler"]);
    mixed.produce(Build::Old).await;
    end(new_scheduler).await;
    mixed.produce(Build::Old).await;
    mixed.is_done("the new build has gone again").await;
    mixed.is_sound().await;
    for process in [old_worker, old_scheduler] {
        end(process).await;
    }
}

/// The wrong order: producers of the new build before there is a worker that reads what they write. The jobs wait, burn no
/// attempt, and run as soon as there is one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two builds: scripts/test upgrade"]
async fn upgrade_of_producers_first_makes_jobs_wait_and_loses_none() {
    let mut mixed = Mixed::start().await;
    let _scheduler = mixed.old.start(&["scheduler"]);
    let old_worker = mixed.old.start(&["worker"]);
    mixed.produce(Build::New).await;
    mixed.produce(Build::Old).await;
    let of_old: Vec<_> = mixed.jobs.split_off(mixed.jobs.len() / 2);
    eventually(LONG, "what the old build reads is done", || async {
        let mut open = Vec::new();
        for id in &of_old {
            let job = mixed.new.job(id).await;
            if job["status"] != "completed" {
                open.push(job);
            }
        }
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("{open:?}"))
        }
    })
    .await
    .unwrap();
    mixed.jobs.extend(of_old);
    let _new_worker = mixed.new.start(&["worker"]);
    mixed.is_done("a worker of the new build has come").await;
    mixed.is_sound().await;
    end(old_worker).await;
}
