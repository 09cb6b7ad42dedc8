//! The configuration as a process reads it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use longshore_core::FunctionName;
use longshore_service::Config;
use longshore_service::config::keys::{KEYS, Kind};
use longshore_service::config::{
    Endpoints, LogFormat, Origin, Problem, Problems, Profile, Sources, reference,
};
use tempfile::TempDir;

/// Sources of a file with this text and of this environment, and nothing of the machine's.
fn sources(toml: &str, env: &[(&str, &str)]) -> (Sources, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    std::fs::write(&path, toml).unwrap();
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    (
        Sources {
            file: Some(path),
            search: Vec::new(),
            env,
            ..Sources::default()
        },
        folder,
    )
}

/// Takes every value that this crate has nothing against.
fn load_from(sources: &Sources) -> Result<Config, Problems> {
    Config::load(sources, &|_, _, _| Ok(()))
}

fn problems_of(sources: &Sources) -> Vec<Problem> {
    load_from(sources)
        .err()
        .map(|Problems(problems)| problems)
        .unwrap_or_default()
}

fn load(toml: &str) -> Config {
    let (sources, _folder) = sources(toml, &[]);
    load_from(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of a file, each without the folder it lies in.
fn problems(toml: &str) -> Vec<String> {
    let (sources, folder) = sources(toml, &[]);
    let folder = format!("{}/", folder.path().display());
    problems_of(&sources)
        .iter()
        .map(|problem| problem.to_string().replace(&folder, ""))
        .collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_at_all_is_the_embedded_store_with_the_defaults() {
    let config = load_from(&Sources::default()).unwrap();
    assert_eq!(config.endpoints, Endpoints::Embedded(".longshore".into()));
    assert_eq!(
        (config.profile, config.shards, config.allow_degraded),
        (Profile::Quorum, None, false)
    );
    assert_eq!(
        (config.worker.max_workers, config.worker.job_timeout),
        (8, seconds(3_600))
    );
    assert_eq!(
        config
            .worker
            .queues
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["default"]
    );
    assert_eq!(config.scheduler.retention.failed, seconds(7 * 86_400));
    assert_eq!(
        config.scheduler.intervals.dispatch_outbox,
        Duration::from_millis(200)
    );
    assert_eq!(
        (config.log.format, config.log.level.as_str()),
        (LogFormat::Text, "info")
    );
}

#[test]
fn every_key_without_a_name_is_optional_or_has_a_default_that_is_valid() {
    for key in KEYS
        .iter()
        .filter(|key| !key.path.contains('*') && !key.default.is_empty())
    {
        let (sources, _folder) = sources("", &[]);
        let problems = problems_of(&sources.flag(key.path, key.default));
        assert_eq!(problems, [], "{}", key.path);
    }
    // A time without a default would be read as zero.
    let times = KEYS
        .iter()
        .filter(|key| matches!(key.kind, Kind::Time(..)) && !key.path.contains('*'));
    assert!(times.into_iter().all(|key| !key.default.is_empty()));
}

#[test]
fn a_whole_file_is_read() {
    let config = load(
        r#"
        amqp_url = "amqps://jobs:s3cret@rabbit:5671/jobs"
        redis_url = "redis-cluster://:s3cret@a:7000,b:7001"
        profile = "classic"
        shards = 16
        [worker]
        max_workers = 2
        job_timeout = 90
        queues = ["default", "mail"]
        [worker.commands."images.Resize"]
        program = "/usr/bin/resize"
        args = ["--json", "-q"]
        cwd = "/tmp"
        timeout = "5m"
        env = { TOKEN = "s3cret", MODE = "fast" }
        [worker.http.notify]
        url = "https://example.com/hook?token=s3cret"
        secret = "whsec_s3cret"
        [worker.http.notify.headers]
        Authorization = "Bearer s3cret"
        [scheduler]
        bundle_max = 32
        retention.completed = "1d"
        [log]
        format = "json"
        level = "info,longshore_worker=debug"
        "#,
    );
    assert!(matches!(&config.endpoints, Endpoints::Servers { amqp, .. } if amqp.expose().contains("s3cret")));
    assert_eq!(
        (config.profile, config.shards.unwrap().count()),
        (Profile::Classic, 16)
    );
    assert_eq!(
        (config.worker.max_workers, config.worker.job_timeout),
        (2, seconds(90))
    );
    let command = &config.worker.commands[&FunctionName::new("images.Resize").unwrap()];
    assert_eq!((command.args.len(), command.timeout), (2, Some(seconds(300))));
    assert_eq!(command.env["TOKEN"].expose(), "s3cret");
    let http = &config.worker.http[&FunctionName::new("notify").unwrap()];
    assert_eq!(http.headers["Authorization"].expose(), "Bearer s3cret");
    assert_eq!(config.scheduler.retention.completed, seconds(86_400));
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let (sources, _folder) = sources(
        "[worker]\nmax_workers = 1\njob_timeout = \"1m\"\nqueues = [\"a\"]",
        &[
            ("LONGSHORE_WORKER__MAX_WORKERS", "2"),
            ("LONGSHORE_WORKER__QUEUES", "b, c"),
            ("OTHER", "x"),
        ],
    );
    let config = load_from(&sources.flag("worker.max_workers", "3")).unwrap();
    assert_eq!(
        (config.worker.max_workers, config.worker.job_timeout),
        (3, seconds(60))
    );
    assert_eq!(
        config
            .worker
            .queues
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["b", "c"]
    );
    assert_eq!(config.origin("worker.max_workers"), Origin::Flag);
    assert_eq!(
        config.origin("worker.queues"),
        Origin::Env("LONGSHORE_WORKER__QUEUES".to_owned())
    );
    assert_eq!(config.origin("log.level"), Origin::Default);
}

#[test]
fn a_stronger_source_replaces_the_other_kind_of_store() {
    let servers = "amqp_url = \"amqp://h\"\nredis_url = \"redis://h\"";
    let (one, _folder) = sources(servers, &[]);
    let config = load_from(&one.flag("embedded", "here")).unwrap();
    assert_eq!(config.endpoints, Endpoints::Embedded("here".into()));
    let (other, _folder) = sources(
        "embedded = \"here\"",
        &[
            ("LONGSHORE_AMQP_URL", "amqp://h"),
            ("LONGSHORE_REDIS_URL", "redis://h"),
        ],
    );
    assert!(matches!(
        load_from(&other).unwrap().endpoints,
        Endpoints::Servers { .. }
    ));
}

#[test]
fn a_file_that_must_exist_is_missed_and_one_that_may_is_not() {
    let missing = Sources::default().file("/nowhere/longshore.toml");
    let problems = problems_of(&missing);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .to_string()
            .starts_with("/nowhere/longshore.toml: cannot be read: "),
        "{}",
        problems[0]
    );
    let may = Sources {
        search: vec!["/nowhere/longshore.toml".into()],
        ..Sources::default()
    };
    assert!(problems_of(&may).is_empty());
}

/// A file, and the one problem it has.
const BAD: &[(&str, &str)] = &[
    (
        "[worker]\nmax_workers = 0",
        "worker.max_workers (longshore.toml): 0 is out of range; use 1 to 10000",
    ),
    (
        "[worker]\nmax_workers = -1",
        "worker.max_workers (longshore.toml): -1 is negative; use 1 to 10000",
    ),
    (
        "[worker]\nmax_workers = \"many\"",
        "worker.max_workers (longshore.toml): \"many\" is not a whole number; use 1 to 10000",
    ),
    (
        "[worker]\nmax_workers = [1]",
        "worker.max_workers (longshore.toml): is a list or table; use a whole number from 1 to 10000",
    ),
    (
        "[worker]\njob_timeout = \"-5s\"",
        "worker.job_timeout (longshore.toml): \"-5s\" is negative; a duration cannot be",
    ),
    (
        "[worker]\njob_timeout = \"soon\"",
        "worker.job_timeout (longshore.toml): \"soon\" is not a duration; use a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds",
    ),
    (
        "[worker]\njob_timeout = 0",
        "worker.job_timeout (longshore.toml): 0 is out of range; use 1s to 3650d",
    ),
    (
        "[worker]\nqueues = []",
        "worker.queues (longshore.toml): names no queue; name at least one",
    ),
    (
        "[worker]\nqueues = [\"a/b\"]",
        "worker.queues (longshore.toml): \"a/b\" has a character that is not allowed; use 1 to 64 characters of a-z, A-Z, 0-9, '_', '-', '.', ':' or '/', starting with a letter or digit",
    ),
    (
        "profile = \"quorun\"",
        "profile (longshore.toml): \"quorun\" is not known; use quorum or classic; did you mean quorum?",
    ),
    (
        "allow_degraded = \"maybe\"",
        "allow_degraded (longshore.toml): \"maybe\" is neither true nor false",
    ),
    (
        "log.level = \"a=b=c\"",
        "log.level (longshore.toml): \"a=b=c\" is not a log filter; use error, warn, info, debug, trace, or target=level pairs",
    ),
    (
        "embedded = \"\"",
        "embedded (longshore.toml): is empty; use a path, or leave the key out",
    ),
    (
        "[worker]\nmax_worker = 1",
        "worker.max_worker (longshore.toml): is not a known key; did you mean worker.max_workers?",
    ),
    (
        "[workers]\nqueues = [\"a\"]",
        "workers.queues (longshore.toml): is not a known key; did you mean worker.queues?",
    ),
    (
        "banana = 1",
        "banana (longshore.toml): is not a known key; docs/reference/config.md lists every key",
    ),
    (
        "[worker.commands.f]\nprogram = \"x\"\nargz = []",
        "worker.commands.f.argz (longshore.toml): is not a known key; did you mean worker.commands.f.args?",
    ),
    (
        "[worker.commands.f]\nargs = [\"x\"]",
        "worker.commands.f.program: is missing; the function cannot run without it",
    ),
    (
        "[worker.commands.f]",
        "worker.commands.f (longshore.toml): is an empty table; it needs program",
    ),
    (
        "[worker.http.f]\n[worker.commands.g]\nprogram = \"x\"",
        "worker.http.f (longshore.toml): is an empty table; it needs url",
    ),
    (
        "[workerz]",
        "workerz (longshore.toml): is not a known key; docs/reference/config.md lists every key",
    ),
    (
        "[worker.commands.\"bad name\"]\nprogram = \"x\"",
        "worker.commands.bad name (longshore.toml): \"bad name\" has a character that is not allowed; use 1 to 128 characters of a-z, A-Z, 0-9, '_', '-', '.', ':' or '/', starting with a letter or digit",
    ),
    (
        "[worker.commands.f]\nprogram = \"x\"\n[worker.http.f]\nurl = \"http://h\"",
        "worker.http.f: worker.commands.f names the same function; keep one of them",
    ),
    (
        "amqp_url = \"amqp://h\"",
        "redis_url: is missing, and amqp_url is set (longshore.toml); RabbitMQ and Redis are used together",
    ),
    (
        "amqp_url = \"amqp://h\"\nredis_url = \"redis://h\"\nembedded = \"x\"",
        "embedded (longshore.toml): cannot be used together with amqp_url and redis_url; keep the servers or the folder",
    ),
    (
        "amqp_url = \"amqp://h\"\nredis_url = \"redis://h\"\namqp_ca_file = \"/dev/null\"",
        "amqp_ca_file (longshore.toml): has no effect, because amqp_url does not use TLS; use amqps:// there, or leave this key out",
    ),
    (
        "redis_ca_file = \"/nowhere/ca.pem\"",
        "redis_ca_file (longshore.toml): /nowhere/ca.pem cannot be read: No such file or directory (os error 2)",
    ),
    (
        "[scheduler]\nbundle_max = 65",
        "scheduler.bundle_max (longshore.toml): 65 is out of range; use 1 to 64",
    ),
    (
        "[scheduler.intervals]\nexpire_leases = \"20s\"",
        "scheduler.intervals.expire_leases (longshore.toml): 20s is out of range; use 10ms to 10s",
    ),
];

#[test]
fn bad_values_are_told_with_key_place_and_fix() {
    for (toml, expected) in BAD {
        assert_eq!(problems(toml), [*expected], "{toml}");
    }
}

#[test]
fn every_problem_of_every_source_is_told_at_once() {
    let (sources, _folder) = sources(
        "profile = \"x\"\n[worker]\nmax_workers = 0\nqueue = \"a\"",
        &[
            ("LONGSHORE_LOG__FORMAT", "xml"),
            ("LONGSHORE_WORKER__MAXWORKERS", "3"),
            ("LONGSHORE_PORT", "tcp://10.0.0.1:80"),
        ],
    );
    let text = load_from(&sources.flag("log.levle", "info"))
        .unwrap_err()
        .to_string();
    for part in [
        "the configuration has 6 problems:",
        "  profile (",
        "  worker.max_workers (",
        "  worker.queue (",
        "  log.format (environment LONGSHORE_LOG__FORMAT): \"xml\" is not known; use text or json",
        "  worker.maxworkers (environment LONGSHORE_WORKER__MAXWORKERS): is not a known key; did you mean worker.max_workers?",
        "  log.levle (command line): is not a known key; did you mean log.level?",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_told_in_a_line() {
    let found = problems("[worker\nmax_workers = 1");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("longshore.toml: is not TOML: ") && !found[0].contains('\n'),
        "{}",
        found[0]
    );
}

#[test]
fn a_line_that_is_not_toml_is_told_without_its_text() {
    let toml = "max_workers = 1\namqp_url == \"amqp://user:pl4nted@127.0.0.1\"\n";
    let (sources, _folder) = sources(toml, &[]);
    let told = load_from(&sources).unwrap_err().to_string();
    assert!(told.contains("is not TOML: line 2, column 11: "), "{told}");
    assert!(!told.contains("pl4nted"), "{told}");
}

#[test]
fn what_is_dumped_has_no_secrets_and_reads_back() {
    let config = load(
        r#"
        amqp_url = "amqp://jobs:s3cret@rabbit"
        redis_url = "redis://:s3cret@cache/0"
        [worker]
        job_timeout = "90m"
        [worker.commands."a.b"]
        program = "say"
        args = ["--key=s3cret", "--json", "s3cret"]
        env = { TOKEN = "s3cret" }
        [worker.http.hook]
        url = "https://h/s3cret"
        secret = "s3cret"
        "#,
    );
    let dump = config.dump();
    assert!(!dump.contains("s3cret"), "{dump}");
    assert!(dump.contains("amqp_url = \"amqp://***@rabbit\" # "), "{dump}");
    assert!(dump.contains("[worker.commands.\"a.b\"]"), "{dump}");
    let again = load(&dump);
    assert_eq!(again.worker.job_timeout, seconds(5_400));
    assert_eq!(
        again.worker.commands.values().next().unwrap().args,
        ["--key=***", "--json", "***"]
    );
    assert_eq!(again.scheduler, config.scheduler);
    let strip = |dump: &str| {
        dump.lines()
            .map(|line| line.split(" # ").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(strip(&again.dump()), strip(&dump));
}

#[test]
fn a_judge_has_a_say_in_every_value_and_is_told_with_the_other_problems() {
    let (sources, _folder) = sources(
        "amqp_url = \"amqp://u:s3cret@h\"\nredis_url = \"redis://h\"\n[worker]\nmax_workers = 0\n\
         [worker.http.f]\nurl = \"http://h\"\nsecret = \"k\"\nheaders = { \"a b\" = \"x\" }",
        &[],
    );
    let judge = |key: &str, field: Option<&str>, _: &str| match (key, field) {
        ("amqp_url", None) => Err("is judged; use another".to_owned()),
        ("worker.http.*.headers", Some("a b")) => Err("is no header".to_owned()),
        _ => Ok(()),
    };
    let text = Config::load(&sources.pair("nonsense"), &judge)
        .unwrap_err()
        .to_string();
    for part in [
        "the configuration has 4 problems:",
        "  command line: \"nonsense\" is not KEY=VALUE",
        "longshore.toml): is judged; use another",
        "longshore.toml): is no header",
        "  worker.max_workers (",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_reference_page_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    let rendered = reference::render();
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/reference/config.md is not that of the code; run this test with LONGSHORE_BLESS=1"
    );
}
