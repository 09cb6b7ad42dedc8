//! Simulations: a fleet of real clients, workers and schedulers lives hours of faults in seconds, and the history checker
//! decides whether a promise was broken. A seed is a history: the same one again is the same, line by line.
//!
//! Each seed runs in a process of its own with a library before the system's: time stands still while anybody works, and
//! randomness follows from the seed, in maps and in the runtime's choices, too. Nothing else is replaced.
//!
//! One seed with its story: `LONGSHORE_SOAK_SEED=7 cargo nextest run -p longshore-tests --test sim --no-capture hours`.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use weaker::Without;

mod fleet;
mod gate;
mod handler;
mod idle;
mod life;
mod producer;
mod storm;
mod weaker;
mod world;

/// Seeds of the default run; any others do as well.
const SEEDS: [u64; 2] = [1, 2];
/// How long faults come in it.
const STORM: u64 = 1_800;
/// Seeds of the long run, from the first of the environment or this one on.
const SOAK: u64 = 100;
const SOAK_FIRST: u64 = 1_000;
const SOAK_STORM: u64 = 3_600;
/// Seeds after which a weaker fleet must have been found out.
const WEAKER: u64 = 12;
/// What a child prints before its story.
const STORY: &str = "== story";

/// What it says of a seed in which a promise was broken, and of each such promise.
const BROKE: &str = "broke";
const WRONG: &str = "wrong: ";

/// What tells a child what to live.
const SEED: &str = "SIM_SEED";
const SECONDS: &str = "SIM_STORM_SECONDS";
const WITHOUT: &str = "SIM_WITHOUT";

/// The library that answers for the system's time and randomness; needs `cc`, as Rust does.
struct Library {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn library() -> Library {
    let folder = tempfile::tempdir().unwrap();
    let (source, path) = (folder.path().join("fixed.c"), folder.path().join("fixed.so"));
    std::fs::write(&source, include_str!("fixed.c")).unwrap();
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&path, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    Library {
        _folder: folder,
        path,
    }
}

/// A test of this program in a process of its own, whose time and randomness the library decides.
fn child(test: &str, library: &Path, seed: u64) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("LD_PRELOAD", library)
        .env(SEED, seed.to_string());
    child
}

/// One seed in a process of its own, whose time and randomness it decides.
fn simulate(library: &Path, seed: u64, seconds: u64, without: Option<Without>) -> Output {
    let mut child = child("one_seed_in_this_process", library, seed);
    child.env(SECONDS, seconds.to_string());
    if let Some(without) = without {
        child.env(WITHOUT, format!("{without:?}"));
    }
    child.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The line that sums a run up.
fn summary(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("seed "));
    line.unwrap_or("no summary").to_owned()
}

fn story(text: &str) -> &str {
    let (_, story) = text.split_once(STORY).expect("a story");
    story.split("== end").next().unwrap()
}

fn seed_of_the_environment() -> Option<u64> {
    let seed = std::env::var("LONGSHORE_SOAK_SEED").ok()?;
    Some(seed.parse().expect("LONGSHORE_SOAK_SEED is a number"))
}

/// How long faults come: as the environment says, or as long as this.
fn seconds(seconds: u64) -> u64 {
    let said = std::env::var("LONGSHORE_SOAK_SECONDS").ok();
    said.map_or(seconds, |said| {
        said.parse()
            .expect("LONGSHORE_SOAK_SECONDS is a number of seconds")
    })
}

/// Lives these seeds, some at once, and tells of those that broke a promise.
fn hold(seeds: &[u64], seconds: u64, threads: usize) {
    let (library, next, broken) = (library(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Some(told) = breaks(&library.path, *seed, seconds) {
                        eprintln!("{told}");
                        broken.lock().push(*seed);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner();
    assert!(
        broken.is_empty(),
        "seeds {broken:?} broke a promise; one again: LONGSHORE_SOAK_SEED={} LONGSHORE_SOAK_SECONDS={seconds} cargo \
         nextest run -p longshore-tests --test sim --no-capture hours",
        broken[0]
    );
}

/// What a seed tells when it breaks a promise, or when its story was asked for.
fn breaks(library: &Path, seed: u64, seconds: u64) -> Option<String> {
    let output = simulate(library, seed, seconds, None);
    let text = told(&output);
    eprintln!("{}", summary(&text));
    // A child that ran nothing succeeds as well.
    let held = output.status.success() && text.contains(STORY);
    if held && seed_of_the_environment() == Some(seed) {
        eprintln!("{text}");
    }
    (!held).then(|| format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What is wrong in a fleet without something.
fn wrongs(library: &Path, without: Without, seed: u64, seconds: u64) -> Vec<String> {
    let output = simulate(library, seed, seconds, Some(without));
    let text = told(&output);
    // A child that does nothing at all fails, too, and shows nothing.
    assert!(
        text.contains(STORY),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let wrongs = text.lines().filter_map(|line| line.strip_prefix(WRONG));
    wrongs.map(ToOwned::to_owned).collect()
}

/// The first seed that finds a weaker fleet out by what it is to be found out by, and what it says.
fn found_out(library: &Path, without: Without, seconds: u64) -> Option<(u64, String)> {
    (1..=WEAKER).find_map(|seed| {
        let wrongs = wrongs(library, without, seed, seconds);
        let shown = wrongs.into_iter().find(|wrong| shows(without, wrong));
        shown.map(|shown| (seed, shown))
    })
}

fn shows(without: Without, wrong: &str) -> bool {
    without.shows().iter().any(|what| wrong.contains(what))
}

/// Gives what each of them was found out by, and the seed.
fn are_found_out(library: &Path, weaker: &[Without], seconds: u64) -> Vec<(Without, u64)> {
    let (mut seen, mut unseen) = (Vec::new(), Vec::new());
    for without in weaker {
        match found_out(library, *without, seconds) {
            Some((seed, shown)) => {
                eprintln!("without {without:?}: seed {seed}: {shown}");
                seen.push((*without, seed));
            }
            None => unseen.push(*without),
        }
    }
    assert!(
        unseen.is_empty(),
        "no seed up to {WEAKER} shows what is wrong without {unseen:?}"
    );
    seen
}

/// The child: lives the seed of the environment and tells its story.
#[test]
#[ignore = "is what the others start, with the library"]
fn one_seed_in_this_process() {
    // Without the library this would take hours.
    let seed = std::env::var(SEED).expect("SIM_SEED: the other tests start this one, with the library");
    let seed: u64 = seed.parse().unwrap();
    let storm = Duration::from_secs(std::env::var(SECONDS).unwrap().parse().unwrap());
    let without = std::env::var(WITHOUT).ok();
    let without = without.map(|name| Without::named(&name).expect("a weakness"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lived = tokio::task::LocalSet::new().block_on(&runtime, Box::pin(life::live(seed, without, storm)));
    let wrong = lived.wrong();
    let how = if wrong.is_empty() { "held" } else { BROKE };
    let verdict = lived.verdict.to_string();
    let first = verdict.lines().next().unwrap_or_default();
    println!(
        "\nseed {seed} {how}: {:?} simulated, {} faults, {} ticks: {first}{}",
        lived.simulated,
        lived.faults,
        lived.ticks,
        wrong.first().map(|what| format!("; {what}")).unwrap_or_default()
    );
    for what in &wrong {
        println!("{WRONG}{what}");
    }
    println!("{STORY}\n{}== end", lived.story);
    assert!(wrong.is_empty(), "seed {seed}: {verdict}\n{}", wrong.join("\n"));
    let acknowledged = lived.verdict.acknowledged;
    assert!(acknowledged > 100, "{acknowledged} jobs");
    assert!(lived.ticks > 2, "{} ticks", lived.ticks);
}

/// The child of the next test.
#[test]
#[ignore = "is what the next test starts, with the library"]
fn two_workers_in_this_process() {
    std::env::var(SEED).expect("SIM_SEED: another test starts this one, with the library");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let seen = tokio::task::LocalSet::new().block_on(&runtime, Box::pin(idle::seen()));
    println!("{STORY}\n{seen:?}\n== end");
    seen.check();
}

#[test]
fn an_idle_worker_gets_what_another_holds_within_a_moment_and_nobody_asks_in_vain() {
    let output = child("two_workers_in_this_process", &library().path, 1)
        .output()
        .unwrap();
    let text = told(&output);
    let held = output.status.success() && text.contains(STORY);
    assert!(held, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{}", story(&text).trim());
}

#[test]
fn hours_of_faults_break_no_promise() {
    match seed_of_the_environment() {
        Some(seed) => hold(&[seed], seconds(STORM), 1),
        None => hold(&SEEDS, STORM, 1),
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let library = library();
    let [one, again, other] = [11, 11, 12].map(|seed| told(&simulate(&library.path, seed, 600, None)));
    let differ = story(&one)
        .lines()
        .zip(story(&again).lines())
        .position(|(one, again)| one != again);
    assert_eq!(differ, None, "the line where two runs of one seed part");
    assert_eq!(story(&one).len(), story(&again).len());
    assert_ne!(story(&one), story(&other));
}

#[test]
fn a_fleet_that_lacks_a_safety_is_found_out() {
    are_found_out(&library().path, &[Without::Owner, Without::Outbox], STORM);
}

#[test]
#[ignore = "takes minutes: scripts/test soak"]
fn soak_simulations_of_many_seeds_break_no_promise() {
    let first = seed_of_the_environment().unwrap_or(SOAK_FIRST);
    let seeds: Vec<u64> = (first..first + SOAK).collect();
    hold(&seeds, seconds(SOAK_STORM), 2);
}

#[test]
#[ignore = "takes minutes: scripts/test soak"]
fn soak_simulations_find_every_weaker_fleet_out() {
    let library = library();
    let found = are_found_out(&library.path, &Without::ALL, SOAK_STORM);
    // A whole fleet, judged as soon, shows none of it.
    let seeds: BTreeSet<u64> = found.iter().map(|(_, seed)| *seed).collect();
    for seed in seeds {
        let wrongs = wrongs(&library.path, Without::Nothing, seed, SOAK_STORM);
        for (without, _) in found.iter().filter(|(_, of)| *of == seed) {
            let shown: Vec<_> = wrongs.iter().filter(|wrong| shows(*without, wrong)).collect();
            assert!(shown.is_empty(), "a whole fleet, seed {seed}: {shown:?}");
        }
    }
}
