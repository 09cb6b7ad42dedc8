//! `[api]`: a gateway that commands ask instead of the servers.

use std::path::PathBuf;
use std::time::Duration;

use super::read::Values;
use super::secret::Secret;

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Api {
    /// Where the gateway is, with its base path; commands ask the servers when `None`.
    pub url: Option<Secret>,
    /// What commands show there.
    pub token: Option<Secret>,
    /// Its certificate authority; the system's when `None`.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// The part of the configuration.
pub(super) fn build(values: &Values) -> Api {
    let given = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
    Api {
        url: given(values.secret("api.url")),
        token: given(values.secret("api.token")),
        ca_file: values.path("api.ca_file"),
        timeout: super::check::time(values, "api.timeout"),
    }
}
