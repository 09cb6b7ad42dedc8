//! A receiver of traces and metrics that nobody here wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use longshore_testkit::process::{PortLease, Proc, ServerDir};
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::probed::LONG;

/// A receiver of OTLP over HTTP: `oteltap`, a Python package, which prints a line of JSON for what it gets.
pub(crate) struct Tap {
    _process: Proc,
    log: PathBuf,
    port: PortLease,
    _dir: ServerDir,
}

impl Tap {
    pub(crate) async fn start() -> Self {
        let dir = ServerDir::new("oteltap").unwrap();
        let log = dir.path().join("oteltap.log");
        let port = PortLease::take().unwrap();
        let program = tool("oteltap");
        let mut command = std::process::Command::new(program);
        command
            .args(["--port", &port.port().to_string()])
            .env("PYTHONUNBUFFERED", "1");
        let process = Proc::spawn(command, log.clone()).unwrap();
        let tap = Self {
            _process: process,
            log,
            port,
            _dir: dir,
        };
        eventually(LONG, "the receiver listens", || async {
            tokio::net::TcpStream::connect(tap.port.addr()).await.is_ok()
        })
        .await
        .unwrap();
        tap
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    /// Every span that came.
    pub(crate) fn spans(&self) -> Vec<Span> {
        // What is not a span has no span's fields.
        self.lines().iter().filter_map(span).collect()
    }

    /// The names of metrics that came.
    pub(crate) fn metrics(&self) -> BTreeSet<String> {
        let kinds = ["sum", "gauge", "histogram"];
        let lines = self.lines();
        let metrics = lines
            .iter()
            .filter(|line| kinds.iter().any(|kind| line[kind].is_object()));
        metrics.filter_map(|line| text(line, "name")).collect()
    }

    /// Everything that came, as the receiver wrote it down.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

/// A program of the Python environment that the gate makes.
pub(crate) fn tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("LONGSHORE_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-python"),
        PathBuf::from,
    );
    let program = venv.join("bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `scripts/test setup`",
        program.display()
    );
    program
}

/// One span, as the receiver had it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) links: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) failed: bool,
}

impl Span {
    pub(crate) fn is(&self, name: &str, attribute: &str, value: &str) -> bool {
        self.name == name && self.attributes.get(attribute).is_some_and(|has| has == value)
    }
}

fn span(line: &Value) -> Option<Span> {
    let links = line["links"].as_array().into_iter().flatten();
    Some(Span {
        name: text(line, "name")?,
        trace: text(line, "traceId")?,
        id: text(line, "spanId")?,
        parent: text(line, "parentSpanId").unwrap_or_default(),
        links: links.filter_map(|link| text(link, "spanId")).collect(),
        attributes: attributes(line),
        failed: line["status"]["code"] == 2,
    })
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

fn attributes(value: &Value) -> BTreeMap<String, String> {
    let attributes = value["attributes"].as_array().into_iter().flatten();
    attributes
        .filter_map(|attribute| {
            let value = attribute["value"].as_object()?.values().next()?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((text(attribute, "key")?, value))
        })
        .collect()
}
