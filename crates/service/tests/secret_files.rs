//! Secrets that come as files.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;

use longshore_service::Config;
use longshore_service::config::{Endpoints, Problems, Sources};

fn load(env: &[(&str, &Path)]) -> Result<Config, Problems> {
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(name, path)| ((*name).to_owned(), path.display().to_string()))
        .collect();
    let sources = Sources {
        env,
        ..Sources::default()
    };
    Config::load(&sources, &|_, _, _| Ok(()))
}

#[test]
fn urls_and_signing_keys_are_read_from_the_files_that_variables_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = load(&[
        ("LONGSHORE_AMQP_URL_FILE", &file("amqp", "amqp://u:p@rabbit\n")),
        ("LONGSHORE_REDIS_URL_FILE", &file("redis", "redis://:p@cache")),
        ("LONGSHORE_WORKER__HTTP__BILL__URL", Path::new("https://bill")),
        (
            "LONGSHORE_WORKER__HTTP__BILL__SECRET_FILE",
            &file("key", "whsec_1\n"),
        ),
    ])
    .unwrap();
    let Endpoints::Servers { amqp, redis } = &config.endpoints else {
        panic!("{:?}", config.endpoints);
    };
    assert_eq!(amqp.expose(), "amqp://u:p@rabbit");
    assert_eq!(redis.expose(), "redis://:p@cache");
    let bill = config.worker.http.values().next().unwrap();
    assert_eq!(bill.secret.as_ref().unwrap().expose(), "whsec_1");
}

#[test]
fn a_secret_that_is_set_twice_or_whose_file_is_away_is_told_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let amqp = folder.path().join("amqp");
    std::fs::write(&amqp, "amqp://u:s3cret@rabbit").unwrap();
    let problems = load(&[
        ("LONGSHORE_AMQP_URL", Path::new("amqp://other")),
        ("LONGSHORE_AMQP_URL_FILE", &amqp),
        ("LONGSHORE_REDIS_URL_FILE", &folder.path().join("gone")),
    ])
    .unwrap_err()
    .to_string();
    assert!(
        problems.contains(
            "amqp_url (environment LONGSHORE_AMQP_URL_FILE): is also set without _FILE; set one of the two variables"
        ),
        "{problems}"
    );
    assert!(
        problems.contains("redis_url (environment LONGSHORE_REDIS_URL_FILE): the file "),
        "{problems}"
    );
    assert!(problems.contains("gone cannot be read"), "{problems}");
    assert!(!problems.contains("s3cret"), "{problems}");
}
