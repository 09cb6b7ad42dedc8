//! `longshore pod-cost`: tells Kubernetes what a worker has running, so that a pool that shrinks loses its idle pods
//! first. A process of its own, so that the worker, which runs other people's code, never sees the token.

use std::path::Path;
use std::time::Duration;

use longshore_service::exit::ExitCode;
use longshore_service::{duration, signals};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Url};
use serde_json::json;

use crate::adapter::http;
use crate::args::container::PodCost;
use crate::failure::Failure;
use crate::output;

/// The gauge that decides.
const BUSY: &str = "longshore_worker_slots_busy";
/// What a `ReplicaSet` compares when it must choose; a pod without it costs 0.
const ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Most of the metrics that is read.
const METRICS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Looks and tells until a signal comes.
///
/// # Errors
/// When an option, or what the service account has, cannot be used.
pub(crate) async fn run(options: &PodCost) -> Result<(), Failure> {
    let interval =
        duration::parse(&options.interval).map_err(|error| Failure::usage(format!("--interval: {error}")))?;
    let stop = signals::listen()?;
    let metrics = http::client().map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
    let pod = Pod::new(options)?;
    let mut told = None;
    loop {
        match look_and_tell(&metrics, &options.metrics, &pod, told).await {
            Ok(cost) => told = Some(cost),
            Err(problem) => output::warn(format!("the deletion cost stays as it is: {problem}")),
        }
        tokio::select! {
            () = stop.gentle.cancelled() => return Ok(()),
            () = tokio::time::sleep(interval.max(Duration::from_secs(1))) => {}
        }
    }
}

async fn look_and_tell(metrics: &Client, url: &str, pod: &Pod, told: Option<u64>) -> Result<u64, String> {
    let cost = busy_of(&metrics_of(metrics, url).await?).ok_or(format!("{url} has no {BUSY}"))?;
    if told != Some(cost) {
        pod.tell(cost).await?;
    }
    Ok(cost)
}

async fn metrics_of(client: &Client, url: &str) -> Result<String, String> {
    let asked = client.get(url).timeout(ANSWER).send().await;
    let mut answer = asked
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > METRICS_BYTES_MAX {
            return Err(format!("{url} tells over {METRICS_BYTES_MAX} bytes"));
        }
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// Slots in use, from the text of the metrics.
fn busy_of(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| {
        let rest = line.strip_prefix(BUSY)?;
        rest.starts_with(['{', ' ']).then_some(rest)
    })?;
    let after = line.rsplit_once('}').map_or(line, |(_, after)| after);
    let value: f64 = after.split_whitespace().next()?.parse().ok()?;
    if !(0.0..=1e6).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    let whole = value as u64;
    Some(whole)
}

/// The pod that is written to.
struct Pod {
    client: Client,
    url: Url,
    token: std::path::PathBuf,
}

impl Pod {
    fn new(options: &PodCost) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("--api: {error}"));
        let mut url = Url::parse(&options.api).map_err(|error| wrong(&error))?;
        url.path_segments_mut()
            .map_err(|()| wrong(&"has no host; use https://kubernetes.default.svc"))?
            .extend([
                "api",
                "v1",
                "namespaces",
                &options.namespace,
                "pods",
                &options.pod,
            ]);
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER);
        if url.scheme() == "https" {
            client = client.tls_certs_only(authorities(&options.credentials.join("ca.crt"))?);
        }
        let client = client
            .build()
            .map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
        Ok(Self {
            client,
            url,
            token: options.credentials.join("token"),
        })
    }

    async fn tell(&self, cost: u64) -> Result<(), String> {
        // Anew each time: the kubelet renews it.
        let token = tokio::fs::read_to_string(&self.token)
            .await
            .map_err(|error| format!("{} cannot be read: {error}", self.token.display()))?;
        let patch = json!({ "metadata": { "annotations": { (ANNOTATION): cost.to_string() } } });
        let answer = self
            .client
            .patch(self.url.clone())
            .bearer_auth(token.trim())
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .body(patch.to_string())
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        let shown: String = text.chars().take(300).collect();
        Err(format!("the API server answers {status}: {shown}"))
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "--credentials: {} cannot be used: {error}; mount the service account's token",
            path.display()
        ))
    };
    let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_in_use_are_found_among_other_metrics() {
        let text = "# HELP longshore_worker_slots_busy Slots in use.\n# TYPE longshore_worker_slots_busy gauge\n\
            longshore_worker_slots 8\nlongshore_worker_slots_busy_other 9\nlongshore_worker_slots_busy 3\n";
        assert_eq!(busy_of(text), Some(3));
        assert_eq!(
            busy_of("longshore_worker_slots_busy{otel_scope_name=\"a b\"} 5 1700"),
            Some(5)
        );
        assert_eq!(busy_of("longshore_worker_slots_busy NaN"), None);
        assert_eq!(busy_of("longshore_worker_slots_busy -1"), None);
        assert_eq!(busy_of(""), None);
    }
}
