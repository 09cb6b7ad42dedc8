//! `longshore cron show`.

use longshore::cron::{CronView, Source};
use longshore_core::{Clock, SystemClock, value};
use longshore_service::duration;

use super::document;
use crate::board::short_time;
use crate::failure::Failure;
use crate::output::{Format, Out, plain};

/// Ticks that people see.
const TICKS: usize = 5;

/// Shows everything of one entry.
pub(super) fn print(entry: &CronView, out: &mut Out) -> Result<(), Failure> {
    match out.format {
        Format::Json | Format::Jsonl => out.json(&document::entry(entry))?,
        Format::Table => text(entry).iter().try_for_each(|line| out.line(line))?,
    }
    Ok(())
}

fn text(entry: &CronView) -> Vec<String> {
    let mut lines = Vec::new();
    let mut field = |name: &str, text: String| lines.push(format!("{name:<12} {}", plain(&text)));
    let now = SystemClock.now();
    field("entry", entry.name.to_string());
    field("state", if entry.paused { "paused" } else { "open" }.to_owned());
    if let Some(last) = entry.last {
        let ago = short_time(now.since(last.fired_at));
        field("last job", format!("{}, {ago} ago", last.id));
    }
    let definition = match &entry.definition {
        Ok(definition) => definition,
        Err(error) => {
            field("problem", error.to_string());
            return lines;
        }
    };
    let (schedule, job) = (&definition.schedule, definition.job.envelope());
    field("expression", schedule.expression.to_string());
    field("zone", schedule.zone.to_string());
    field("misfire", definition.misfire.to_string());
    field("overlap", definition.overlap.to_string());
    field("jitter", duration::format(definition.jitter));
    let source = match definition.source {
        Source::Call => "a call",
        Source::File => "a scheduler's configuration file",
    };
    field("made by", source.to_owned());
    field("function", job.function_name.to_string());
    if let Ok(args) = value::to_json("args", &job.args) {
        field("args", args.to_string());
    }
    field("queue", job.queue.to_string());
    field("priority", job.priority.to_string());
    if !entry.paused {
        let ticks = std::iter::successors(Some(entry.next_at), |tick| schedule.next(*tick));
        for tick in ticks.take(TICKS) {
            let wait = short_time(tick.since(now));
            field("tick", format!("{}  in {wait}", schedule.zone.show(tick)));
        }
    }
    lines
}
