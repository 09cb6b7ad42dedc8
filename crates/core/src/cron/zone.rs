//! Time zones by their IANA names.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A time zone of the IANA database that this build carries. Default: UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub(super) Tz);

/// A zone that the database does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("zone: \"{name}\" is not a time zone; {fix}")]
pub struct UnknownZone {
    /// What was asked for, cut to 64 characters.
    pub name: String,
    /// Names that are like it, or how to find one.
    pub fix: String,
}

/// Below this likeness (Jaro-Winkler, 0 to 1) a name is no suggestion.
const LIKENESS_MIN: f64 = 0.8;

/// Abbreviations of offsets and of daylight-saving time are no zones: several places use each.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("bst", "Europe/London"),
    ("cdt", "America/Chicago"),
    ("cest", "Europe/Berlin"),
    ("cst", "America/Chicago"),
    ("edt", "America/New_York"),
    ("eest", "Europe/Helsinki"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
    ("mdt", "America/Denver"),
    ("pdt", "America/Los_Angeles"),
    ("pst", "America/Los_Angeles"),
];

impl Zone {
    /// Coordinated Universal Time: no daylight-saving time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The version of the IANA database in this build, such as `2025b`.
    pub const DATABASE: &'static str = chrono_tz::IANA_TZDB_VERSION;

    /// The zone with this IANA name, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// When there is none; the error suggests up to three that are like it.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        name.parse::<Tz>().map(Self).map_err(|_| {
            let name: String = name.chars().take(64).collect();
            UnknownZone {
                fix: fix(&name),
                name: name.escape_debug().to_string(),
            }
        })
    }

    /// A time on this zone's wall, as RFC 3339 with the offset in force: `2026-03-29T03:00:00+02:00`.
    pub fn show(self, at: Timestamp) -> String {
        let time = i64::try_from(at.millis())
            .ok()
            .and_then(DateTime::from_timestamp_millis);
        time.map_or_else(
            || format!("{} ms", at.millis()),
            |time| {
                time.with_timezone(&self.0)
                    .to_rfc3339_opts(SecondsFormat::AutoSi, true)
            },
        )
    }

    /// Its IANA name.
    pub fn as_str(&self) -> &'static str {
        self.0.name()
    }
}

fn fix(name: &str) -> String {
    let folded = name.trim().to_lowercase().replace([' ', '-'], "_");
    if folded.contains(|one: char| one == '+' || one.is_ascii_digit()) {
        return "use the name of a place, such as Europe/Berlin, or UTC; an offset knows no daylight-saving time"
            .to_owned();
    }
    let abbreviation = ABBREVIATIONS.iter().find(|(short, _)| *short == folded);
    let alike = match abbreviation {
        Some((_, zone)) => vec![*zone],
        None => alike(&folded),
    };
    if alike.is_empty() {
        "use an IANA name, such as Europe/Berlin or UTC".to_owned()
    } else {
        format!("did you mean {}?", alike.join(" or "))
    }
}

/// The three names most like `folded`; a name whose city it is comes alone.
fn alike(folded: &str) -> Vec<&'static str> {
    let scored = TZ_VARIANTS.iter().map(|zone| {
        let known = zone.name().to_lowercase();
        let city = known.rsplit('/').next().unwrap_or_default();
        if known == folded || city == folded {
            return (2.0, zone.name());
        }
        let whole = strsim::jaro_winkler(&known, folded);
        (whole.max(strsim::jaro_winkler(city, folded)), zone.name())
    });
    let mut scored: Vec<_> = scored.filter(|(score, _)| *score >= LIKENESS_MIN).collect();
    scored.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let exact = scored.iter().take_while(|(score, _)| *score > 1.0).count();
    scored.truncate(if exact > 0 { exact.min(3) } else { 3 });
    scored.into_iter().map(|(_, name)| name).collect()
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(name: String) -> Result<Self, UnknownZone> {
        Self::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.as_str().to_owned()
    }
}
