//! Fields of jobs that not everybody sees.

use longshore_core::access::Role;
use serde_json::Value;

/// What stands in the place of a hidden value.
pub(crate) const HIDDEN: &str = "[hidden]";
/// What a rule may begin with.
const PLACES: [&str; 7] = [
    "args", "result", "metadata", "error", "history", "progress", "log",
];

/// A rule: what only a role, and those above it, see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HideRule {
    role: Role,
    path: Vec<String>,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" hides nothing; use a path that begins with args, result, metadata, error, history, progress or log, such as \
     args.card.number or args.*.email, or ROLE:PATH for the role that sees it (admin unless said)"
)]
pub struct InvalidHideRule(String);

impl std::str::FromStr for HideRule {
    type Err = InvalidHideRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHideRule(text.chars().take(128).collect());
        let (role, path) = match text.split_once(':') {
            Some((role, path)) => (role.parse().map_err(|_| invalid())?, path),
            None => (Role::Admin, text),
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let known = path.first().is_some_and(|place| PLACES.contains(&place.as_str()));
        if known && path.iter().all(|segment| !segment.is_empty()) {
            Ok(Self { role, path })
        } else {
            Err(invalid())
        }
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

    /// [`Hide::apply`] for a text.
    pub(crate) fn text(&self, role: Role, place: &str, field: &str, text: String) -> String {
        let covers = |rule: &HideRule| {
            rule.role > role
                && match rule.path.as_slice() {
                    [first] => first == place,
                    [first, second] => first == place && (second == field || second == "*"),
                    _ => false,
                }
        };
        if self.0.iter().any(covers) {
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
        for wrong in ["", "argument.x", "args..x", "boss:args", "args."] {
            assert!(wrong.parse::<HideRule>().is_err(), "{wrong}");
        }
    }
}
