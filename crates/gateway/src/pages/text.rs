//! Numbers and times for people.

use std::time::Duration;

use longshore::cron::Zone;
use longshore_core::Timestamp;

/// A count with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 job`, `2 jobs`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration in its two largest units: `350 ms`, `2.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |many: u64, unit: &str, rest: u64, small: &str| {
        if rest == 0 {
            format!("{many} {unit}")
        } else {
            format!("{many} {unit} {rest} {small}")
        }
    };
    match seconds {
        0 => format!("{} ms", duration.subsec_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// As [`span`] in whole seconds, as the scripts of a page count it on: `0 s`, `7 s`, `1 min 5 s`.
pub(crate) fn whole(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..10 => format!("{seconds} s"),
        _ => span(duration),
    }
}

/// A time of day in UTC, with the date: `2026-11-26 16:30:05`.
pub(crate) fn stamp(at: Timestamp) -> String {
    let shown = iso(at);
    match (shown.get(..10), shown.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => shown,
    }
}

/// A time of day in UTC, to the millisecond: `16:30:05.123`.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let seconds = at.millis() / 1_000 % 86_400;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        at.millis() % 1_000
    )
}

/// RFC 3339 in UTC.
pub(crate) fn iso(at: Timestamp) -> String {
    Zone::UTC.show(at)
}

/// Bytes for people: `812 B`, `4.2 KiB`.
pub(crate) fn bytes(number: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "rounded to one digit anyway")]
    let exact = number as f64;
    match number {
        0..1_024 => format!("{number} B"),
        1_024..1_048_576 => format!("{:.1} KiB", exact / 1_024.0),
        _ => format!("{:.1} MiB", exact / 1_048_576.0),
    }
}

/// The beginning of a text, at most `most` characters, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(plural(1, "job", "jobs"), "1 job");
        assert_eq!(plural(2, "job", "jobs"), "2 jobs");
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        let cases = [
            (350, "350 ms"),
            (2_400, "2.4 s"),
            (12_000, "12 s"),
            (184_000, "3 min 4 s"),
            (180_000, "3 min"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(whole(Duration::from_millis(999)), "0 s");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(stamp(Timestamp(0)), "1970-01-01 00:00:00");
        assert_eq!(iso(Timestamp(1_000)), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äöü…");
    }
}
