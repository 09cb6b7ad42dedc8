//! `[cron.NAME]`: entries that the scheduler keeps in the store.

use std::collections::BTreeMap;

use longshore_core::cron::{Definition, InvalidDefinition, Schedule, Source, Template};
use longshore_core::name::CronName;
use longshore_core::{FunctionName, JobSpec, QueueName, value};

use super::problem::Problem;
use super::read::Values;
use super::secret::Secret;

const PREFIX: &str = "cron.";

/// Every entry that is whole.
pub(super) fn entries(values: &Values, problems: &mut Vec<Problem>) -> BTreeMap<CronName, Definition> {
    let mut found = BTreeMap::new();
    for (name, origin) in values.names(PREFIX) {
        let mut entry = Entry {
            values,
            at: format!("{PREFIX}{name}"),
            problems: &mut *problems,
        };
        let definition = entry.definition();
        match CronName::new(&name) {
            Ok(name) => found.extend(definition.ok().map(|definition| (name, definition))),
            Err(error) => problems.push(Problem {
                key: format!("{PREFIX}{name}"),
                origin,
                message: error.to_string().trim_start_matches("name: ").to_owned(),
            }),
        }
    }
    found
}

/// What was wrong has been told.
struct Told;

/// One entry under construction.
struct Entry<'a> {
    values: &'a Values,
    at: String,
    problems: &'a mut Vec<Problem>,
}

impl Entry<'_> {
    fn definition(&mut self) -> Result<Definition, Told> {
        // Every field is looked at before one that is wrong ends it.
        let expression = self.required("expression", str::parse);
        let function = self.required("function", |text| FunctionName::new(text));
        let zone = self.optional("zone", str::parse);
        let queue = self.optional("queue", |text| QueueName::new(text));
        let priority = self.optional("priority", str::parse);
        let misfire = self.optional("misfire", str::parse);
        let overlap = self.optional("overlap", str::parse);
        let args = self.args();
        let mut spec = JobSpec::new(function?, args?);
        spec.queue = queue?.unwrap_or_default();
        spec.priority = priority?.unwrap_or_default();
        spec.max_retries = self
            .values
            .count(&self.key("max_retries"))
            .unwrap_or(spec.max_retries);
        spec.timeout = self.values.time(&self.key("timeout"));
        spec.expires_in = self.values.time(&self.key("expires_in"));
        let job = Template::new(&spec);
        let definition = Definition {
            schedule: Schedule {
                expression: expression?,
                zone: zone?.unwrap_or_default(),
            },
            job: self.whole(job)?,
            misfire: misfire?.unwrap_or_default(),
            overlap: overlap?.unwrap_or_default(),
            jitter: self.values.time(&self.key("jitter")).unwrap_or_default(),
            source: Source::File,
        };
        let encoded = definition.encode();
        self.whole(encoded).map(|_| definition)
    }

    fn key(&self, field: &str) -> String {
        format!("{}.{field}", self.at)
    }

    /// Says what is wrong; what names its own field is told of the key instead.
    fn tell(&mut self, key: String, message: &str) -> Told {
        let field = key.rsplit('.').next().unwrap_or_default();
        let named = message.split_once(": ");
        let message = match named {
            Some((name, rest)) if name == field || name == "function_name" || name == "zone" => rest,
            _ => message,
        };
        self.problems.push(Problem {
            origin: self.values.origin(&key),
            message: message.to_owned(),
            key,
        });
        Told
    }

    fn optional<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Told> {
        let key = self.key(field);
        let text = self.values.text(&key);
        if text.is_empty() {
            return Ok(None);
        }
        parse(&text)
            .map(Some)
            .map_err(|error| self.tell(key, &error.to_string()))
    }

    fn required<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Told> {
        let found = self.optional(field, parse)?;
        let key = self.key(field);
        if found.is_none() && self.problems.iter().any(|problem| problem.key == key) {
            return Err(Told);
        }
        found.ok_or_else(|| self.tell(key, "is missing; the entry cannot make jobs without it"))
    }

    /// The arguments: JSON in a text.
    fn args(&mut self) -> Result<bytes::Bytes, Told> {
        let key = self.key("args");
        let text = self.values.secret(&key);
        let json = text.as_ref().map_or("null", Secret::expose);
        // The parser's own words may repeat what stands there.
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(json);
        let problem = "is not JSON; write it in a text, such as '{\"region\": \"eu\"}'";
        let value = parsed.map_err(|_| self.tell(key.clone(), problem))?;
        value::encode("args", &value).map_err(|error| self.tell(key, &error.to_string()))
    }

    /// Problems of the entry as a whole, each under the key of the field that it names.
    fn whole<T>(&mut self, result: Result<T, InvalidDefinition>) -> Result<T, Told> {
        result.map_err(|invalid| {
            for problem in invalid.problems {
                let field = problem.split(':').next().unwrap_or_default();
                let key = self.key(field);
                self.tell(key, &problem);
            }
            Told
        })
    }
}
