//! Points at which a process ends as if it had been killed there: the lines of the protocol's crash table, for tests.
//!
//! `FAILPOINT=NAME` lets the process abort the first time that it comes to the point, `FAILPOINT=NAME:3` the third time.
//! The points are between the calls that a process makes to its servers, so they are made by ports that stand in front
//! of the real ones. A build without debug assertions, which a release is, has none of this.

#[cfg(debug_assertions)]
mod attempt;
#[cfg(debug_assertions)]
mod enqueue;
#[cfg(debug_assertions)]
mod point;
#[cfg(debug_assertions)]
mod publish;
#[cfg(debug_assertions)]
mod schedule;

use longshore_core::port::Ports;
use longshore_scheduler::Notifications;
use longshore_worker::BackendSource;

use crate::failure::Failure;
use crate::setting::Setting;

/// The ports of a client or a scheduler.
///
/// # Errors
/// When the variable names no point.
pub(crate) fn ports(ports: &Ports) -> Result<Ports, Failure> {
    #[cfg(debug_assertions)]
    if let Some(armed) = point::Armed::from_env()? {
        return Ok(armed.ports(ports.clone()));
    }
    Ok(ports.clone())
}

/// Where a worker's ports come from. With a point it does not connect by itself.
///
/// # Errors
/// When the variable names no point, or the servers cannot be reached.
pub(crate) async fn source(setting: &Setting) -> Result<BackendSource, Failure> {
    #[cfg(debug_assertions)]
    if let Some(armed) = point::Armed::from_env()?
        && let Some(backend) = Box::pin(setting.connect(crate::setting::Purpose::Service)).await?
    {
        let ports = armed.ports(backend.ports().clone());
        // It lives as long as the process, which ends at the point.
        std::mem::forget(backend);
        return Ok(ports.into());
    }
    Ok(setting.backend_config()?.into())
}

/// Who is told of what happens.
///
/// # Errors
/// When the variable names no point.
pub(crate) fn notifications(notifications: Notifications) -> Result<Notifications, Failure> {
    #[cfg(debug_assertions)]
    if let Some(armed) = point::Armed::from_env()? {
        return Ok(armed.notifications(notifications));
    }
    Ok(notifications)
}
