//! Simulations: a fleet of real clients, workers and schedulers lives hours of faults in seconds, and the history checker
//! decides whether a promise was broken. A seed is a history: the same one again is the same, line by line.
//!
//! Each seed runs in a process of its own with a library before the system's: time stands still while anybody works, and
//! randomness follows from the seed, in maps and in the runtime's choices, too. Nothing else is replaced.
//!
//! One seed with its story: `LONGSHORE_SIM_SEED=7 cargo nextest run -p longshore-tests --test sim --no-capture hours`.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

mod faulty;
mod fleet;
mod world;

/// Seeds of the default run; any others do as well.
const SEEDS: std::ops::Range<u64> = 1..4;
/// Seeds of the long run.
const SOAK: u64 = 300;
/// What a child prints before its story.
const STORY: &str = "== story";

/// What tells a child its seed.
const CHILD: &str = "LONGSHORE_SIM_CHILD";

/// The library that answers for the system's time and randomness; needs `cc`, as Rust does.
fn library(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("fixed.c"), folder.join("fixed.so"));
    std::fs::write(&source, include_str!("fixed.c")).unwrap();
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    library
}

/// One seed in a process of its own, whose randomness it decides.
fn simulate(library: &Path, seed: u64) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "one_seed_in_this_process",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("LD_PRELOAD", library)
        .env(CHILD, seed.to_string())
        .output()
        .unwrap()
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

fn hold(seeds: impl Iterator<Item = u64>) {
    let picked: Option<u64> = std::env::var("LONGSHORE_SIM_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let seeds: Vec<_> = picked.map_or_else(|| seeds.collect(), |seed| vec![seed]);
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let mut broken = Vec::new();
    for seed in seeds {
        let output = simulate(&library, seed);
        eprintln!("{}", summary(&told(&output)));
        // A child that ran nothing succeeds as well.
        let held = output.status.success() && told(&output).contains(STORY);
        if picked.is_some() || !held {
            eprintln!("{}\n{}", told(&output), String::from_utf8_lossy(&output.stderr));
        }
        if !held {
            broken.push(seed);
        }
    }
    assert!(
        broken.is_empty(),
        "seeds {broken:?} broke a promise; one again: LONGSHORE_SIM_SEED={} cargo nextest run -p longshore-tests \
         --test sim --no-capture hours",
        broken[0]
    );
}

/// The child: lives the seed of the environment and tells its story.
#[test]
#[ignore = "is what the others start, with the library"]
fn one_seed_in_this_process() {
    // Without the library this would take hours.
    let Ok(seed) = std::env::var(CHILD) else { return };
    let seed: u64 = seed.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ran = tokio::task::LocalSet::new().block_on(&runtime, fleet::run(seed));
    let first = ran.verdict.to_string();
    let first = first.lines().next().unwrap_or_default();
    println!(
        "\nseed {seed}: {:?} simulated, {} faults, {} ticks: {first}",
        ran.simulated, ran.faults, ran.ticks
    );
    println!("{STORY}\n{}== end", ran.story);
    assert!(
        ran.verdict.acknowledged > 100,
        "{} jobs",
        ran.verdict.acknowledged
    );
    assert!(ran.ticks > 10, "{} ticks", ran.ticks);
    assert!(ran.verdict.violations.is_empty(), "seed {seed}: {}", ran.verdict);
}

#[test]
fn hours_of_faults_break_no_promise() {
    hold(SEEDS);
}

#[test]
fn the_same_seed_is_the_same_history() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let [one, again, other] = [11, 11, 12].map(|seed| told(&simulate(&library, seed)));
    let differ = story(&one)
        .lines()
        .zip(story(&again).lines())
        .position(|(one, again)| one != again);
    assert_eq!(differ, None, "the line where two runs of one seed part");
    assert_eq!(story(&one).len(), story(&again).len());
    assert_ne!(story(&one), story(&other));
}

#[test]
#[ignore = "takes minutes: scripts/test soak"]
fn soak_hundreds_of_seeds_break_no_promise() {
    hold((1_000..).take(usize::try_from(SOAK).unwrap()));
}
