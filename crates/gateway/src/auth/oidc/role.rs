//! What a claim of the provider's makes of somebody.

use longshore_core::access::Role;
use serde_json::{Map, Value};

/// A value of the claim, and the role that it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    role: Role,
    value: String,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" gives nobody a role; use ROLE:VALUE with the role viewer, producer, operator or admin and a value of the \
     claim, such as admin:platform-team"
)]
pub struct InvalidRoleRule(String);

impl std::str::FromStr for RoleRule {
    type Err = InvalidRoleRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRoleRule(text.chars().take(128).collect());
        let (role, value) = text.split_once(':').ok_or_else(invalid)?;
        let role = role.trim().parse().map_err(|_| invalid())?;
        if value.is_empty() {
            return Err(invalid());
        }
        let value = value.to_owned();
        Ok(Self { role, value })
    }
}

/// The highest role that the values of a claim give; `None` when none of them does.
pub(super) fn of(rules: &[RoleRule], values: &[&str]) -> Option<Role> {
    let given = rules.iter().filter(|rule| values.contains(&&*rule.value));
    given.map(|rule| rule.role).max()
}

/// Whether the provider says that somebody's address is theirs.
pub(super) fn is_verified(claims: &Map<String, Value>) -> bool {
    let flag = claims.get("email_verified");
    flag.is_some_and(|flag| *flag == Value::Bool(true) || flag.as_str() == Some("true"))
}

/// The texts of a claim, by its name or, where there is none, by a path into objects: Keycloak's `realm_access.roles`.
/// An address that the provider has not verified is anybody's, and counts for nothing.
pub(super) fn values<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    if name == "email" && !is_verified(claims) {
        return Vec::new();
    }
    match find(claims, name) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A claim by its name, or by a path into objects.
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        find(claims.get(first)?.as_object()?, rest)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(rules: &[&str], claim: &str, claims: &Value) -> Option<Role> {
        let rules: Vec<RoleRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        of(&rules, &values(claims.as_object().unwrap(), claim))
    }

    #[test]
    fn the_highest_role_counts_and_nobody_has_one_by_default() {
        let rules = ["viewer:staff", "admin:platform", "operator:on:call"];
        let groups = |groups: Value| role(&rules, "groups", &json!({ "groups": groups }));
        assert_eq!(groups(json!(["staff", "platform"])), Some(Role::Admin));
        assert_eq!(groups(json!("staff")), Some(Role::Viewer));
        assert_eq!(groups(json!(["on:call"])), Some(Role::Operator));
        for nobody in [
            json!([]),
            json!(["Staff", "platform2"]),
            json!({"staff": 1}),
            json!(null),
        ] {
            assert_eq!(groups(nobody.clone()), None, "{nobody}");
        }
        assert_eq!(role(&rules, "groups", &json!({})), None);
    }

    #[test]
    fn a_claim_may_stand_inside_others_and_an_address_must_be_verified() {
        let nested = json!({"realm_access": {"roles": ["staff"]}, "a.b": ["staff"]});
        assert_eq!(
            role(&["viewer:staff"], "realm_access.roles", &nested),
            Some(Role::Viewer)
        );
        assert_eq!(role(&["viewer:staff"], "a.b", &nested), Some(Role::Viewer));
        let rules = ["admin:ann@example.com"];
        let mut claims = json!({"email": "ann@example.com"});
        assert_eq!(role(&rules, "email", &claims), None);
        claims["email_verified"] = json!(true);
        assert_eq!(role(&rules, "email", &claims), Some(Role::Admin));
    }

    #[test]
    fn a_rule_without_a_role_or_a_value_is_told() {
        for wrong in ["", "admin", "admin:", "boss:x", ":x"] {
            assert!(wrong.parse::<RoleRule>().is_err(), "{wrong}");
        }
    }
}
