//! For the doctor: records against rows, and what waits where.

use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::name::QueueName;
use longshore_core::port::checkup::{
    CheckupPort, FaultKind, IndexFault, IndexHead, IndexLook, QuarantineFill, ShardState,
};
use longshore_core::port::{Error, Reply};
use longshore_core::record::Index;

use super::Store;
use super::attempt::QUARANTINE;
use super::call::Call;
use super::reply::{self, Reader, parse, parse_id, parse_number};
use super::script;

mod server;

pub(crate) use server::examine;

/// A job has about this many keys, and shards share a server: so many keys are looked at for a record.
const KEYS_A_RECORD: usize = 4;
/// The most that one script looks at, so that it holds nobody up.
const BITE_MAX: usize = 500;

/// Where a comparison goes on.
#[derive(Debug)]
struct Place {
    /// Of the scan over keys; `None` once it is over.
    keys: Option<String>,
    /// Indexes that the scan came across and that are not compared yet.
    indexes: Vec<String>,
    /// Of the scan over the last of them.
    rows: String,
}

impl Place {
    fn start() -> Self {
        Self {
            keys: Some("0".to_owned()),
            indexes: Vec::new(),
            rows: "0".to_owned(),
        }
    }

    fn read(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else {
            return Ok(Self::start());
        };
        let mut lines = text.lines();
        let (Some(keys), Some(rows)) = (lines.next(), lines.next()) else {
            return Err(Error::Corrupt("the cursor has two lines or more".to_owned()));
        };
        Ok(Self {
            keys: Some(keys.to_owned()).filter(|keys| !keys.is_empty()),
            rows: rows.to_owned(),
            indexes: lines.map(str::to_owned).collect(),
        })
    }

    /// A line each: where the two scans are, then the indexes.
    fn next(&self) -> Option<String> {
        let is_over = self.keys.is_none() && self.indexes.is_empty();
        let head = [self.keys.clone().unwrap_or_default(), self.rows.clone()];
        (!is_over).then(|| [&head[..], &self.indexes].concat().join("\n"))
    }
}

impl CheckupPort for Store {
    fn compare_index(
        &self,
        shard: u16,
        from: Option<String>,
        limit: usize,
        repair: bool,
    ) -> Reply<'_, IndexLook> {
        Box::pin(async move {
            let mut place = Place::read(from.as_deref())?;
            let limit = limit.clamp(1, BITE_MAX);
            let mut look = IndexLook::default();
            match (place.indexes.last().cloned(), place.keys.clone()) {
                (Some(index), _) => {
                    self.compare_rows(shard, &index, &mut place, limit, repair, &mut look)
                        .await?;
                }
                (None, Some(keys)) => {
                    self.compare_records(shard, &keys, &mut place, limit, repair, &mut look)
                        .await?;
                }
                (None, None) => {}
            }
            look.next = place.next();
            Ok(look)
        })
    }

    fn shard_state(&self, shard: u16) -> Reply<'_, ShardState> {
        Box::pin(async move {
            let mut answer = self.run(&Self::script(&script::SHARD_STATE, shard)).await?;
            let mut state = ShardState {
                now: answer.time()?,
                scheduler: answer.bytes_or_none()?.map(|bytes| lossy(&bytes)),
                swept_at: match answer.bytes_or_none()? {
                    Some(text) => Some(Timestamp(parse_number(&text)?)),
                    None => None,
                },
                unpublished: None,
                heads: Vec::new(),
            };
            let (job, since) = (answer.bytes_or_none()?, answer.bytes_or_none()?);
            if let (Some(job), Some(since)) = (job, since) {
                state.unpublished = Some((Timestamp(parse_number(&since)?), parse_id(&job)?));
            }
            while !answer.is_empty() {
                state.heads.push(head(&mut answer)?);
            }
            Ok(state)
        })
    }

    fn next_in_line(&self, shard: u16, queue: QueueName, limit: usize) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move {
            let mut call = Self::script(&script::IN_LINE, shard);
            call.arg(queue.as_str()).arg(limit);
            let mut answer = self.run(&call).await?;
            let mut ids = Vec::new();
            while !answer.is_empty() {
                ids.push(answer.id()?);
            }
            Ok(ids)
        })
    }

    fn quarantine_fill(&self) -> Reply<'_, QuarantineFill> {
        Box::pin(async move {
            let mut answer = self
                .run(&Call::with_keys(&script::QUARANTINE_FILL, &[QUARANTINE]))
                .await?;
            Ok(QuarantineFill {
                messages: answer.number()?,
                bytes: answer.number()?,
            })
        })
    }
}

impl Store {
    async fn compare_records(
        &self,
        shard: u16,
        keys: &str,
        place: &mut Place,
        limit: usize,
        repair: bool,
        look: &mut IndexLook,
    ) -> Result<(), Error> {
        let mut call = Self::script(&script::COMPARE_RECORDS, shard);
        call.arg(keys).arg(limit * KEYS_A_RECORD).arg(u8::from(repair));
        let mut answer = self.run(&call).await?;
        place.keys = Some(answer.text()?).filter(|cursor| cursor != "0");
        look.records = answer.number()?;
        let mut faults = answer.nested()?;
        while !faults.is_empty() {
            look.faults.push(IndexFault {
                kind: kind(&faults.text()?)?,
                index: faults.text()?,
                job: faults.text()?,
                repaired: faults.number()? == 1,
            });
        }
        let mut indexes = answer.nested()?;
        while !indexes.is_empty() {
            let index = indexes.text()?;
            // No name of ours has one, and the cursor is made of lines.
            if !index.contains(char::is_control) {
                place.indexes.push(index);
            }
        }
        let mut parked = answer.nested()?;
        while !parked.is_empty() {
            let function = parse(&parked.text()?)?;
            *look.parked.entry(function).or_default() += parked.number()?;
        }
        Ok(())
    }

    async fn compare_rows(
        &self,
        shard: u16,
        index: &str,
        place: &mut Place,
        limit: usize,
        repair: bool,
        look: &mut IndexLook,
    ) -> Result<(), Error> {
        let mut call = Self::script(&script::COMPARE_ROWS, shard);
        call.arg(index).arg(&place.rows).arg(limit).arg(u8::from(repair));
        let mut answer = self.run(&call).await?;
        place.rows = answer.text()?;
        if place.rows == "0" {
            place.indexes.pop();
        }
        look.rows = answer.number()?;
        while !answer.is_empty() {
            look.faults.push(IndexFault {
                kind: FaultKind::StrayRow,
                index: index.to_owned(),
                job: lossy(&answer.bytes()?),
                repaired: repair,
            });
        }
        Ok(())
    }
}

/// What somebody else may have written under a key of ours is shown as far as it is text.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kind(name: &str) -> Result<FaultKind, Error> {
    match name {
        "missing_row" => Ok(FaultKind::MissingRow),
        "wrong_score" => Ok(FaultKind::WrongScore),
        "no_envelope" => Ok(FaultKind::NoEnvelope),
        "unreadable" => Ok(FaultKind::Unreadable),
        other => Err(Error::Corrupt(format!("\"{other}\" is no kind of fault"))),
    }
}

fn head(answer: &mut Reader) -> Result<IndexHead, Error> {
    let name = answer.text()?;
    let index = Index::ALL.into_iter().find(|index| index.as_str() == name);
    let index = index.ok_or_else(|| Error::Corrupt(format!("\"{name}\" is no index")))?;
    let (queue, priority) = (answer.text()?, answer.bytes_or_none()?);
    let queue = match queue.as_str() {
        "" => None,
        name => {
            let level = parse_number(&priority.unwrap_or_default())?;
            Some((parse(name)?, reply::priority(level)?))
        }
    };
    Ok(IndexHead {
        index,
        queue,
        rows: answer.number()?,
        first_at: answer.time()?,
        first: reply::parse_id(&answer.bytes()?).ok(),
    })
}
