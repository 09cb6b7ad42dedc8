//! A cron expression, checked.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

use super::field::FIELDS;
use crate::limits::CRON_EXPRESSION_BYTES_MAX;

/// A cron expression that can tick: five fields (minute, hour, day of month, month, day of week) or six (a second
/// before them), or a nickname such as `@daily`.
///
/// | field | values | and |
/// |---|---|---|
/// | second, minute | 0-59 | `*` `,` `-` `/` |
/// | hour | 0-23 | `*` `,` `-` `/` |
/// | day of month | 1-31 | `*` `?` `,` `-` `/`, `L` (last day), `LW` (last working day), `15W` (working day nearest to the 15th) |
/// | month | 1-12, JAN-DEC | `*` `,` `-` `/` |
/// | day of week | 0-7 (0 and 7 are Sunday), SUN-SAT | `*` `?` `,` `-` `/`, `FRIL` (last Friday), `MON#2` (second Monday) |
///
/// When both day fields say something other than `*` or `?`, a day that fits either of them ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: Arc<str>,
    pub(super) cron: Cron,
    fixed: bool,
}

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidExpression {
    /// Nothing there, too much of it, or characters that no expression has.
    #[error("expression: {problem}; write five or six fields, such as \"30 2 * * MON-FRI\"")]
    Shape {
        /// What is wrong.
        problem: String,
    },
    /// A field is wrong.
    #[error("expression: the {field} \"{text}\" {problem}; {fix}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it says.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// What to write.
        fix: String,
    },
    /// A nickname that does not exist.
    #[error("expression: \"{0}\" is not a nickname; use @hourly, @daily, @weekly, @monthly or @yearly")]
    Nickname(String),
    /// Well formed, but no date ever fits.
    #[error("expression: \"{0}\" never happens; choose a day that its months have, or L for the last one")]
    Impossible(String),
}

impl Expression {
    /// Reads an expression. Upper and lower case are the same.
    ///
    /// # Errors
    /// When it is malformed, or when no date ever fits it (31 February).
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        let text = shaped(text)?;
        let normalized = normalize(&text.to_ascii_uppercase())?;
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(&normalized)
            .map_err(|error| InvalidExpression::Shape {
                problem: format!("\"{text}\" cannot be read ({error})"),
            })?;
        // The date fields repeat at the latest after 400 years, which the search covers.
        if cron.find_next_occurrence(&search_start(), false).is_err() {
            return Err(InvalidExpression::Impossible(text));
        }
        let times = normalized.split(' ').take(3);
        Ok(Self {
            fixed: !times.into_iter().any(|field| field.contains(['*', '/'])),
            text: text.into(),
            cron,
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names fixed times of day, rather than an interval (see the module's rules on daylight-saving time).
    pub const fn is_fixed(&self) -> bool {
        self.fixed
    }
}

/// Any time will do: what matters is whether a date is ever found.
fn search_start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2000, 1, 1)
        .unwrap_or_default()
        .and_time(chrono::NaiveTime::MIN)
}

/// The text with single spaces, when it is short and printable.
fn shaped(text: &str) -> Result<String, InvalidExpression> {
    let problem = if text.len() > CRON_EXPRESSION_BYTES_MAX {
        format!(
            "has {} bytes, over the limit of {CRON_EXPRESSION_BYTES_MAX}",
            text.len()
        )
    } else if let Some(odd) = text
        .chars()
        .find(|one| !one.is_ascii_graphic() && !one.is_ascii_whitespace())
    {
        format!("has the character '{}'", odd.escape_default())
    } else {
        return Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    };
    Err(InvalidExpression::Shape { problem })
}

/// Six fields in numbers.
fn normalize(text: &str) -> Result<String, InvalidExpression> {
    if text.starts_with('@') {
        return nickname(text);
    }
    let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
    let known = match fields.len() {
        5 => FIELDS.get(1..),
        6 => FIELDS.get(..),
        0 => {
            return Err(InvalidExpression::Shape {
                problem: "is empty".to_owned(),
            });
        }
        count => {
            return Err(InvalidExpression::Shape {
                problem: format!(
                    "\"{text}\" has {count} field{}",
                    if count == 1 { "" } else { "s" }
                ),
            });
        }
    };
    let mut numbers = Vec::with_capacity(6);
    if fields.len() == 5 {
        numbers.push("0".to_owned());
    }
    for (field, text) in known.unwrap_or_default().iter().zip(fields) {
        numbers.push(field.normalize(text)?);
    }
    Ok(numbers.join(" "))
}

fn nickname(text: &str) -> Result<String, InvalidExpression> {
    let meaning = match text {
        "@YEARLY" | "@ANNUALLY" => "0 0 0 1 1 *",
        "@MONTHLY" => "0 0 0 1 * *",
        "@WEEKLY" => "0 0 0 * * 0",
        "@DAILY" | "@MIDNIGHT" => "0 0 0 * * *",
        "@HOURLY" => "0 0 * * * *",
        _ => return Err(InvalidExpression::Nickname(text.to_ascii_lowercase())),
    };
    Ok(meaning.to_owned())
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl std::str::FromStr for Expression {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Result<Self, InvalidExpression> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Expression {
    type Error = InvalidExpression;

    fn try_from(text: String) -> Result<Self, InvalidExpression> {
        Self::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text.as_ref().to_owned()
    }
}
