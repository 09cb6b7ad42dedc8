//! Three schedulers with the same cron entries on real servers, one of them killed during a fire: one job a tick.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use longshore_core::{Clock, SystemClock};
use longshore_testkit::wait::eventually;

use super::LONG;
use super::process::Fleet;

/// Entries: enough that a fire of all of them takes longer than the moment at which the scheduler is killed.
const ENTRIES: usize = 40;
/// Milliseconds from tick to tick.
const EVERY: u64 = 2_000;

fn config() -> String {
    let mut text = String::from("[scheduler.intervals]\nfire_cron = \"10ms\"\n");
    for number in 0..ENTRIES {
        writeln!(
            text,
            "[cron.entry-{number:02}]\nexpression = \"*/2 * * * * *\"\nfunction = \"echo\"\nargs = \"{number}\""
        )
        .unwrap();
    }
    text
}

/// The ticks of every entry's jobs, which their ids carry.
async fn ticks(fleet: &Fleet) -> BTreeMap<String, Vec<u64>> {
    let mut ticks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for job in fleet.jobs(&["--limit", "50000"]).await {
        let tag = job["tags"][0].as_str().unwrap().to_owned();
        let id = job["id"].as_str().unwrap().replace('-', "");
        ticks
            .entry(tag)
            .or_default()
            .push(u64::from_str_radix(&id[..12], 16).unwrap());
    }
    ticks
}

async fn have_ticks_after(fleet: &Fleet, moment: u64, count: usize) -> bool {
    let ticks = ticks(fleet).await;
    let enough = |ticks: &Vec<u64>| ticks.iter().filter(|tick| **tick > moment).count() >= count;
    ticks.len() == ENTRIES && ticks.values().all(enough)
}

/// Waits until just after the next tick of all entries: their fire is under way.
async fn during_a_fire() -> u64 {
    let now = SystemClock.now().millis();
    let tick = now / EVERY * EVERY + EVERY;
    tokio::time::sleep(Duration::from_millis(tick + 12 - now)).await;
    tick
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_three_schedulers_one_killed_during_a_fire_make_one_job_a_tick() {
    let fleet = Fleet::on_shared_servers("quorum").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("longshore.toml");
    std::fs::write(&file, config()).unwrap();
    let file = file.to_str().unwrap();
    let _worker = fleet.start(&[
        "worker",
        "--max-workers",
        "16",
        "--set",
        "worker.commands.echo.program=cat",
    ]);
    let mut schedulers: Vec<_> = (0..3)
        .map(|_| fleet.start(&["scheduler", "--config", file]))
        .collect();
    eventually(LONG, "every entry has ticked", || async {
        have_ticks_after(&fleet, 0, 2).await
    })
    .await
    .unwrap();

    let killed = during_a_fire().await;
    schedulers.remove(0).kill9();
    eventually(LONG, "every entry ticks on", || async {
        have_ticks_after(&fleet, killed, 4).await
    })
    .await
    .unwrap();
    let names: Vec<String> = (0..ENTRIES).map(|number| format!("entry-{number:02}")).collect();
    let pause: Vec<&str> = ["cron", "pause"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    fleet.run(&pause).await.unwrap();

    for (entry, mut ticks) in ticks(&fleet).await {
        ticks.sort_unstable();
        let (first, last) = (ticks[0], *ticks.last().unwrap());
        assert!(first < killed && killed < last, "{entry}");
        let expected: Vec<_> = (first..=last).step_by(usize::try_from(EVERY).unwrap()).collect();
        assert_eq!(ticks, expected, "{entry}: one job for every tick");
    }
    let odd = || async {
        let mut jobs = fleet.jobs(&["--limit", "50000"]).await;
        jobs.retain(|job| job["status"] != "completed" || job["attempts"] != 1);
        jobs
    };
    let all_done = || async { odd().await.is_empty() };
    let waited = eventually(LONG, "every job has run once", all_done).await;
    assert!(waited.is_ok(), "{:#?}", odd().await);
}
