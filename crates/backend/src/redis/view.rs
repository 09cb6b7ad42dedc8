//! From the fields of a record to what people see.

use std::collections::HashMap;

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::id::{JobId, WorkerId};
use longshore_core::name::FunctionName;
use longshore_core::outcome::{ErrorInfo, Progress};
use longshore_core::port::Error;
use longshore_core::spec::EdgePolicy;
use longshore_core::view::{AttemptView, FullView, JobView};

use super::reply::{self, Reader, parse, parse_number, unpack};

/// The fields of a record; `lib.lua` says what they mean.
struct Fields(HashMap<Bytes, Bytes>);

impl Fields {
    fn read(mut reader: Reader) -> Result<Self, Error> {
        let mut fields = HashMap::new();
        while !reader.is_empty() {
            fields.insert(reader.bytes()?, reader.bytes()?);
        }
        Ok(Self(fields))
    }

    fn number(&self, field: &'static str) -> Result<Option<u64>, Error> {
        self.0
            .get(field.as_bytes())
            .map(|bytes| parse_number(bytes))
            .transpose()
    }

    fn needed(&self, field: &'static str) -> Result<u64, Error> {
        self.number(field)?
            .ok_or_else(|| Error::Corrupt(format!("a record lacks its field {field}")))
    }

    fn small(&self, field: &'static str) -> Result<u32, Error> {
        let number = self.number(field)?.unwrap_or(0);
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn time(&self, field: &'static str) -> Result<Option<Timestamp>, Error> {
        self.number(field).map(|time| time.map(Timestamp))
    }

    fn text(&self, field: &'static str) -> Result<Option<String>, Error> {
        let text = self.0.get(field.as_bytes()).map(|bytes| bytes.to_vec());
        text.map(String::from_utf8)
            .transpose()
            .map_err(|_| Error::Corrupt(format!("the field {field} of a record is not UTF-8")))
    }

    fn name<T: std::str::FromStr<Err: std::fmt::Display>>(&self, field: &'static str) -> Result<T, Error> {
        parse(&self.text(field)?.unwrap_or_default())
    }
}

/// Reads one answer of the script `look`; `None` for an unknown job.
pub(super) fn read(id: JobId, mut reader: Reader, full: bool) -> Result<Option<JobView>, Error> {
    let fields = Fields::read(reader.nested()?)?;
    if fields.0.is_empty() {
        return Ok(None);
    }
    let mut view = summary(id, &fields)?;
    if let Some(progress) = reader.bytes_or_none()? {
        // Earlier builds bounded no fields: what nests too deep to be read must not hide the job.
        view.progress = unpack("progress", &progress).unwrap_or_else(|error| {
            tracing::warn!(%id, %error, "the progress of a job is left out");
            Progress::default()
        });
    }
    view.error = reader
        .bytes_or_none()?
        .map(|error| unpack::<ErrorInfo>("error", &error))
        .transpose()?;
    view.open_parents = open_parents(reader.nested()?)?;
    if full {
        view.full = Some(FullView {
            envelope: reader.bytes_or_none()?.unwrap_or_default(),
            result: reader.bytes_or_none()?,
            history: history(&mut reader.nested_or_empty()?)?,
        });
    }
    Ok(Some(view))
}

fn summary(id: JobId, fields: &Fields) -> Result<JobView, Error> {
    let function_name = fields.name("fn")?;
    let tags = fields.0.get("t".as_bytes());
    let status = reply::status(fields.needed("s")?)?;
    Ok(JobView {
        id,
        name: fields
            .text("nm")?
            .unwrap_or_else(|| FunctionName::to_string(&function_name)),
        function_name,
        queue: fields.name("q")?,
        priority: reply::priority(fields.needed("P")?)?,
        status,
        gen_: fields.small("g")?,
        attempts: fields.small("a")?,
        retries: fields.small("y")?,
        losts: fields.small("l")?,
        tags: tags
            .map(|tags| unpack("tags", tags))
            .transpose()?
            .unwrap_or_default(),
        created_at: Timestamp(fields.needed("C")?),
        started_at: fields.time("S")?,
        finished_at: fields.time("f")?,
        run_at: fields.time("r")?,
        published_at: fields.time("p")?,
        outbox_at: fields.time("x")?,
        parked: fields.text("k")?.map(|name| parse(&name)).transpose()?,
        worker: fields.text("w")?.map(WorkerId),
        lease_until: fields.time("u")?,
        cancel_reason: fields.text("c")?,
        open_parents: Vec::new(),
        progress: Progress::default(),
        error: None,
        full: None,
    })
}

fn open_parents(mut reader: Reader) -> Result<Vec<(JobId, EdgePolicy)>, Error> {
    let mut parents = Vec::new();
    while !reader.is_empty() {
        parents.push(edge(&mut reader)?);
    }
    parents.sort_unstable_by_key(|(id, _)| *id);
    Ok(parents)
}

/// A parent and the policy of the edge to it.
pub(super) fn edge(reader: &mut Reader) -> Result<(JobId, EdgePolicy), Error> {
    let (parent, code) = (reader.id()?, reader.number()?);
    let policy = u8::try_from(code).ok().and_then(EdgePolicy::from_code);
    let policy = policy.ok_or_else(|| Error::Corrupt(format!("{code} is no policy of an edge")))?;
    Ok((parent, policy))
}

/// The rest of the answer as rows of a history.
pub(super) fn history(reader: &mut Reader) -> Result<Vec<AttemptView>, Error> {
    let mut rows = Vec::new();
    while !reader.is_empty() {
        rows.push(unpack("history", &reader.bytes()?)?);
    }
    Ok(rows)
}
