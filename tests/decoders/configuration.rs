//! Configuration files.

use longshore_service::Config;
use longshore_service::config::Sources;

const KEY: &str = "whsec_cGw0bnRlZA";
const FILE: &str = r#"
amqp_url = "amqp://user:pl4nted@127.0.0.1"
redis_url = "redis://:pl4nted@127.0.0.1"

[worker]
max_workers = 8
job_timeout = "1h"

[worker.http.send]
url = "https://billing.internal/jobs"
secret = "whsec_cGw0bnRlZA=="

[cron.nightly]
expression = "30 2 * * *"
function = "f"
"#;

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// Reads a file; what is told of it, right or wrong, has no secret in it.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = FOLDER.with(|folder| folder.path().join("longshore.toml"));
    std::fs::write(&file, bytes).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    let told = match Config::load(&sources, &|_, _, _| Ok(())) {
        Ok(config) => {
            config.table().expect("what is dumped can be read");
            format!("{config:?}\n{}", config.dump())
        }
        Err(problems) => format!("{problems}\n{problems:?}"),
    };
    // As long as nobody but the file's own lines says it.
    if text.matches(KEY).count() == text.matches(&format!("secret = \"{KEY}")).count() {
        assert!(!told.contains(KEY), "{text}\n{told}");
    }
    // A password that lost its sign is a part of the host.
    if text.matches(":pl4nted@127").count() == text.matches("pl4nted").count() {
        assert!(!told.contains("pl4nted"), "{text}\n{told}");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![FILE.as_bytes().to_vec()]
}
