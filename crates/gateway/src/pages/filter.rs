//! Filters as they stand in addresses: what is asked for, and the links that ask for a little else.

use longshore::{
    Cursor, DeadFilter, Fingerprint, JobFilter, JobId, JobStatus, JobView, QueueName, Timestamp,
};
use longshore_core::FunctionName;
use serde::Deserialize;

/// Longest text that is searched for, in characters.
const TEXT_MAX: usize = 200;

/// The fields of an address, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(crate) status: String,
    pub(crate) function: String,
    pub(crate) queue: String,
    pub(crate) tag: String,
    pub(crate) text: String,
    pub(crate) fingerprint: String,
    pub(crate) after: String,
}

/// What was wrong with the fields of an address, each with its fix.
pub(crate) type Problems = Vec<String>;

impl Asked {
    /// Which jobs are meant, besides the text.
    pub(crate) fn jobs(&self) -> (JobFilter, Problems) {
        let mut problems = self.not_taken(&["fingerprint"], "jobs");
        if self.text.trim().chars().count() > TEXT_MAX {
            problems.push(format!(
                "text: is longer than {TEXT_MAX} characters; search for less"
            ));
        }
        let statuses = words(&self.status).filter_map(|word| kept(word.parse::<JobStatus>(), &mut problems));
        let statuses = statuses.collect();
        let filter = JobFilter {
            statuses,
            function_name: self.function_name(&mut problems),
            queue: self.queue_name(&mut problems),
            tags: self.tags(),
            ..JobFilter::default()
        };
        (filter, problems)
    }

    /// Which dead letters are meant.
    pub(crate) fn dead(&self) -> (DeadFilter, Problems) {
        let mut problems = self.not_taken(&["status", "text"], "dead letters");
        let fingerprint =
            given(&self.fingerprint).and_then(|text| kept(text.parse::<Fingerprint>(), &mut problems));
        let filter = DeadFilter {
            function_name: self.function_name(&mut problems),
            queue: self.queue_name(&mut problems),
            tags: self.tags(),
            fingerprint,
            ..DeadFilter::default()
        };
        (filter, problems)
    }

    /// What is given and would not be applied. A confirmation names every field: one that does nothing would make it
    /// say less than what is done.
    fn not_taken(&self, names: &[&str], what: &str) -> Problems {
        let given = self.fields().into_iter().filter(|(name, _)| names.contains(name));
        given
            .map(|(name, _)| format!("{name}: is no condition for {what}; leave it out"))
            .collect()
    }

    fn function_name(&self, problems: &mut Problems) -> Option<FunctionName> {
        given(&self.function).and_then(|name| kept(FunctionName::new(name), problems))
    }

    fn queue_name(&self, problems: &mut Problems) -> Option<QueueName> {
        given(&self.queue).and_then(|name| kept(QueueName::new(name), problems))
    }

    fn tags(&self) -> Vec<String> {
        words(&self.tag).map(str::to_owned).collect()
    }

    /// The text that is searched for, in lower case.
    pub(crate) fn needle(&self) -> Option<String> {
        given(&self.text).map(|text| text.chars().take(TEXT_MAX).collect::<String>().to_lowercase())
    }

    /// The job that the text names, when it is an id.
    pub(crate) fn named(&self) -> Option<JobId> {
        given(&self.text)?.parse().ok()
    }

    /// Whether anything but the page is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// Where the page begins.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let (at, id) = self.after.split_once('.')?;
        Some(Cursor {
            created_at: Timestamp(at.parse().ok()?),
            id: id.parse().ok()?,
        })
    }

    /// The same filter with another status, from its first page.
    pub(crate) fn with_status(&self, status: &str) -> String {
        Self {
            status: status.to_owned(),
            after: String::new(),
            ..self.clone()
        }
        .query()
    }

    /// The same filter from a place on.
    pub(crate) fn from(&self, cursor: Cursor) -> String {
        Self {
            after: format!("{}.{}", cursor.created_at.millis(), cursor.id),
            ..self.clone()
        }
        .query()
    }

    /// The fields that say something, for hidden fields of a form.
    pub(crate) fn fields(&self) -> Vec<(&'static str, &str)> {
        let all: [(&'static str, &str); 6] = [
            ("status", &self.status),
            ("function", &self.function),
            ("queue", &self.queue),
            ("tag", &self.tag),
            ("text", &self.text),
            ("fingerprint", &self.fingerprint),
        ];
        let says = |(name, value): &(&str, &str)| match *name {
            "status" | "tag" => words(value).next().is_some(),
            _ => given(value).is_some(),
        };
        all.into_iter().filter(says).collect()
    }

    /// As a query with its question mark; empty when nothing is asked for.
    pub(crate) fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.fields());
        if !self.after.is_empty() {
            query.append_pair("after", &self.after);
        }
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }

    /// The filter in words: `function resize_image, tag user:1`.
    pub(crate) fn words(&self) -> String {
        let words = self.fields().into_iter().map(|(name, value)| {
            let name = if name == "fingerprint" {
                "errors like"
            } else {
                name
            };
            format!("{name} {value}")
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Whether the text stands in what people see of a job.
pub(crate) fn has_text(job: &JobView, needle: &str) -> bool {
    job.has_text(needle)
}

/// One pair of a query, encoded.
pub(crate) fn pair(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}

/// One step of a path, encoded.
pub(crate) fn step(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

fn kept<T, E: std::fmt::Display>(result: Result<T, E>, problems: &mut Problems) -> Option<T> {
    result.map_err(|error| problems.push(error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::sample;

    fn asked() -> Asked {
        Asked {
            status: "failed".to_owned(),
            tag: "user:1, a&b".to_owned(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_filter_is_an_address_and_back() {
        let query = asked().query();
        assert_eq!(query, "?status=failed&tag=user%3A1%2C+a%26b");
        let (filter, problems) = asked().jobs();
        assert_eq!(filter.statuses, [JobStatus::Failed]);
        assert_eq!(filter.tags, ["user:1", "a&b"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn every_wrong_field_is_told() {
        let wrong = Asked {
            status: "failing".to_owned(),
            queue: "no queue!".to_owned(),
            fingerprint: "x".to_owned(),
            ..Asked::default()
        };
        assert_eq!(wrong.dead().1.len(), 3);
    }

    #[test]
    fn a_condition_that_would_not_be_applied_is_refused() {
        let dead = Asked {
            text: "timeout".to_owned(),
            ..asked()
        };
        assert_eq!(dead.dead().1.len(), 2, "neither the status nor the text");
        let jobs = Asked {
            fingerprint: "0123456789ab".to_owned(),
            text: "x".repeat(TEXT_MAX + 1),
            ..asked()
        };
        assert_eq!(
            jobs.jobs().1.len(),
            2,
            "neither the fingerprint nor all of the text"
        );
        let blank = Asked {
            status: " , ".to_owned(),
            text: " ".to_owned(),
            ..Asked::default()
        };
        assert!(blank.is_empty() && blank.words().is_empty() && blank.dead().1.is_empty());
    }

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let cursor = Cursor {
            created_at: Timestamp(7),
            id: JobId::from_idempotency_key("a"),
        };
        let next = Asked {
            after: format!("7.{}", cursor.id),
            ..asked()
        };
        assert_eq!(next.cursor(), Some(cursor));
        assert_eq!(asked().from(cursor), next.query());
        assert!(!asked().with_status("queued").contains("after"));
    }

    #[test]
    fn text_is_found_in_names_errors_and_tags() {
        let job = sample::job(JobStatus::Queued);
        for needle in ["resize", "an image", "user:1"] {
            assert!(has_text(&job, needle), "{needle}");
        }
        assert!(!has_text(&job, "nothing"));
    }
}
