//! What was found, for people and programs.

use std::path::Path;
use std::time::Duration;

use longshore_backend::checkup::{Finding, ServerReport, Severity};
use longshore_core::port::Ports;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::asked;
use crate::failure::Failure;
use crate::output::{Format, Out, Paint, plain};

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) servers: Vec<Value>,
    lines: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// Records and rows that were compared; `None` when they were not.
    pub(super) compared: Option<(u64, u64)>,
}

impl Report {
    /// Takes what was found at a server.
    pub(super) fn take(&mut self, server: ServerReport) {
        self.server(
            &server.server,
            &server.address,
            server.version.as_deref(),
            server.latency,
        );
        self.findings.extend(server.findings);
    }

    /// Measures an embedded store.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn embedded(&mut self, folder: &Path, ports: &Ports) -> Result<(), Failure> {
        let start = Instant::now();
        asked(ports.inspect.ping()).await?;
        let (address, version) = (folder.display().to_string(), env!("CARGO_PKG_VERSION"));
        self.server("embedded store", &address, Some(version), Some(start.elapsed()));
        Ok(())
    }

    fn server(&mut self, server: &str, address: &str, version: Option<&str>, latency: Option<Duration>) {
        let millis = latency.map(|latency| latency.as_secs_f64() * 1_000.0);
        self.servers.push(json!({
            "server": server, "address": address, "version": version, "latency_ms": millis,
        }));
        let version = version.map_or(String::new(), |version| format!(" {version}"));
        let latency = millis.map_or("no answer".to_owned(), |millis| format!("{millis:.1} ms"));
        self.lines
            .push(format!("{server}{version} at {address}: {latency}"));
    }

    /// Errors that are not repaired.
    pub(super) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        let left = self.findings.iter().filter(|finding| !finding.repaired);
        left.filter(|finding| finding.severity == severity).count()
    }

    /// Prints everything, the worst first.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn print(&mut self, out: &mut Out) -> Result<(), Failure> {
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        match out.format {
            Format::Json | Format::Jsonl => Ok(out.json(&self.document())?),
            Format::Table => self.text(out),
        }
    }

    fn document(&self) -> Value {
        json!({
            "healthy": self.errors() == 0,
            "servers": self.servers,
            "compared": self.compared.map(|(records, rows)| json!({ "records": records, "rows": rows })),
            "findings": self.findings,
        })
    }

    fn text(&self, out: &mut Out) -> Result<(), Failure> {
        let paint = Paint::stdout();
        for line in &self.lines {
            out.line(plain(line))?;
        }
        if let Some((records, rows)) = self.compared {
            out.line(format!("{records} records and {rows} index rows compared"))?;
        }
        for finding in &self.findings {
            out.line("")?;
            let word = match (finding.repaired, finding.severity) {
                (true, _) => paint.good("repaired"),
                (false, Severity::Error) => paint.bad("error   "),
                (false, Severity::Warning) => paint.warn("warning "),
                (false, Severity::Notice) => "notice  ".to_owned(),
            };
            out.line(format!(
                "{word}  {}: {}",
                finding.subject,
                plain(&finding.problem)
            ))?;
            out.line(format!("          why  {}", finding.why))?;
            if !finding.repaired {
                out.line(format!("          fix  {}", plain(&finding.fix)))?;
            }
        }
        out.line("")?;
        Ok(out.line(self.summary())?)
    }

    fn summary(&self) -> String {
        let repaired = self.findings.iter().filter(|finding| finding.repaired).count();
        if self.findings.is_empty() {
            return "all is well".to_owned();
        }
        let count = |severity| self.count(severity);
        format!(
            "{} error(s), {} warning(s), {} notice(s), {repaired} repaired",
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Notice),
        )
    }
}
