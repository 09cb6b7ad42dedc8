//! `longshore cron next`: when an expression ticks. Asks no server.

use longshore::cron::{Expression, Schedule, Zone};
use longshore_core::{Clock, SystemClock, Timestamp};
use serde_json::json;

use crate::args::CronNext;
use crate::board::short_time;
use crate::failure::Failure;
use crate::output::{Column, Give, Out};
use crate::request::parse_time;

/// Prints the next ticks.
///
/// # Errors
/// Every problem of the expression, the zone and the time.
pub(crate) fn run(options: &CronNext, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock.now();
    let (schedule, from) = read(options, now)?;
    let ticks: Vec<_> = schedule.ticks(from).take(options.count as usize).collect();
    let rows: Vec<_> = ticks
        .iter()
        .map(|tick| json!({ "at": schedule.zone.show(*tick), "at_ms": tick }))
        .collect();
    let cells = ticks.iter().map(|tick| {
        vec![
            schedule.zone.show(*tick),
            Zone::UTC.show(*tick),
            if *tick > now {
                short_time(tick.since(now))
            } else {
                "past".to_owned()
            },
        ]
    });
    Ok(out.rows(
        &[
            Column::new("TICK", Give::Nothing),
            Column::new("UTC", Give::All(0)),
            Column::new("IN", Give::Nothing),
        ],
        &rows,
        cells,
    )?)
}

fn read(options: &CronNext, now: Timestamp) -> Result<(Schedule, Timestamp), Failure> {
    let mut problems = Vec::new();
    let mut told = |problem: String| problems.push(problem);
    let expression = Expression::parse(&options.expression).map_err(|error| told(error.to_string()));
    let zone = zone(options.tz.as_deref()).map_err(&mut told);
    let from = options.from.as_deref().map_or(Ok(now), parse_time);
    let from = from.map_err(|problem| told(format!("--from: {problem}")));
    match (expression, zone, from) {
        (Ok(expression), Ok(zone), Ok(from)) => Ok((Schedule { expression, zone }, from)),
        _ => Err(Failure::usage(problems.join("\n  "))),
    }
}

/// The zone of the option `--tz`.
///
/// # Errors
/// What is wrong with it, under the option's name.
pub(super) fn zone(given: Option<&str>) -> Result<Zone, String> {
    let zone = given.map_or(Ok(Zone::UTC), Zone::parse);
    zone.map_err(|error| error.to_string().replacen("zone: ", "--tz: ", 1))
}
