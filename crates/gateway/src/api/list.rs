//! Listings: filters of a query, and cursors.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use http::request::Parts;
use longshore::{Cursor, JobFilter};
use longshore_core::limits::LIST_PAGE_MAX;
use longshore_core::{FunctionName, JobId, QueueName, Timestamp};

use crate::dto::dead::Filter;
use crate::error::{Error, ErrorCode};
use crate::state::AppState;

/// Jobs of a page unless said otherwise.
const LIMIT_DEFAULT: usize = 100;

/// The query as it came: names with their values in order. Names that nobody knows are an error, so that a slip is seen.
#[derive(Debug)]
pub(crate) struct Fields(BTreeMap<String, Vec<String>>);

impl FromRequestParts<AppState> for Fields {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Error> {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            fields
                .entry(name.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Ok(Self(fields))
    }
}

impl Fields {
    /// Every value of a name.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// The value of a name that comes once.
    ///
    /// # Errors
    /// When it comes more often.
    pub(crate) fn one(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.all(name).as_mut_slice() {
            [] => Ok(None),
            [value] => Ok(Some(std::mem::take(value))),
            _ => Err(bad(format!("{name}: is there several times; keep one"))),
        }
    }

    /// [`Fields::one`], read as something.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn read<T: std::str::FromStr>(&mut self, name: &str, what: &str) -> Result<Option<T>, Error> {
        let text = self.one(name)?;
        // Numbers of other languages end at 2^63.
        let fits = |text: &str| {
            text.parse::<u64>()
                .map_or(true, |number| i64::try_from(number).is_ok())
        };
        let read = |text: String| text.parse::<T>().ok().filter(|_| fits(&text));
        let read = text.map(|text| read(text).ok_or_else(|| bad(format!("{name}: is no {what}"))));
        read.transpose()
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// When a name is unknown.
    pub(crate) fn end(self) -> Result<(), Error> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(bad(format!(
                    "\"{name}\" is no parameter of this request; remove it"
                )))
            }
        }
    }

    /// `after` and `limit`.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn page(&mut self) -> Result<(Option<Cursor>, usize), Error> {
        let after = self.one("after")?.map(|text| read_cursor(&text)).transpose()?;
        let limit = self.read("limit", "whole number")?.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIST_PAGE_MAX).contains(&limit) {
            return Err(bad(format!(
                "limit: {limit} is out of range; use 1 to {LIST_PAGE_MAX}"
            )));
        }
        Ok((after, limit))
    }

    /// Which jobs are wanted.
    ///
    /// # Errors
    /// When a filter cannot be read.
    pub(crate) fn jobs(&mut self) -> Result<JobFilter, Error> {
        let statuses = self
            .all("status")
            .iter()
            .flat_map(|text| text.split(','))
            .map(|text| text.parse().map_err(said))
            .collect::<Result<_, _>>()?;
        let function = self.one("function_name")?.map(FunctionName::new).transpose();
        let queue = self.one("queue")?.map(QueueName::new).transpose();
        Ok(JobFilter {
            statuses,
            function_name: function.map_err(said)?,
            queue: queue.map_err(said)?,
            tags: self.all("tag"),
            created_from: self
                .read("created_from_ms", "time in milliseconds")?
                .map(Timestamp),
            created_until: self
                .read("created_until_ms", "time in milliseconds")?
                .map(Timestamp),
        })
    }

    /// Which dead letters are wanted.
    ///
    /// # Errors
    /// When a filter cannot be read.
    pub(crate) fn dead(&mut self) -> Result<Filter, Error> {
        Ok(Filter {
            function_name: self.one("function_name")?,
            queue: self.one("queue")?,
            tags: self.all("tag"),
            fingerprint: self.one("fingerprint")?,
            died_from_ms: self.read("died_from_ms", "time in milliseconds")?,
            died_until_ms: self.read("died_until_ms", "time in milliseconds")?,
        })
    }
}

fn said(error: impl std::fmt::Display) -> Error {
    bad(error.to_string())
}

fn bad(problem: String) -> Error {
    Error::new(ErrorCode::BadRequest, problem)
}

/// `MILLISECONDS.ID`: where a page ended.
pub(crate) fn write_cursor(cursor: Cursor) -> String {
    format!("{}.{}", cursor.created_at.millis(), cursor.id)
}

fn read_cursor(text: &str) -> Result<Cursor, Error> {
    let read = || {
        let (created_at, id) = text.split_once('.')?;
        Some(Cursor {
            created_at: Timestamp(created_at.parse().ok()?),
            id: id.parse::<JobId>().ok()?,
        })
    };
    read().ok_or_else(|| bad("after: is no cursor; send `next` of the page before".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            created_at: Timestamp(5),
            id: JobId::from_idempotency_key("a"),
        };
        assert_eq!(read_cursor(&write_cursor(cursor)).unwrap(), cursor);
        assert!(read_cursor("5").is_err());
    }

    #[test]
    fn a_slip_in_a_name_is_seen() {
        let fields = |pairs: &[(&str, &str)]| {
            let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (name, value) in pairs {
                all.entry((*name).to_owned())
                    .or_default()
                    .push((*value).to_owned());
            }
            Fields(all)
        };
        let mut good = fields(&[
            ("status", "failed"),
            ("status", "queued,running"),
            ("tag", "a,b"),
            ("limit", "5"),
        ]);
        let filter = good.jobs().unwrap();
        assert_eq!((filter.statuses.len(), filter.tags), (3, vec!["a,b".to_owned()]));
        assert_eq!(good.page().unwrap(), (None, 5));
        good.end().unwrap();
        assert!(fields(&[("stauts", "failed")]).end().is_err());
        assert!(fields(&[("limit", "0")]).page().is_err());
        assert!(fields(&[("limit", "1"), ("limit", "2")]).page().is_err());
    }
}
