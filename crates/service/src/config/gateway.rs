//! `[gateway]`: what the gateway is told.

use std::net::SocketAddr;

use super::problem::Problem;
use super::read::Values;

/// `[gateway]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gateway {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Whether it serves the dashboard besides the API.
    pub dashboard: bool,
    /// The path below which everything is served; empty for `/`.
    pub base_path: String,
}

/// The gateway's part of the configuration.
pub(super) fn build(values: &Values, problems: &mut Vec<Problem>) -> Gateway {
    Gateway {
        listen: listen(values, problems),
        dashboard: values.switch("gateway.dashboard"),
        base_path: values.text("gateway.base_path"),
    }
}

fn listen(values: &Values, problems: &mut Vec<Problem>) -> SocketAddr {
    let key = "gateway.listen";
    let text = values.text(key);
    text.parse().unwrap_or_else(|_| {
        problems.push(Problem {
            key: key.to_owned(),
            origin: values.origin(key),
            message: format!("\"{text}\" is no address with a port; use one such as 127.0.0.1:8080"),
        });
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}
