//! The form that hands a job over.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use longshore::{JobId, Priority, QueueName};
use longshore_core::access::Role;
use longshore_core::spec::{Dependency, Start};
use longshore_core::{FunctionName, JobSpec};
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::{html, see};
use crate::auth::Posted;
use crate::error::{Error, ErrorCode};
use crate::extract::Query;

/// The fields of the form. An empty one means the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    function: String,
    args: String,
    name: String,
    queue: String,
    priority: String,
    delay: String,
    timeout: String,
    max_retries: String,
    tags: String,
    depends_on: String,
    idempotency_key: String,
}

#[derive(Debug, Template)]
#[template(path = "enqueue.html")]
struct Form {
    frame: Frame,
    fields: Fields,
    functions: Vec<String>,
    problems: Vec<String>,
}

/// `GET /enqueue`
pub(super) async fn ask(page: Page, Query(fields): Query<Fields>) -> Result<Response, Error> {
    page.session.require(Role::Producer)?;
    form(&page, fields, Vec::new()).await
}

async fn form(page: &Page, fields: Fields, problems: Vec<String>) -> Result<Response, Error> {
    html(&Form {
        frame: page.frame("Enqueue a job", "jobs").await?,
        functions: functions(page).await?,
        fields,
        problems,
    })
}

/// Functions that a live worker has.
pub(super) async fn functions(page: &Page) -> Result<Vec<String>, Error> {
    let workers = page.state.client().workers().await?;
    let mut functions: Vec<_> = workers
        .iter()
        .flat_map(|worker| &worker.functions)
        .map(ToString::to_string)
        .collect();
    functions.sort();
    functions.dedup();
    Ok(functions)
}

/// `POST /enqueue`
pub(super) async fn submit(page: Page, posted: Posted<Fields>) -> Result<Response, Error> {
    posted.session.require(Role::Producer)?;
    let enqueued = match read(&posted.form) {
        Ok(spec) => super::act::enqueue(&page.state, &posted.session, spec).await,
        Err(problems) => Err(Error::invalid(problems)),
    };
    match enqueued {
        Ok((id, existing)) => {
            let done = if existing { "existing" } else { "enqueued" };
            Ok(see(&page.state, &format!("/jobs/{id}?done={done}")))
        }
        Err(error) if matches!(error.code, ErrorCode::Invalid | ErrorCode::Conflict) => {
            let problems = if error.problems.is_empty() {
                vec![error.detail]
            } else {
                error.problems
            };
            form(&page, posted.form, problems).await
        }
        Err(error) => Err(error),
    }
}

/// Reads the form.
///
/// # Errors
/// Every problem of every field.
fn read(fields: &Fields) -> Result<JobSpec, Vec<String>> {
    let mut problems = Vec::new();
    let function = FunctionName::new(fields.function.trim());
    let function = function.map_err(|error| problems.push(error.to_string())).ok();
    let args = super::entry::encoded(&fields.args)
        .map_err(|problem| problems.push(problem))
        .ok();
    let queue = optional(&fields.queue, |text| QueueName::new(text), &mut problems);
    let priority = optional(&fields.priority, str::parse::<Priority>, &mut problems);
    let delay = optional(&fields.delay, |text| duration("delay", text), &mut problems);
    let timeout = optional(&fields.timeout, |text| duration("timeout", text), &mut problems);
    let retries = optional(
        &fields.max_retries,
        |text| whole("max_retries", text),
        &mut problems,
    );
    let words = |text: &str| -> Vec<String> {
        text.split([',', ' ', '\n', '\r'])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut parents = Vec::new();
    for word in words(&fields.depends_on) {
        match word.parse::<JobId>() {
            Ok(id) => parents.push(Dependency::from(id)),
            Err(error) => problems.push(format!("depends_on: {error}")),
        }
    }
    let (Some(function), Some(args), true) = (function, args, problems.is_empty()) else {
        return Err(problems);
    };
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut spec = JobSpec::new(function, args);
    spec.name = given(&fields.name);
    spec.idempotency_key = given(&fields.idempotency_key);
    spec.queue = queue.unwrap_or(spec.queue);
    spec.priority = priority.unwrap_or(spec.priority);
    spec.max_retries = retries.unwrap_or(spec.max_retries);
    spec.start = delay.map_or(spec.start, Start::After);
    spec.timeout = timeout;
    spec.tags = words(&fields.tags).into_iter().collect();
    spec.depends_on = parents;
    spec.validate().map_err(|invalid| invalid.problems)?;
    Ok(spec)
}

fn optional<T, E: std::fmt::Display>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let text = Some(text.trim()).filter(|text| !text.is_empty())?;
    read(text).map_err(|error| problems.push(error.to_string())).ok()
}

fn whole(field: &str, text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{field}: \"{text}\" is no whole number"))
}

/// A number with its unit: `500ms`, `30s`, `5m`, `2h`, `1d`; without one it is seconds.
fn duration(field: &str, text: &str) -> Result<Duration, String> {
    let digits = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let millis = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|_| factor > 0);
    let problem = || format!("{field}: \"{text}\" is no duration; write it as 30s, 5m, 2h or 1d");
    millis.map(Duration::from_millis).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_job() {
        let fields = Fields {
            function: "resize".to_owned(),
            args: r#"{"path": "a"}"#.to_owned(),
            priority: "high".to_owned(),
            delay: "5m".to_owned(),
            tags: "user:1, nightly".to_owned(),
            ..Fields::default()
        };
        let spec = read(&fields).unwrap();
        assert_eq!(spec.priority, Priority::High);
        assert_eq!(spec.start, Start::After(Duration::from_secs(300)));
        assert_eq!(spec.tags.len(), 2);
    }

    #[test]
    fn every_wrong_field_is_told() {
        let fields = Fields {
            args: "{".to_owned(),
            priority: "urgent".to_owned(),
            delay: "soon".to_owned(),
            max_retries: "-1".to_owned(),
            depends_on: "x".to_owned(),
            ..Fields::default()
        };
        assert_eq!(read(&fields).unwrap_err().len(), 6);
    }

    #[test]
    fn durations_have_units() {
        let cases = [
            ("500ms", 500),
            ("30s", 30_000),
            ("30", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ];
        for (text, millis) in cases {
            assert_eq!(
                duration("delay", text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "h",
            "1.5s",
            "1y",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration("delay", wrong).is_err(), "{wrong}");
        }
    }
}
