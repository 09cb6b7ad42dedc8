//! Jobs that are put aside until a worker has their function.

use std::collections::BTreeSet;

use longshore_backend::checkup::{Finding, Severity};
use longshore_core::FunctionName;
use longshore_core::port::Ports;

use crate::doctor::asked;
use crate::failure::Failure;

/// One finding a function that jobs wait for and no live worker has.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn look(ports: &Ports, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let standing = asked(ports.inspect.standing()).await?;
    if standing.parked.is_empty() {
        return Ok(());
    }
    let workers = asked(ports.inspect.workers()).await?;
    let known: BTreeSet<_> = workers.iter().flat_map(|worker| &worker.functions).collect();
    let waited_for = standing
        .parked
        .iter()
        .filter(|(function, _)| !known.contains(function));
    findings.extend(waited_for.map(|(function, jobs)| finding(function, *jobs)));
    Ok(())
}

fn finding(function: &FunctionName, jobs: u64) -> Finding {
    Finding::new(
        Severity::Warning,
        format!("function {function}"),
        format!("{jobs} job(s) are put aside, because no live worker has this function"),
        "they run once a worker that has it starts, and not before",
        format!(
            "start such a worker, or cancel the jobs if the name is a slip (`longshore job ls --function {function}`)"
        ),
    )
}
