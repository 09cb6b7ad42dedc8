//! Durations as people write them.

use std::time::Duration;

use longshore_core::limits::DURATION_MAX;

/// What is accepted, for messages.
pub const FORMS: &str = "a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds";

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was given.
    #[error("is empty; use {FORMS}")]
    Empty,
    /// Below zero.
    #[error("\"{0}\" is negative; a duration cannot be")]
    Negative(String),
    /// Neither a number nor a number with a unit.
    #[error("\"{0}\" is not a duration; use {FORMS}")]
    NotADuration(String),
    /// A unit that is not known.
    #[error("\"{text}\" has the unknown unit \"{unit}\"; use ms, s, m, h, d or w")]
    Unit {
        /// What was given.
        text: String,
        /// The unit in it.
        unit: String,
    },
    /// Longer than ten years.
    #[error("\"{0}\" is longer than ten years")]
    TooLong(String),
}

/// Reads a duration: `500ms`, `30s`, `5m`, `2h`, `7d`, `1w`, parts together such as `1h30m`, fractions such as
/// `1.5h`, or a plain number of seconds.
///
/// # Errors
/// A fragment that fits after "field: " and says what is accepted.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let text = text.trim();
    let shown = || text.chars().take(64).collect::<String>();
    if text.is_empty() {
        return Err(Error::Empty);
    }
    if let Some(rest) = text.strip_prefix('-') {
        let number = rest
            .trim_start()
            .starts_with(|first: char| first.is_ascii_digit());
        return Err(if number {
            Error::Negative(shown())
        } else {
            Error::NotADuration(shown())
        });
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, unit, left) = part(rest).ok_or_else(|| Error::NotADuration(shown()))?;
        // A number alone is seconds; inside a longer text it is a slip.
        let alone = unit.is_empty() && rest.len() == text.len() && left.is_empty();
        let factor = if alone { Some(1.0) } else { factor(unit) };
        let factor = factor.ok_or_else(|| Error::Unit {
            text: shown(),
            unit: unit.to_owned(),
        })?;
        seconds += number * factor;
        rest = left.trim_start();
    }
    if seconds > DURATION_MAX.as_secs_f64() {
        return Err(Error::TooLong(shown()));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| Error::NotADuration(shown()))
}

/// Splits `1.5h30m` into 1.5, `h` and `30m`.
fn part(text: &str) -> Option<(f64, &str, &str)> {
    let unit_at = text
        .find(|char: char| !char.is_ascii_digit() && char != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(unit_at);
    let rest = rest.trim_start();
    let left_at = rest
        .find(|char: char| char.is_ascii_digit() || char.is_whitespace())
        .unwrap_or(rest.len());
    let (unit, left) = rest.split_at(left_at);
    Some((number.parse().ok()?, unit, left))
}

fn factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" | "sec" | "secs" => 1.0,
        "m" | "min" | "mins" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    })
}

/// Writes a duration so that [`parse`] reads the same: `1h30m`, `250ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if millis >= size {
            text.push_str(&(millis / size).to_string());
            text.push_str(unit);
            millis %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let cases = [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("10 s", 10_000),
            ("45", 45_000),
            ("0.25", 250),
            ("0", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (
                "",
                "is empty; use a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds",
            ),
            ("-5s", "\"-5s\" is negative; a duration cannot be"),
            ("- 5", "\"- 5\" is negative; a duration cannot be"),
            (
                "soon",
                "\"soon\" is not a duration; use a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds",
            ),
            (
                "-soon",
                "\"-soon\" is not a duration; use a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds",
            ),
            (
                "5 parsecs",
                "\"5 parsecs\" has the unknown unit \"parsecs\"; use ms, s, m, h, d or w",
            ),
            (
                "1h30",
                "\"1h30\" has the unknown unit \"\"; use ms, s, m, h, d or w",
            ),
            (
                "1.2.3s",
                "\"1.2.3s\" is not a duration; use a number with a unit (500ms, 30s, 5m, 2h, 7d) or a number of seconds",
            ),
            ("99999d", "\"99999d\" is longer than ten years"),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 999, 1_000, 61_001, 5_400_000, 604_800_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&format(duration)), Ok(duration), "{}", format(duration));
        }
        assert_eq!(format(Duration::from_secs(5_400)), "1h30m");
    }
}
