//! Figures for people.

use std::time::Duration;

use crate::board::short_time;

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, a second; a minute where that is easier to read.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second == 0.0 {
        "0/s".to_owned()
    } else if per_second < 0.1 {
        format!("{:.1}/min", per_second * 60.0)
    } else if per_second < 100.0 {
        format!("{per_second:.1}/s")
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive, and nobody has 2^64 jobs a second"
        )]
        let whole = per_second.round() as u64;
        format!("{}/s", count(whole))
    }
}

/// A part of all; `—` where there is no whole.
pub(crate) fn share(part: Option<f64>) -> String {
    part.map_or_else(|| "—".to_owned(), |part| format!("{:.1} %", part * 100.0))
}

/// A time; `—` for none. Percentiles are right to about 6 %, so that more digits would say nothing.
pub(crate) fn time(time: Option<Duration>) -> String {
    match time {
        None => "—".to_owned(),
        Some(time) if time < Duration::from_secs(1) => format!("{}ms", time.as_millis()),
        Some(time) => short_time(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_say_their_unit() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 0.05, 12.34, 4_567.8].map(rate),
            ["0/s", "3.0/min", "12.3/s", "4,568/s"]
        );
        assert_eq!([None, Some(0.0123)].map(share), ["—", "1.2 %"]);
        let times = [0, 350, 1_500, 65_000].map(|millis| time(Some(Duration::from_millis(millis))));
        assert_eq!(times, ["0ms", "350ms", "1.5s", "1m 5s"]);
        assert_eq!(time(None), "—");
    }
}
