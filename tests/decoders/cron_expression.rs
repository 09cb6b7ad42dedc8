//! Cron expressions and time zones, as people write them.

use longshore_core::Timestamp;
use longshore_core::cron::{Expression, Schedule, Zone};

/// An expression, and behind a line break a zone: it is refused, or its ticks are later than what was asked for.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (expression, zone) = text.split_once('\n').unwrap_or((&text, "America/New_York"));
    let zone = Zone::parse(zone).unwrap_or_else(|_| Zone::parse("America/New_York").unwrap());
    let Ok(expression) = Expression::parse(expression) else {
        return;
    };
    let schedule = Schedule { expression, zone };
    let mut from = Timestamp(1_700_000_000_000);
    for _ in 0..3 {
        let Some(tick) = schedule.next(from) else { return };
        assert!(tick > from, "{text}");
        from = tick;
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "*/5 * * * *",
        "30 2 * * *\nEurope/Berlin",
        "0 0 9 LW * MON#2",
        "0 0 29 2 *\nUTC",
        "59 59 23 31 12 *",
        "@daily\nAustralia/Lord_Howe",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
