//! Cron entries in the configuration.

#![cfg(test)]

use std::time::Duration;

use longshore_core::cron::{Misfire, Overlap, Source};
use longshore_core::{Priority, value};
use longshore_service::Config;
use longshore_service::config::{Problems, Sources};

fn load(toml: &str) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    std::fs::write(&path, toml).unwrap();
    Config::load(&Sources::default().file(path), &|_, _, _| Ok(()))
}

/// The problems of a file, each as key and message.
fn problems(toml: &str) -> Vec<String> {
    let Err(Problems(problems)) = load(toml) else {
        return Vec::new();
    };
    let said = problems.iter();
    said.map(|problem| format!("{}: {}", problem.key, problem.message))
        .collect()
}

#[test]
fn an_entry_says_everything() {
    let config = load(
        "[cron.nightly]\nexpression = \"30 2 * * *\"\nzone = \"Europe/Berlin\"\nfunction = \"report\"\n\
         args = '{\"region\": \"eu\"}'\nqueue = \"reports\"\npriority = \"high\"\nmisfire = \"all:5\"\n\
         overlap = \"cancel-previous\"\njitter = \"5m\"\nmax_retries = 1\ntimeout = \"2m\"\nexpires_in = \"1h\"\n\
         [cron.plain]\nexpression = \"@daily\"\nfunction = \"f\"\n",
    )
    .unwrap();
    let names: Vec<_> = config.cron.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["nightly", "plain"]);
    let nightly = &config.cron["nightly"];
    assert_eq!(nightly.schedule.to_string(), "30 2 * * * Europe/Berlin");
    assert_eq!(nightly.misfire, Misfire::All(5));
    assert_eq!(nightly.overlap, Overlap::CancelPrevious);
    assert_eq!(nightly.jitter, Duration::from_secs(300));
    assert_eq!(nightly.source, Source::File);
    let job = nightly.job.envelope();
    assert_eq!(
        value::to_json("args", &job.args).unwrap(),
        serde_json::json!({"region": "eu"})
    );
    assert_eq!((job.queue.as_str(), job.priority), ("reports", Priority::High));
    assert_eq!(job.max_retries, 1);
    assert_eq!(config.cron["plain"].misfire, Misfire::Once);
}

#[test]
fn every_problem_of_an_entry_is_told_with_its_key() {
    let found = problems(
        "[cron.bad]\nexpression = \"0 0 31 2 *\"\nzone = \"Mars\"\nfunction = \"no good\"\nargs = \"{s3cret\"\n\
         misfire = \"never\"\noverlap = \"maybe\"\njitter = \"2d\"\n[cron.empty]\nzone = \"UTC\"\n\
         [cron.\"a b\"]\nexpression = \"@daily\"\nfunction = \"f\"\n[cron.typo]\nexpresion = \"@daily\"\n",
    );
    for part in [
        "cron.bad.expression: \"0 0 31 2 *\" never happens",
        "cron.bad.zone: \"Mars\" is not a time zone",
        "cron.bad.function: \"no good\" has a character that is not allowed",
        "cron.bad.args: is not JSON",
        "cron.bad.misfire: \"never\" is not a policy",
        "cron.bad.overlap: \"maybe\" is not known",
        "cron.bad.jitter: 2d is out of range",
        "cron.empty.expression: is missing",
        "cron.empty.function: is missing",
        "cron.a b: \"a b\" has a character that is not allowed",
        "cron.typo.expresion: is not a known key; did you mean cron.typo.expression?",
    ] {
        assert!(
            found.iter().any(|problem| problem.starts_with(part)),
            "{part}: {found:#?}"
        );
    }
    assert!(!found.concat().contains("s3cret"), "{found:#?}");
}

#[test]
fn what_is_shown_of_an_entry_reads_back_without_its_arguments() {
    let toml = "[cron.nightly]\nexpression = \"30 2 * * *\"\nfunction = \"report\"\nargs = '\"s3cret\"'\n";
    let dump = load(toml).unwrap().dump();
    assert!(dump.contains("[cron.nightly]"), "{dump}");
    assert!(dump.contains("expression = \"30 2 * * *\""), "{dump}");
    assert!(!dump.contains("s3cret"), "{dump}");
}
