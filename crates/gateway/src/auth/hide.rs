//! Fields of jobs that not everybody sees.

use longshore_core::access::Role;
use serde_json::Value;

/// What stands in the place of a hidden value.
pub(crate) const HIDDEN: &str = "[hidden]";
/// What a rule may begin with, and what may follow; `None` where that is the jobs' own affair.
const PLACES: [(&str, Option<&[&str]>); 7] = [
    ("args", None),
    ("result", None),
    ("metadata", None),
    (
        "error",
        Some(&["error_type", "message", "causes", "traceback", "*"]),
    ),
    ("history", Some(&["error", "*"])),
    ("progress", None),
    ("log", Some(&["text", "*"])),
];
/// What stands beside the fields of a progress: `progress.NAME` is the field NAME.
const NO_FIELDS: [&str; 4] = ["fields", "fraction", "seq", "at_ms"];

/// A rule: what only a role, and those above it, see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HideRule {
    role: Role,
    path: Vec<String>,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{rule}\" hides nothing; {fix}, or ROLE:PATH for the role that sees it (viewer, producer, operator or admin, which \
     it is unless said)"
)]
pub struct InvalidHideRule {
    rule: String,
    fix: String,
}

impl std::str::FromStr for HideRule {
    type Err = InvalidHideRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHideRule {
            rule: text.chars().take(128).collect(),
            fix: fix(text),
        };
        let (role, path) = match text.split_once(':') {
            Some((role, path)) => (role.parse().map_err(|_| invalid())?, path),
            None => (Role::Admin, text),
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if hides_something(&path) && path.iter().all(|segment| !segment.is_empty()) {
            Ok(Self { role, path })
        } else {
            Err(invalid())
        }
    }
}

/// Whether a path leads to something that a job has or may have.
fn hides_something(path: &[String]) -> bool {
    let Some((place, rest)) = path.split_first() else {
        return false;
    };
    let known = PLACES.iter().find(|(known, _)| known == place);
    match (known, rest) {
        (Some(_), []) => true,
        (Some((_, Some(fields))), [field]) => fields.contains(&field.as_str()),
        (Some((_, Some(_))) | None, _) => false,
        (Some(("progress", None)), [field, deeper @ ..]) => {
            !NO_FIELDS.contains(&field.as_str()) && (field != "message" || deeper.is_empty())
        }
        (Some((_, None)), _) => true,
    }
}

/// What to write instead of a path that leads nowhere.
fn fix(text: &str) -> String {
    let path = text.split_once(':').map_or(text, |(_, path)| path);
    let place = path.split('.').next().unwrap_or_default();
    match PLACES.iter().find(|(known, _)| *known == place) {
        Some((place, Some(fields))) => {
            let paths: Vec<_> = fields.iter().map(|field| format!("{place}.{field}")).collect();
            format!("use {place}, or one of {}", paths.join(", "))
        }
        Some(("progress", None)) => {
            "use progress.message, or progress.NAME for a field that a handler tells".to_owned()
        }
        _ => "use a path that begins with args, result, metadata, error, history, progress or log, such as args.card.number \
              or args.*.email"
            .to_owned(),
    }
}

/// Every rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hide(Vec<HideRule>);

impl Hide {
    pub(crate) const fn new(rules: Vec<HideRule>) -> Self {
        Self(rules)
    }

    /// Hides in `value`, which stands at `place` of a job, what `role` may not see. Answers whether anything was.
    pub(crate) fn apply(&self, role: Role, place: &str, value: &mut Value) -> bool {
        let mut hidden = false;
        for rule in self.0.iter().filter(|rule| rule.role > role) {
            if let Some((first, rest)) = rule.path.split_first()
                && first == place
            {
                hidden |= cover(value, rest);
            }
        }
        hidden
    }

    /// [`Hide::apply`] for a text. What an error says is also said by its traceback, its causes and the history of
    /// attempts: where the message is hidden, these are.
    pub(crate) fn text(&self, role: Role, place: &str, field: &str, text: String) -> String {
        let covers = |place: &str, field: &str| {
            self.0.iter().any(|rule| {
                rule.role > role
                    && match rule.path.as_slice() {
                        [first] => first == place,
                        [first, second] => first == place && (second == field || second == "*"),
                        _ => false,
                    }
            })
        };
        let repeats_the_message = matches!(
            (place, field),
            ("error", "traceback" | "causes") | ("history", "error")
        );
        if covers(place, field) || (repeats_the_message && covers("error", "message")) {
            HIDDEN.to_owned()
        } else {
            text
        }
    }

    /// Hides in the answer to why a job does not run what may repeat the job's last error, when `role` may not see that
    /// error's message.
    pub(crate) fn why(&self, role: Role, why: &mut Value) {
        let probe = self.text(role, "error", "message", String::new());
        let hidden = !probe.is_empty();
        let obstacles = why.get_mut("obstacles").and_then(Value::as_array_mut);
        for obstacle in obstacles.into_iter().flatten().filter(|_| hidden) {
            for field in ["last_error", "detail", "explanation"] {
                if let Some(text) = obstacle.get_mut(field).filter(|text| text.is_string()) {
                    *text = probe.clone().into();
                }
            }
        }
    }
}

fn cover(value: &mut Value, path: &[String]) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        let was_there = !value.is_null();
        if was_there {
            *value = Value::String(HIDDEN.to_owned());
        }
        return was_there;
    };
    let mut hidden = false;
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if segment == "*" || segment == name {
                    hidden |= cover(field, rest);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                if segment == "*" || segment.parse() == Ok(at) {
                    hidden |= cover(item, rest);
                }
            }
        }
        _ => {}
    }
    hidden
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hide(rules: &[&str]) -> Hide {
        Hide::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    #[test]
    fn a_path_is_hidden_from_the_roles_below_and_nothing_else_is() {
        let hide = hide(&["args.card.number", "operator:args.users.*.email", "result"]);
        let args = json!({"card": {"number": "4111", "name": "A"}, "users": [{"email": "e", "id": 1}]});
        let seen = |role, place: &str, value: &Value| {
            let mut value = value.clone();
            hide.apply(role, place, &mut value);
            value
        };
        assert_eq!(
            seen(Role::Viewer, "args", &args),
            json!({"card": {"number": HIDDEN, "name": "A"}, "users": [{"email": HIDDEN, "id": 1}]})
        );
        assert_eq!(
            seen(Role::Operator, "args", &args),
            json!({"card": {"number": HIDDEN, "name": "A"}, "users": [{"email": "e", "id": 1}]})
        );
        assert_eq!(seen(Role::Admin, "args", &args), args);
        assert_eq!(seen(Role::Viewer, "result", &json!([1])), json!(HIDDEN));
        assert_eq!(seen(Role::Viewer, "metadata", &args), args);
    }

    #[test]
    fn why_a_job_waits_does_not_repeat_a_hidden_error() {
        let why =
            json!({"obstacles": [{"last_error": "s3cret", "explanation": "after s3cret", "remedy": "wait"}]});
        for (rule, hides) in [
            ("error.message", true),
            ("error", true),
            ("error.traceback", false),
        ] {
            let mut seen = why.clone();
            hide(&[rule]).why(Role::Viewer, &mut seen);
            assert_eq!(!seen.to_string().contains("s3cret"), hides, "{rule}");
            hide(&[rule]).why(Role::Admin, &mut seen);
            assert_eq!(seen["obstacles"][0]["remedy"], "wait");
        }
    }

    #[test]
    fn a_rule_that_hides_nothing_is_told() {
        for (wrong, fix) in [
            ("", "args.card.number"),
            ("argument.x", "args.card.number"),
            ("args..x", "args.card.number"),
            ("boss:args", "ROLE:PATH"),
            ("args.", "args.card.number"),
            ("error.mesage", "error.message"),
            ("operator:error.causes.0", "error.causes"),
            ("history.0.error", "history.error"),
            ("history.worker", "history.error"),
            ("progress.fields.email", "progress.NAME"),
            ("progress.fraction", "progress.message"),
        ] {
            let error = wrong.parse::<HideRule>().unwrap_err().to_string();
            assert!(error.contains(fix), "{wrong}: {error}");
        }
        for right in [
            "args",
            "result.*.name",
            "error.*",
            "history",
            "viewer:progress.email.0",
            "progress.message",
        ] {
            assert!(right.parse::<HideRule>().is_ok(), "{right}");
        }
    }

    #[test]
    fn what_repeats_a_hidden_message_is_hidden_with_it() {
        let hide = hide(&["error.message"]);
        let seen = |place, field| hide.text(Role::Operator, place, field, "s3cret".to_owned());
        for (place, field) in [
            ("error", "message"),
            ("error", "traceback"),
            ("error", "causes"),
            ("history", "error"),
        ] {
            assert_eq!(seen(place, field), HIDDEN, "{place}.{field}");
        }
        assert_eq!(seen("error", "error_type"), "s3cret");
        assert_eq!(seen("progress", "message"), "s3cret");
    }
}
