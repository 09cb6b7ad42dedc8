//! For the doctor: records against rows, and what waits where. Rows are in memory alone and are made anew when the folder
//! is opened; what this finds is a mistake of this program.

use std::ops::Bound;

use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::limits::STATISTICS_LOOK;
use longshore_core::name::QueueName;
use longshore_core::port::checkup::{
    CheckupPort, FaultKind, IndexFault, IndexHead, IndexLook, QuarantineFill, ShardState,
};
use longshore_core::port::{self, Reply};
use longshore_core::priority::Priority;
use longshore_core::record::Index;
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::disk::{Disk, Part};
use super::load::QUARANTINE;
use super::rows::{Group, Place, Rows};
use super::state::State;

/// The most that one call looks at, so that it holds nobody up.
const BITE_MAX: usize = 5_000;

/// Where a comparison goes on.
#[derive(Debug, Serialize, Deserialize)]
enum From {
    /// With the records after this one.
    Records(Timestamp, JobId),
    /// With the rows after this one; from the first on, when there is none.
    Rows(Option<Place>),
}

impl From {
    fn read(text: Option<&str>) -> Result<Self, port::Error> {
        let corrupt = || port::Error::Corrupt("the cursor of a comparison".to_owned());
        let Some(text) = text else {
            return Ok(Self::Records(
                Timestamp::ZERO,
                JobId::from_uuid(uuid::Uuid::nil()),
            ));
        };
        let digits = (0..text.len()).step_by(2);
        let bytes = digits.map(|at| {
            text.get(at..at + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        let bytes = bytes.collect::<Option<Vec<u8>>>().ok_or_else(corrupt)?;
        super::stored::decode("cursor", &bytes).map_err(|_| corrupt())
    }

    /// As digits: a cursor is text.
    fn write(&self) -> String {
        // Our own types always encode.
        let bytes = rmp_serde::to_vec(self).unwrap_or_default();
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }
}

impl CheckupPort for Core {
    fn compare_index(
        &self,
        shard: u16,
        from: Option<String>,
        limit: usize,
        repair: bool,
    ) -> Reply<'_, IndexLook> {
        Box::pin(async move {
            let from = From::read(from.as_deref())?;
            let limit = limit.clamp(1, BITE_MAX);
            self.write(move |state, tx| match from {
                From::Records(at, id) => records(state, tx.disk, shard, (at, id), limit, repair),
                From::Rows(after) => rows(state, shard, after.as_ref(), limit, repair),
            })
            .await
        })
    }

    fn shard_state(&self, shard: u16) -> Reply<'_, ShardState> {
        let now = self.clock.now();
        let looked = self.write(move |state, _| {
            let unpublished = unpublished(state, shard);
            let shard = state.shard(shard);
            let lease = shard.lease.as_ref().filter(|(_, until)| *until > now);
            ShardState {
                now,
                heads: heads(&shard.rows),
                scheduler: lease.map(|(holder, _)| holder.clone()),
                swept_at: shard.sweep.last,
                unpublished,
            }
        });
        Box::pin(looked)
    }

    fn next_in_line(&self, shard: u16, queue: QueueName, limit: usize) -> Reply<'_, Vec<JobId>> {
        let looked = self.read(|state| state.rows(shard).map(|rows| rows.in_line(&queue, limit)));
        Box::pin(std::future::ready(looked.map(Option::unwrap_or_default)))
    }

    fn quarantine_fill(&self) -> Reply<'_, QuarantineFill> {
        let counted = self.disk().and_then(|disk| disk.meta_under(QUARANTINE));
        let counted = counted.map(|messages| QuarantineFill {
            messages: messages.len() as u64,
            bytes: messages.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        });
        Box::pin(std::future::ready(counted))
    }
}

fn fault(kind: FaultKind, index: String, id: JobId, repaired: bool) -> IndexFault {
    IndexFault {
        kind,
        index,
        job: id.uuid().simple().to_string(),
        repaired,
    }
}

fn records(
    state: &mut State,
    disk: &Disk,
    shard: u16,
    after: (Timestamp, JobId),
    limit: usize,
    repair: bool,
) -> IndexLook {
    let mut look = IndexLook::default();
    let range = (Bound::Excluded(after), Bound::Unbounded);
    let page: Vec<_> = state.created.range(range).take(limit).copied().collect();
    let mut missing: Vec<Place> = Vec::new();
    for (_, id) in page.iter().filter(|(_, id)| state.shard_number(*id) == shard) {
        let Some(record) = state.record(*id) else {
            continue;
        };
        look.records += 1;
        if let Some(function) = &record.parked {
            *look.parked.entry(function.clone()).or_default() += 1;
        }
        if !record.status.is_terminal() && !disk.has_part(*id, Part::Envelope) {
            look.faults
                .push(fault(FaultKind::NoEnvelope, String::new(), *id, false));
        }
        let rows = state.rows(shard);
        let wanted = Index::ALL
            .into_iter()
            .filter_map(|index| Some((index, rows?.has(index, *id, record)?)));
        let lacking = wanted.filter(|(_, (_, _, is_there))| !is_there);
        missing.extend(lacking.map(|(index, (group, score, _))| (index, group, score, *id)));
    }
    for place in missing {
        let (index, group, _, id) = &place;
        let name = format!("{}{group}", index.as_str());
        look.faults.push(fault(FaultKind::MissingRow, name, *id, repair));
        if repair {
            state.shard(shard).rows.put(place);
        }
    }
    let next = match page.last() {
        Some((at, id)) if page.len() == limit => From::Records(*at, *id),
        _ => From::Rows(None),
    };
    look.next = Some(next.write());
    look
}

fn rows(state: &mut State, shard: u16, after: Option<&Place>, limit: usize, repair: bool) -> IndexLook {
    let mut look = IndexLook::default();
    let page = state
        .rows(shard)
        .map(|rows| rows.page(after, limit))
        .unwrap_or_default();
    look.rows = page.len() as u64;
    look.next = page
        .last()
        .filter(|_| page.len() == limit)
        .map(|last| From::Rows(Some(last.clone())).write());
    for place in page {
        let id = place.3;
        if Rows::belongs(&place, state.record(id)) {
            continue;
        }
        let name = format!("{}{}", place.0.as_str(), place.1);
        look.faults.push(fault(FaultKind::StrayRow, name, id, repair));
        if repair {
            state.shard(shard).rows.drop_row(place);
        }
    }
    look
}

/// The job that has waited for the longest to be published a first time, and since when it could run.
fn unpublished(state: &State, shard: u16) -> Option<(Timestamp, JobId)> {
    let rows = state.rows(shard)?;
    let first = |priority| {
        let group = Group::Urgency(std::cmp::Reverse(priority));
        rows.group_until(Index::Outbox, group, u64::MAX, STATISTICS_LOOK)
    };
    let waiting = Priority::DESCENDING.into_iter().flat_map(first);
    let since = waiting.filter_map(|id| {
        let record = state.record(id)?;
        let never = record.published_at.is_none() && record.give_backs == 0;
        Some((record.ready_since.filter(|_| never)?, id))
    });
    since.min()
}

fn heads(rows: &Rows) -> Vec<IndexHead> {
    let heads = rows
        .heads()
        .filter(|(index, ..)| !matches!(index, Index::Parked | Index::Finished));
    let heads = heads.map(|(index, group, count, score, id)| IndexHead {
        index,
        queue: match group {
            Group::Queue(queue, priority) => Some((queue.clone(), *priority)),
            _ => None,
        },
        rows: count as u64,
        first_at: Timestamp(score),
        first: Some(id),
    });
    heads.collect()
}

impl Core {
    /// Takes the rows of a job away, or gives it rows that it must not have. For tests of the doctor.
    pub(super) fn spoil_rows(&self, id: JobId, stray: bool) {
        let mut state = self.state.lock();
        let record = state.record(id).cloned();
        let shard = state.shard_of(id);
        if stray {
            shard.rows.put((Index::Running, Group::All, 1, id));
            return;
        }
        for index in Index::ALL {
            let has = record
                .as_ref()
                .and_then(|record| shard.rows.has(index, id, record));
            if let Some((group, score, _)) = has {
                shard.rows.drop_row((index, group, score, id));
            }
        }
    }
}
