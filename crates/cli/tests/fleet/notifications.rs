//! Notifications across kills of the scheduler, on real servers, to a real mail server and a real HTTP receiver: nobody
//! misses one, and one comes twice only with the same id and only when the kill fell between acceptance and mark.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::servers::{Answer, MailOptions, MailServer, Receiver};
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::LONG;
use super::process::Fleet;
use super::scene::ended_at_its_point;

/// Words that make errors of different groups.
const GROUPS: [&str; 6] = ["valve", "pump", "rotor", "gasket", "piston", "bearing"];

struct Rig {
    fleet: Fleet,
    mail: MailServer,
    hook: Receiver,
    config: PathBuf,
    _folder: tempfile::TempDir,
    _worker: Proc,
}

impl Rig {
    async fn start() -> Self {
        let fleet = Fleet::on_shared_servers("quorum").await;
        let mail = MailServer::start(MailOptions::default()).await.unwrap();
        let hook = Receiver::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("longshore.toml");
        let text = format!(
            r#"
            [worker.commands.fails]
            program = "sh"
            args = ["-c", "tr -d '\"' >&2; exit 1"]
            [scheduler.intervals]
            send_notifications = "50ms"
            lease_shards = "200ms"
            [notify]
            group_wait = "0s"
            group_interval = "0s"
            letters_per_hour = 10000
            send_timeout = "2s"
            [notify.email.ops]
            host = "127.0.0.1"
            port = {}
            tls = "none"
            from = "jobs@example.com"
            to = ["admin@example.com"]
            [notify.webhook.hook]
            url = "{}"
            secret = "planted-s3cret"
            allow_addresses = ["127.0.0.1"]
            "#,
            mail.port(),
            hook.url("/planted-t0ken"),
        );
        std::fs::write(&config, text).unwrap();
        let worker = fleet.start(&["worker", "--config", config.to_str().unwrap()]);
        Self {
            fleet,
            mail,
            hook,
            config,
            _folder: folder,
            _worker: worker,
        }
    }

    /// Starts a scheduler and waits until it wants notices.
    async fn scheduler(&self) -> Proc {
        let scheduler = self
            .fleet
            .start(&["scheduler", "--config", self.config.to_str().unwrap()]);
        eventually(LONG, "the scheduler runs", || async {
            scheduler.log_text().contains("scheduler started")
        })
        .await
        .unwrap();
        scheduler
    }

    /// One job that dies of this.
    async fn die_of(&self, word: &str) -> String {
        let args = format!("\"the {word} broke\"");
        let made = ["enqueue", "fails", &args, "--max-retries", "0", "-o", "json"];
        let made: Value = serde_json::from_str(&self.fleet.run(&made).await.unwrap()).unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Every letter that the webhook has accepted: its id and body, in order.
    fn posts(&self) -> Vec<(String, Value)> {
        let received = self.hook.received();
        let post = |request: &longshore_testkit::servers::Received| {
            let id = request
                .header("webhook-id")
                .unwrap()
                .trim_start_matches("msg_")
                .to_owned();
            (id, serde_json::from_slice(&request.body).unwrap())
        };
        received.iter().map(post).collect()
    }

    /// Every mail that was accepted: its id and text, in order.
    fn mails(&self) -> Vec<(String, String)> {
        let id = |mail: &longshore_testkit::servers::Mail| {
            let id = mail.header("Message-ID").unwrap();
            id.trim_start_matches('<').split('@').next().unwrap().to_owned()
        };
        self.mail
            .mails()
            .unwrap()
            .iter()
            .map(|mail| (id(mail), mail.text.clone()))
            .collect()
    }

    /// Dead letters that the webhook was told of, each letter counted once.
    fn posted_events(&self) -> u64 {
        let letters: BTreeMap<_, _> = self.posts().into_iter().collect();
        letters
            .values()
            .map(|body| body["data"]["count"].as_u64().unwrap())
            .sum()
    }

    /// The same of the mails.
    fn mailed_events(&self) -> u64 {
        let letters: BTreeMap<_, _> = self.mails().into_iter().collect();
        letters.values().map(|text| count_in(text)).sum()
    }
}

/// "Subject: [longshore] 3 dead letters: …"
fn count_in(mail: &str) -> u64 {
    let subject = mail.lines().find(|line| line.starts_with("Subject: ")).unwrap();
    subject.split(' ').nth(2).unwrap().parse().unwrap()
}

/// A letter that came twice says the same each time, and no process has marked it between: only one says "sent".
fn assert_honest<T: PartialEq + std::fmt::Debug>(letters: &[(String, T)], logs: &str, twice_max: usize) {
    let mut known: BTreeMap<&str, &T> = BTreeMap::new();
    let mut twice = 0;
    for (id, letter) in letters {
        if let Some(before) = known.insert(id, letter) {
            assert_eq!(before, letter, "{id} came again and says something else");
            twice += 1;
        }
        let marks = logs
            .lines()
            .filter(|line| line.contains("notification sent") && line.contains(id.as_str()));
        assert!(marks.count() <= 1, "{id} was marked twice");
    }
    assert!(twice <= twice_max, "{twice} came again");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_every_death_is_told_across_kills_of_the_scheduler() {
    let rig = Rig::start().await;
    let first = rig.scheduler().await;
    wait_until_wanted(&rig).await;
    let (told_before, jobs_before) = (
        rig.posted_events(),
        rig.fleet.jobs(&["--limit", "1000"]).await.len(),
    );
    first.kill9();
    let mut logs = first.log_text();
    let kills = 5;
    for round in 0..kills {
        let scheduler = rig.scheduler().await;
        // At another moment of its work in each round. Counted from here: it may send while jobs still die.
        let some = rig.posts().len() + round;
        for word in GROUPS {
            rig.die_of(word).await;
        }
        eventually(LONG, "some letters", || async { rig.posts().len() > some })
            .await
            .unwrap();
        scheduler.kill9();
        logs += &scheduler.log_text();
        // Somebody dies while no scheduler is there.
        rig.die_of("fuse").await;
    }
    let last = rig.scheduler().await;
    let jobs = rig.fleet.jobs(&["--limit", "1000"]).await.len();
    let deaths = (jobs - jobs_before) as u64;
    assert_eq!(deaths, (kills * (GROUPS.len() + 1)) as u64);
    eventually(LONG, "every death is told by both channels", || async {
        let (posted, mailed) = (
            rig.posted_events() - told_before,
            rig.mailed_events() - told_before,
        );
        if (posted, mailed) == (deaths, deaths) {
            Ok(())
        } else {
            Err(format!("{posted} by webhook and {mailed} by mail of {deaths}"))
        }
    })
    .await
    .unwrap();
    wait_until_idle(&rig).await;
    logs += &last.log_text();
    // A kill may hit as many letters as are sent at once.
    assert_honest(&rig.posts(), &logs, kills * 4);
    assert_honest(&rig.mails(), &logs, kills * 4);
    assert!(!logs.contains("planted-"), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_after_a_letter_sends_it_again_with_its_id() {
    let rig = Rig::start().await;
    let scheduler = rig.scheduler().await;
    wait_until_wanted(&rig).await;
    scheduler.kill9();
    let mut logs = scheduler.log_text();
    let args = ["scheduler", "--config", rig.config.to_str().unwrap()];
    let dying = rig.fleet.start_until("after-letter", &args);
    let job = rig.die_of("valve").await;
    ended_at_its_point(&dying).await;
    logs += &dying.log_text();
    let healed = tokio::time::Instant::now();
    let last = rig.scheduler().await;
    let told = || async {
        rig.posts()
            .iter()
            .any(|(_, body)| body.to_string().contains(&job))
            && rig
                .mails()
                .iter()
                .any(|(_, text)| text.contains("the valve broke"))
    };
    eventually(LONG, "both channels tell of it", told).await.unwrap();
    wait_until_idle(&rig).await;
    let recovery = healed.elapsed().as_secs_f64();
    logs += &last.log_text();
    // One letter was accepted and not marked: only that one may have come twice, and it says the same.
    assert_honest(&rig.posts(), &logs, 1);
    assert_honest(&rig.mails(), &logs, 1);
    let (posts, mails) = (rig.posts().len(), rig.mails().len());
    let once: (BTreeMap<_, _>, BTreeMap<_, _>) = (
        rig.posts().into_iter().collect(),
        rig.mails().into_iter().collect(),
    );
    assert!(
        posts > once.0.len() || mails > once.1.len(),
        "the letter that was not marked has not come again"
    );
    // Letters are counted here, and no jobs.
    eprintln!("figures: recovery={recovery:.1}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_kill_between_acceptance_and_mark_sends_the_same_letter_again() {
    let rig = Rig::start().await;
    let scheduler = rig.scheduler().await;
    wait_until_wanted(&rig).await;
    // The letters of this death: one of an earlier death may still be on its way.
    let posts = || -> Vec<_> {
        let all = rig.posts().into_iter();
        all.filter(|(_, body)| body.to_string().contains("the valve broke"))
            .collect()
    };
    let mails = || -> Vec<_> {
        let all = rig.mails().into_iter();
        all.filter(|(_, text)| text.contains("the valve broke")).collect()
    };
    // Both have the letter and do not say so.
    rig.hook.answer(Answer::Hold);
    rig.mail.begin("hold").unwrap();
    let job = rig.die_of("valve").await;
    eventually(LONG, "both have it", || async {
        !posts().is_empty() && !mails().is_empty()
    })
    .await
    .unwrap();
    scheduler.kill9();
    rig.hook.answer(Answer::status(200));
    rig.mail.end("hold").unwrap();
    let again = rig.scheduler().await;
    eventually(LONG, "both have it again", || async {
        posts().len() > 1 && mails().len() > 1
    })
    .await
    .unwrap();
    let (posts, mails) = (posts(), mails());
    assert_eq!(posts[0], posts[1]);
    assert_eq!(mails[0], mails[1]);
    assert_eq!(posts[0].1["data"]["samples"][0]["job_id"], Value::from(job));
    // And a kill before acceptance sends it once.
    rig.hook.answer(Answer::status(503));
    rig.mail.begin("refuse").unwrap();
    rig.die_of("pump").await;
    eventually(LONG, "both were tried", || async {
        again.log_text().matches("a notification was not taken").count() >= 2
    })
    .await
    .unwrap();
    again.kill9();
    let refused = rig.posts().len();
    rig.hook.answer(Answer::status(200));
    rig.mail.end("refuse").unwrap();
    let _last = rig.scheduler().await;
    let pump = |text: &String| text.contains("the pump broke");
    eventually(LONG, "both took it", || async {
        rig.posts().len() > refused && rig.mails().iter().any(|(_, text)| pump(text))
    })
    .await
    .unwrap();
    wait_until_idle(&rig).await;
    assert_eq!(rig.posts().len(), refused + 1);
    assert_eq!(
        rig.posts()[refused].0,
        rig.posts()[refused - 1].0,
        "every try has the same id"
    );
    assert_eq!(rig.mails().iter().filter(|(_, text)| pump(text)).count(), 1);
}

/// Kills jobs until the first death is told.
async fn wait_until_wanted(rig: &Rig) {
    eventually(LONG, "a first letter", || async {
        rig.die_of("first").await;
        !rig.posts().is_empty()
    })
    .await
    .unwrap();
    wait_until_idle(rig).await;
}

/// Nothing waits: every death is told.
async fn wait_until_idle(rig: &Rig) {
    let idle = || async {
        let jobs = rig.fleet.jobs(&["--limit", "1000"]).await;
        let all_dead = jobs.iter().all(|job| job["status"] == "failed");
        let channels = rig.fleet.run(&["notify", "ls", "-o", "json"]).await.unwrap();
        let channels: Value = serde_json::from_str(&channels).unwrap();
        let waits = |channel: &Value| channel["waiting"] != 0;
        let table = rig.fleet.run(&["notify", "ls"]).await.unwrap();
        all_dead
            && !channels.as_array().unwrap().iter().any(waits)
            && !table.contains("in no notification yet")
    };
    eventually(LONG, "nothing waits", idle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_is_killed_is_told_of_and_one_that_leaves_is_not() {
    let rig = Rig::start().await;
    let _scheduler = rig.scheduler().await;
    wait_until_wanted(&rig).await;
    let config = rig.config.to_str().unwrap();
    let workers = [
        rig.fleet.start(&["worker", "--config", config]),
        rig.fleet.start(&["worker", "--config", config]),
    ];
    let pids: Vec<u64> = workers.iter().map(|worker| u64::from(worker.pid())).collect();
    let listed = || async {
        let live = rig.fleet.run(&["worker", "ls", "-o", "json"]).await.unwrap();
        let live: Value = serde_json::from_str(&live).unwrap();
        let id = |pid: u64| {
            let worker = live
                .as_array()
                .unwrap()
                .iter()
                .find(|worker| worker["pid"] == pid)?;
            worker["id"].as_str().map(str::to_owned)
        };
        pids.iter().map(|pid| id(*pid)).collect::<Option<Vec<_>>>()
    };
    let ids = eventually(LONG, "both workers are live", listed).await.unwrap();
    // The scheduler looks at the workers every five seconds; it must have seen both.
    tokio::time::sleep(Duration::from_secs(7)).await;
    workers[0].term();
    workers[0].wait(LONG).await.unwrap();
    workers[1].kill9();
    let told = || async {
        let lost =
            |(_, body): &(String, Value)| body["data"]["subject"]["worker"].as_str().map(str::to_owned);
        rig.posts().iter().find_map(lost)
    };
    let lost = eventually(LONG, "the lost worker is told of", told)
        .await
        .unwrap();
    assert_eq!(lost, ids[1]);
    let of_the_other = rig
        .posts()
        .iter()
        .any(|(_, body)| body.to_string().contains(&ids[0]));
    assert!(!of_the_other, "it said goodbye");
}
