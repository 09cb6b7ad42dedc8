//! `longshore config`, and what the configuration's values must be that only this crate can tell: it sees the backend that
//! takes the URLs and the adapters that take the rest.

mod programs;

use longshore_backend::Endpoints;
use longshore_gateway::{HideRule, RoleRule, TraceUrl};
use longshore_notify::signature::Key;
use longshore_notify::webhook::check_url;
use longshore_service::config::{Config, Problem, Problems, Sources};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::adapter::http;
use crate::failure::Failure;
use crate::notify;
use crate::output::{Format, Out, warn};

/// Reads and checks the configuration.
///
/// # Errors
/// Every problem at once.
pub(crate) fn load(sources: &Sources) -> Result<Config, Failure> {
    read(sources).map_err(|problems| Failure::new(ExitCode::Config, problems))
}

/// `longshore config check`
///
/// # Errors
/// Every problem at once.
pub(crate) fn check(sources: &Sources, out: &mut Out) -> Result<(), Failure> {
    let found = read(sources);
    let problems = found
        .as_ref()
        .err()
        .map_or(&[][..], |Problems(problems)| problems);
    let missing = found.as_ref().map(programs::missing).unwrap_or_default();
    match out.format {
        Format::Table if problems.is_empty() => out.line("the configuration has no problems")?,
        Format::Table => {}
        Format::Json | Format::Jsonl => {
            let problems: Vec<_> = problems.iter().map(problem).collect();
            let mut found = json!({ "problems": problems });
            if let (Value::Object(found), false) = (&mut found, missing.is_empty()) {
                let missing = missing.iter().map(programs::Missing::document).collect();
                found.insert("warnings".to_owned(), Value::Array(missing));
            }
            out.json(&found)?;
        }
    }
    for missing in &missing {
        warn(format!("warning: {missing}"));
    }
    found
        .map(drop)
        .map_err(|problems| Failure::new(ExitCode::Config, problems))
}

/// `longshore config show`
///
/// # Errors
/// Every problem at once, when there is one.
pub(crate) fn show(sources: &Sources, out: &mut Out) -> Result<(), Failure> {
    let config = load(sources)?;
    match out.format {
        Format::Table => out.line(config.dump().trim_end())?,
        Format::Json | Format::Jsonl => {
            let table = config
                .table()
                .map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
            out.json(&table)?;
        }
    }
    Ok(())
}

fn problem(problem: &Problem) -> Value {
    json!({
        "key": problem.key,
        "origin": problem.origin.to_string(),
        "message": problem.message,
    })
}

fn read(sources: &Sources) -> Result<Config, Problems> {
    Config::load_and(sources, &judge, &|config| {
        let checked = notify::check(config);
        checked
            .err()
            .map(|Problems(problems)| problems)
            .unwrap_or_default()
    })
}

fn judge(key: &str, field: Option<&str>, text: &str) -> Result<(), String> {
    match key {
        "amqp_url" => Endpoints::amqp(text).map(drop).map_err(without(key)),
        "redis_url" => Endpoints::redis(text).map(drop).map_err(without(key)),
        "worker.http.*.url" | "notify.webhook.*.url" => check_url(text).map(drop),
        "worker.http.*.secret" | "notify.webhook.*.secret" => {
            Key::parse(text).map(drop).map_err(|error| error.to_string())
        }
        "worker.http.*.headers" => http::check_header(field.unwrap_or_default(), text),
        "api.url" => crate::remote::address::check(text),
        "gateway.public_url" => match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
            _ => Err("is no URL; use one such as https://jobs.example".to_owned()),
        },
        "gateway.trace_url" => text
            .parse::<TraceUrl>()
            .map(drop)
            .map_err(|error| error.to_string()),
        "gateway.oidc.issuer" => match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
            _ => Err(
                "is no URL; use the provider's own name, such as https://login.example/realms/staff"
                    .to_owned(),
            ),
        },
        "gateway.oidc.roles" => text
            .parse::<RoleRule>()
            .map(drop)
            .map_err(|error| error.to_string()),
        "gateway.hide" => text
            .parse::<HideRule>()
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

/// The list names the key itself.
fn without<E: std::fmt::Display>(key: &str) -> impl Fn(E) -> String {
    let prefix = format!("{key}: the URL ");
    let bare = format!("{key}: ");
    move |error| {
        let text = error.to_string();
        let rest = text.strip_prefix(&prefix).or_else(|| text.strip_prefix(&bare));
        rest.map(str::to_owned).unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_who_takes_them() {
        let cases = [
            ("amqp_url", "http://u:s3cret@h", "\"http\""),
            ("amqp_url", "amqp://u:s3cret@", "names no host"),
            ("redis_url", "redis-sentinel://u:s3cret@h", "names no master"),
            ("redis_url", "redis://u:s3cret@h/abc", "is not a usable Redis URL"),
            ("redis_url", "redis://a,b", "names several hosts"),
            ("worker.http.*.url", "ftp://u:s3cret@h", "https://host/path"),
            ("worker.http.*.url", "s3cret", "https://host/path"),
            ("worker.http.*.secret", "whsec_s3cret!", "base64"),
            ("worker.http.*.headers", "s3cret\nx", "header"),
        ];
        for (key, text, says) in cases {
            let problem = judge(key, Some("authorization"), text).unwrap_err();
            assert!(problem.contains(says), "{key} {text}: {problem}");
            assert!(
                !problem.contains("s3cret") && !problem.starts_with(key),
                "{problem}"
            );
        }
        assert!(
            judge("worker.http.*.headers", Some("a b"), "x")
                .unwrap_err()
                .contains("\"a b\"")
        );
        for (key, text) in [
            ("amqp_url", "amqps://u:p@h:5671/v"),
            ("redis_url", "rediss-cluster://a:7000,b:7001"),
            ("worker.http.*.url", "https://h/x?y=z"),
            ("worker.http.*.secret", "whsec_c2VjcmV0"),
        ] {
            assert_eq!(judge(key, None, text), Ok(()), "{key}");
        }
    }
}
