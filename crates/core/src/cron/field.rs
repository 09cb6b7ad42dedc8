//! One field of a cron expression: checked here, so that an error names the field and the fix, and written in the
//! numbers that `croner` takes.

use super::expression::InvalidExpression;

/// What one position of an expression may hold.
pub(super) struct Field {
    /// Its name in errors.
    pub(super) name: &'static str,
    min: u16,
    max: u16,
    /// Names that stand for numbers, from `min` on.
    names: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    DayOfMonth,
    DayOfWeek,
}

const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The six fields in order; an expression of five has no seconds.
pub(super) const FIELDS: [Field; 6] = [
    Field::plain("second", 0, 59, &[]),
    Field::plain("minute", 0, 59, &[]),
    Field::plain("hour", 0, 23, &[]),
    Field {
        kind: Kind::DayOfMonth,
        ..Field::plain("day of month", 1, 31, &[])
    },
    Field::plain("month", 1, 12, MONTHS),
    Field {
        kind: Kind::DayOfWeek,
        ..Field::plain("day of week", 0, 7, WEEKDAYS)
    },
];

impl Field {
    const fn plain(name: &'static str, min: u16, max: u16, names: &'static [&'static str]) -> Self {
        Self {
            name,
            min,
            max,
            names,
            kind: Kind::Plain,
        }
    }

    /// Checks `text` (upper case) and writes it in numbers.
    pub(super) fn normalize(&self, text: &str) -> Result<String, InvalidExpression> {
        if text == "*" || (text == "?" && self.kind != Kind::Plain) {
            return Ok("*".to_owned());
        }
        let items = text
            .split(',')
            .map(|item| self.item(text, item))
            .collect::<Result<Vec<_>, _>>()?;
        if items.iter().any(|item| item == "L") && items.iter().any(|item| item == "LW") {
            return Err(self.invalid(text, "has both L and LW", "keep one of them"));
        }
        Ok(items.join(","))
    }

    /// One item of a comma-separated list.
    fn item(&self, text: &str, item: &str) -> Result<String, InvalidExpression> {
        if item.is_empty() {
            return Err(self.invalid(text, "has an empty item", "remove the extra comma"));
        }
        if item == "*" || item == "?" {
            return Err(self.invalid(
                text,
                &format!("has {item} in a list"),
                "let it stand alone, or name the values",
            ));
        }
        if let Some((range, step)) = item.split_once('/') {
            return self.stepped(text, range, step);
        }
        match self.kind {
            Kind::DayOfMonth if item.contains(['L', 'W']) => self.special_day(text, item),
            Kind::DayOfWeek if item.contains('#') || item.ends_with('L') => self.special_weekday(text, item),
            _ => self.range(text, item),
        }
    }

    /// `*/5` or `10-30/5`.
    fn stepped(&self, text: &str, range: &str, step: &str) -> Result<String, InvalidExpression> {
        let widest = self.max - self.min;
        let number = step.parse().ok().filter(|step| (1..=widest).contains(step));
        let Some(number): Option<u16> = number else {
            return Err(self.invalid(
                text,
                &format!("has the step \"{step}\""),
                &format!("use a step of 1 to {widest}"),
            ));
        };
        if range == "*" {
            return Ok(format!("*/{number}"));
        }
        if !range.contains('-') {
            return Err(self.invalid(
                text,
                "steps from a single value",
                &format!("write the range, such as {}-{}/{number}", range, self.max),
            ));
        }
        Ok(format!("{}/{number}", self.range(text, range)?))
    }

    /// A value or a range of values.
    fn range(&self, text: &str, item: &str) -> Result<String, InvalidExpression> {
        let Some((from, to)) = item.split_once('-') else {
            return Ok(self.value(text, item)?.to_string());
        };
        let first = self.value(text, from)?;
        let mut last = self.value(text, to)?;
        // A week may end with Sunday: FRI-SUN is 5-7.
        if self.kind == Kind::DayOfWeek && last == 0 && first > 0 {
            last = 7;
        }
        if first > last {
            return Err(self.invalid(
                text,
                "has a range that runs backwards",
                &format!("write {from}-{},{}-{to}", self.last_name(), self.first_name()),
            ));
        }
        Ok(format!("{first}-{last}"))
    }

    /// `L`, `LW` or `15W`.
    fn special_day(&self, text: &str, item: &str) -> Result<String, InvalidExpression> {
        if item == "L" || item == "LW" {
            return Ok(item.to_owned());
        }
        match item.strip_suffix('W') {
            Some(day) if !day.contains('L') => Ok(format!("{}W", self.value(text, day)?)),
            _ => Err(self.invalid(
                text,
                &format!("has \"{item}\""),
                "use L (last day), LW (last working day) or 15W (working day nearest to the 15th)",
            )),
        }
    }

    /// `FRIL`, `FRI#L` or `MON#2`.
    fn special_weekday(&self, text: &str, item: &str) -> Result<String, InvalidExpression> {
        if let Some(day) = item.strip_suffix("#L").or(item.strip_suffix('L')) {
            if day.is_empty() {
                return Err(self.invalid(text, "has L without a day", "write the day, such as FRIL"));
            }
            return Ok(format!("{}L", self.value(text, day)?));
        }
        let (day, nth) = item.split_once('#').unwrap_or((item, ""));
        match nth {
            "1" | "2" | "3" | "4" | "5" => Ok(format!("{}#{nth}", self.value(text, day)?)),
            _ => Err(self.invalid(
                text,
                &format!("counts to \"{nth}\""),
                "use #1 to #5, or L for the last, such as MON#2 or FRIL",
            )),
        }
    }

    fn value(&self, text: &str, value: &str) -> Result<u16, InvalidExpression> {
        if let Some(position) = self.names.iter().position(|name| *name == value) {
            return Ok(self.min + u16::try_from(position).unwrap_or(0));
        }
        // `parse` would take a sign.
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value
            .parse()
            .ok()
            .filter(|number| digits && (self.min..=self.max).contains(number));
        number.ok_or_else(|| {
            let fix = match self.names {
                [] => format!("use {} to {}", self.min, self.max),
                [first, .., last] => format!("use {} to {}, or {first} to {last}", self.min, self.max),
                [only] => format!("use {only}"),
            };
            self.invalid(text, &format!("has \"{value}\""), &fix)
        })
    }

    fn first_name(&self) -> String {
        let first = self.names.first().map(|name| (*name).to_owned());
        first.unwrap_or_else(|| self.min.to_string())
    }

    fn last_name(&self) -> String {
        let last = self.names.last().map(|name| (*name).to_owned());
        last.unwrap_or_else(|| self.max.to_string())
    }

    fn invalid(&self, text: &str, problem: &str, fix: &str) -> InvalidExpression {
        InvalidExpression::Field {
            field: self.name,
            text: text.to_owned(),
            problem: problem.to_owned(),
            fix: fix.to_owned(),
        }
    }
}
