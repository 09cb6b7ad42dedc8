//! What containers run beside or instead of a service.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `longshore probe`
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: yes. Exit code 4: no, or nobody answers.\n\n\
    Examples:\n  \
    longshore probe ready\n  \
    longshore probe --url http://127.0.0.1:9464/livez")]
pub(crate) struct Probe {
    /// What to ask the service on this machine
    #[arg(value_enum, default_value_t)]
    pub(crate) question: ProbeName,
    /// Port of its health endpoints
    #[arg(long, default_value_t = 9464)]
    pub(crate) port: u16,
    /// Ask this URL instead; any answer below 400 is a yes
    #[arg(long, conflicts_with_all = ["question", "port"])]
    pub(crate) url: Option<String>,
}

/// The endpoints of every service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProbeName {
    /// It has reached its servers once.
    Startup,
    /// It moves.
    Live,
    /// It takes work.
    #[default]
    Ready,
}

/// `longshore pod-cost`
#[derive(Debug, Args)]
#[command(
    after_help = "Runs beside a worker in its pod, until it is stopped. The pod's service account must be allowed to patch it.\n\n\
    Example:\n  \
    longshore pod-cost --pod worker-abc --namespace jobs --interval 15s"
)]
pub(crate) struct PodCost {
    /// Where the worker tells its metrics
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464/metrics")]
    pub(crate) metrics: String,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub(crate) interval: String,
    /// Name of the pod
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod: String,
    /// Its namespace
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: String,
    /// The API server
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc")]
    pub(crate) api: String,
    /// Folder with token and ca.crt of the service account
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    pub(crate) credentials: PathBuf,
}
