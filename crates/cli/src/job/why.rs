//! `longshore job why`.

use longshore::{Obstacle, Reason, Why};
use longshore_core::JobId;
use longshore_service::exit::ExitCode;

use super::show::unknown;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Format, Out, plain};

/// Says why a job does not run.
///
/// # Errors
/// When nobody knows the job, or the store does not answer.
pub(crate) async fn run(fleet: &Fleet, id: JobId, parents_from: usize, out: &mut Out) -> Result<(), Failure> {
    let why = fleet.why(id, parents_from).await?;
    match out.format {
        Format::Json | Format::Jsonl => out.json(&why)?,
        Format::Table => text(&why).iter().try_for_each(|line| out.line(line))?,
    }
    match why.obstacles.first() {
        Some(first) if first.reason == Reason::Unknown => Err(unknown(id)),
        Some(first) if matches!(first.reason, Reason::StoreUnreachable { .. }) => {
            Err(Failure::new(ExitCode::Unavailable, plain(&first.explanation)))
        }
        _ => Ok(()),
    }
}

/// What people read: one block an obstacle, the first to go first.
fn text(why: &Why) -> Vec<String> {
    let status = why.status.map_or("unknown", |status| status.as_str());
    let mut lines = vec![field("job", &why.id.to_string()), field("status", status)];
    for (number, obstacle) in why.obstacles.iter().enumerate() {
        let label = if number == 0 { "because" } else { "then" };
        lines.push(field(label, &obstacle.explanation));
        lines.push(field("unblock", &obstacle.remedy));
        lines.extend(parents(obstacle));
    }
    lines
}

fn parents(obstacle: &Obstacle) -> Vec<String> {
    let Reason::WaitsForParents { parents, next, .. } = &obstacle.reason else {
        return Vec::new();
    };
    let mut lines: Vec<String> = parents
        .iter()
        .map(|parent| {
            let status = parent.status.map_or("unknown", |status| status.as_str());
            field("parent", &format!("{}  {status}", parent.id))
        })
        .collect();
    if let Some(next) = next {
        lines.push(field("", &format!("there are more: --parents-from {next}")));
    }
    lines
}

fn field(name: &str, text: &str) -> String {
    format!("{name:<12} {}", plain(text))
}

#[cfg(test)]
mod tests {
    use longshore_core::JobStatus;
    use longshore_core::why::Parent;

    use super::*;

    #[test]
    fn obstacles_stand_in_the_order_in_which_they_must_go() {
        let id: JobId = "0193f0a1-7c5e-8001-9313-0242ac120002".parse().unwrap();
        let obstacle = |reason, explanation: &str, remedy: &str| Obstacle {
            reason,
            explanation: explanation.to_owned(),
            remedy: remedy.to_owned(),
        };
        let parent = Parent {
            id,
            status: Some(JobStatus::Failed),
            policy: longshore::EdgePolicy::default(),
        };
        let waits = Reason::WaitsForParents {
            parents: vec![parent],
            total: 101,
            next: Some(100),
        };
        let paused = Reason::QueuePaused {
            queue: longshore::QueueName::default(),
        };
        let why = Why {
            id,
            status: Some(JobStatus::Blocked),
            obstacles: vec![
                obstacle(waits, "it waits for 101 parents", "requeue it"),
                obstacle(paused, "the queue default is \u{1b}paused", "resume it"),
            ],
        };
        let expected = "\
job          0193f0a1-7c5e-8001-9313-0242ac120002
status       blocked
because      it waits for 101 parents
unblock      requeue it
parent       0193f0a1-7c5e-8001-9313-0242ac120002  failed
             there are more: --parents-from 100
then         the queue default is  paused
unblock      resume it";
        assert_eq!(text(&why).join("\n"), expected);
    }
}
