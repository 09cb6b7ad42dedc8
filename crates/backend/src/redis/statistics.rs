//! What happened, as the scripts count it: buckets of minutes and hours, shard by shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::name::{FunctionName, QueueName};
use longshore_core::port::Error;
use longshore_core::stats::{Bucket, Span, Standing, Statistics, StatisticsQuery};
use parking_lot::Mutex;

use super::call::prefix;
use super::reply::{self, parse, parse_number};
use super::{SERVER, Store, script};

/// Buckets that are read at once.
const BUCKETS_AT_ONCE: usize = 64;
/// Buckets that are remembered.
const REMEMBERED_MAX: usize = 20_000;
/// How often a shard is read that adds minutes to their hours at the same moment.
const TRIES: u32 = 3;

/// Buckets that change no more, so that whoever asks every second reads little.
#[derive(Debug, Default)]
pub(super) struct Past(Mutex<BTreeMap<(u16, Span), Arc<Bucket>>>);

/// What one shard answers.
struct Shard {
    now: Timestamp,
    standing: Standing,
    spans: BTreeSet<Span>,
}

impl Store {
    pub(super) async fn statistics_of(&self, query: &StatisticsQuery) -> Result<Statistics, Error> {
        query.check().map_err(|error| Error::Refused {
            server: SERVER,
            reason: error.to_string(),
        })?;
        let reads = self
            .shard_count()
            .all()
            .map(|shard| self.read_shard(shard, query));
        let (mut now, mut standing, mut all) = (Timestamp::ZERO, Standing::default(), Vec::new());
        for (shard, buckets) in try_join_all(reads).await? {
            now = now.max(shard.now);
            add_standing(&mut standing, shard.standing);
            all.extend(buckets);
        }
        let buckets = all.iter().map(|(span, bucket)| (*span, &**bucket));
        Ok(Statistics::assemble(query, now, buckets, &standing))
    }

    /// How jobs stand, over all shards.
    pub(super) async fn standing_now(&self) -> Result<Standing, Error> {
        let looks = self.shard_count().all().map(|shard| self.look_at(shard));
        let mut standing = Standing::default();
        for shard in try_join_all(looks).await? {
            add_standing(&mut standing, shard.standing);
        }
        Ok(standing)
    }

    /// How a shard stands, and its buckets of the window. A minute that is added to its hour meanwhile would be seen in
    /// neither or in both: then it is read again.
    async fn read_shard(
        &self,
        shard: u16,
        query: &StatisticsQuery,
    ) -> Result<(Shard, Vec<(Span, Arc<Bucket>)>), Error> {
        let mut seen = self.look_at(shard).await?;
        let mut tries = 1;
        loop {
            let buckets = self.buckets(shard, &seen, query.from(seen.now)).await?;
            let again = self.look_at(shard).await?;
            let first = |shard: &Shard| {
                shard
                    .spans
                    .iter()
                    .find(|span| matches!(span, Span::Minute(_)))
                    .copied()
            };
            if first(&seen).is_none() || first(&again) == first(&seen) || tries == TRIES {
                return Ok((seen, buckets));
            }
            tries += 1;
            seen = again;
        }
    }

    async fn look_at(&self, shard: u16) -> Result<Shard, Error> {
        let mut answer = self.run(&Self::script(&script::STANDING, shard)).await?;
        let now = answer.time()?;
        let mut standing = Standing::default();
        let mut counts = answer.nested()?;
        while !counts.is_empty() {
            let (field, count) = (counts.text()?, counts.number()?);
            let (place, status) = counter(&field)?;
            *standing.jobs.entry(place).or_default().entry(status).or_default() += count;
        }
        let mut paused = answer.nested()?;
        while !paused.is_empty() {
            standing.paused.push(paused.queue()?);
        }
        let mut oldest = answer.nested()?;
        while !oldest.is_empty() {
            standing.oldest.insert(oldest.queue()?, oldest.time()?);
        }
        let mut spans = BTreeSet::new();
        let mut minutes = answer.nested()?;
        while !minutes.is_empty() {
            spans.insert(Span::Minute(minutes.number()?));
        }
        let mut hours = answer.nested()?;
        while !hours.is_empty() {
            spans.insert(Span::Hour(hours.number()?));
        }
        let mut parked = answer.nested()?;
        while !parked.is_empty() {
            let function = parse(&parked.text()?)?;
            *standing.parked.entry(function).or_default() += parked.number()?;
        }
        Ok(Shard { now, standing, spans })
    }

    async fn buckets(
        &self,
        shard: u16,
        seen: &Shard,
        from: Timestamp,
    ) -> Result<Vec<(Span, Arc<Bucket>)>, Error> {
        let past = &self.0.past;
        past.forget(shard, &seen.spans);
        let wanted = seen.spans.iter().copied().filter(|span| span.start() >= from);
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for span in wanted {
            match past.get(shard, span) {
                Some(bucket) => found.push((span, bucket)),
                None => unknown.push(span),
            }
        }
        for spans in unknown.chunks(BUCKETS_AT_ONCE) {
            let reads = spans.iter().map(|span| self.bucket(shard, *span));
            for (span, bucket) in spans.iter().zip(try_join_all(reads).await?) {
                let bucket = Arc::new(bucket);
                if is_past(*span, seen) {
                    past.keep(shard, *span, &bucket);
                }
                found.push((*span, bucket));
            }
        }
        Ok(found)
    }

    async fn bucket(&self, shard: u16, span: Span) -> Result<Bucket, Error> {
        let mut get = redis::cmd("HGETALL");
        get.arg(format!("{}{}", prefix(shard), key(span)));
        let fields = self.0.link.command(&get).await?;
        let fields: Vec<(String, u64)> = redis::from_redis_value(fields)
            .map_err(|error| Error::Corrupt(format!("statistics: {error}")))?;
        let mut bucket = Bucket::default();
        for (field, count) in fields {
            read_field(&mut bucket, &field, count)?;
        }
        Ok(bucket)
    }
}

fn key(span: Span) -> String {
    match span {
        Span::Minute(number) => format!("st:m:{number}"),
        Span::Hour(number) => format!("st:h:{number}"),
    }
}

/// Whether nothing is added to a bucket any more. A minute has one to spare for a clock that steps back a little.
fn is_past(span: Span, seen: &Shard) -> bool {
    match span {
        Span::Minute(_) => span.start().after(span.length() * 2) <= seen.now,
        Span::Hour(_) => !seen
            .spans
            .iter()
            .any(|other| *other != span && other.hour() == span),
    }
}

/// `<code><bucket>:<queue>:<function>`; what begins otherwise is for the scripts alone.
fn read_field(bucket: &mut Bucket, field: &str, count: u64) -> Result<(), Error> {
    let Some((what, place)) = field.split_once(':') else {
        return Ok(());
    };
    let mut letters = what.chars();
    let Some(code) = letters.next() else { return Ok(()) };
    let time = match letters.as_str() {
        "" => None,
        number => Some(u8::try_from(parse_number(number.as_bytes())?).unwrap_or(u8::MAX)),
    };
    let tally = match place.split_once(':') {
        None | Some(("", _)) => bucket.other_mut(),
        Some((queue, function)) => bucket.tally_mut(&parse(queue)?, &parse(function)?),
    };
    // A later build may count more.
    tally.add(code, time, count);
    Ok(())
}

/// `queue:status:function`.
pub(super) fn counter(field: &str) -> Result<((QueueName, FunctionName), JobStatus), Error> {
    let mut parts = field.splitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (queue, code, function) = (part(), part(), part());
    let status = reply::status(parse_number(code.as_bytes())?)?;
    Ok(((parse(queue)?, parse(function)?), status))
}

fn add_standing(all: &mut Standing, shard: Standing) {
    for (place, counts) in shard.jobs {
        let known = all.jobs.entry(place).or_default();
        for (status, count) in counts {
            *known.entry(status).or_default() += count;
        }
    }
    let paused: BTreeSet<_> = all.paused.drain(..).chain(shard.paused).collect();
    all.paused = paused.into_iter().collect();
    for (queue, since) in shard.oldest {
        let known = all.oldest.entry(queue).or_insert(since);
        *known = since.min(*known);
    }
    for (function, jobs) in shard.parked {
        *all.parked.entry(function).or_default() += jobs;
    }
}

impl Past {
    fn get(&self, shard: u16, span: Span) -> Option<Arc<Bucket>> {
        self.0.lock().get(&(shard, span)).cloned()
    }

    fn keep(&self, shard: u16, span: Span, bucket: &Arc<Bucket>) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert((shard, span), Arc::clone(bucket));
    }

    /// Drops what the shard has no more: minutes that were added to their hours, and everything after a wipe.
    fn forget(&self, shard: u16, spans: &BTreeSet<Span>) {
        self.0
            .lock()
            .retain(|(of, span), _| *of != shard || spans.contains(span));
    }
}
