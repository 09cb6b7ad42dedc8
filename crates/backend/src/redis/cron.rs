//! Cron entries.

use longshore_core::clock::Timestamp;
use longshore_core::name::CronName;
use longshore_core::port::cron::{CronEntry, CronJob, CronPort, CronPut, CronWritten};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::port::schedule::{CronDue, CronFire};
use longshore_core::port::{Error, Reply};

use super::Store;
use super::enqueue::enqueued;
use super::reply::{Reader, parse_id};
use super::script;

impl CronPort for Store {
    fn cron_put(&self, entry: CronPut) -> Reply<'_, CronWritten> {
        Box::pin(async move {
            let mut call = Self::script(&script::CRON_PUT, self.shard_of_entry(&entry.name));
            call.arg(entry.name.as_str())
                .opt(entry.if_version)
                .time(entry.next_at)
                .arg(&*entry.definition);
            let mut answer = self.run_strictly(&call).await?;
            let (what, version) = (answer.text()?, answer.number()?);
            match what.as_str() {
                "written" => Ok(CronWritten::Written(version)),
                "unchanged" => Ok(CronWritten::Unchanged(version)),
                "conflict" => Ok(CronWritten::Conflict(version)),
                other => Err(Error::Corrupt(format!("an entry was \"{other}\""))),
            }
        })
    }

    fn cron_remove(&self, name: CronName) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut call = Self::script(&script::CRON_REMOVE, self.shard_of_entry(&name));
            call.arg(name.as_str());
            Ok(self.number(&call).await? == 1)
        })
    }

    fn cron_pause(&self, name: CronName, paused: bool, next_at: Timestamp) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut call = Self::script(&script::CRON_PAUSE, self.shard_of_entry(&name));
            call.arg(name.as_str()).arg(u8::from(paused)).time(next_at);
            Ok(self.number(&call).await? == 1)
        })
    }

    fn cron_entry(&self, name: CronName) -> Reply<'_, Option<CronEntry>> {
        Box::pin(async move {
            let shard = self.shard_of_entry(&name);
            let found = self.entries_from(shard, &format!("[{name}"), 1).await?;
            Ok(found.into_iter().find(|entry| entry.name == name))
        })
    }

    fn cron_entries(&self, shard: u16, after: Option<CronName>, limit: usize) -> Reply<'_, Vec<CronEntry>> {
        Box::pin(async move {
            let from = after.map_or("-".to_owned(), |name| format!("({name}"));
            self.entries_from(shard, &from, limit).await
        })
    }

    fn cron_run(&self, name: CronName, job: NewJob) -> Reply<'_, Option<Enqueued>> {
        Box::pin(async move {
            let mut call = Self::script(&script::CRON_RUN, self.shard_of_entry(&name));
            call.arg(name.as_str()).job(&job);
            let mut answer = self.run_strictly(&call).await?;
            if answer.is_empty() {
                return Ok(None);
            }
            enqueued(&mut answer).map(Some)
        })
    }
}

impl Store {
    fn shard_of_entry(&self, name: &CronName) -> u16 {
        self.shard_count().of_bytes(name.as_str().as_bytes())
    }

    async fn entries_from(&self, shard: u16, from: &str, limit: usize) -> Result<Vec<CronEntry>, Error> {
        let mut call = Self::script(&script::CRON_ENTRIES, shard);
        call.arg(from).arg(limit);
        entries(self.run(&call).await?)
    }

    pub(super) async fn due_entries(&self, shard: u16, limit: usize) -> Result<CronDue, Error> {
        let mut call = Self::script(&script::CRON_DUE, shard);
        call.arg(limit);
        let mut answer = self.run(&call).await?;
        Ok(CronDue {
            now: answer.time()?,
            entries: entries(answer)?,
        })
    }

    pub(super) async fn fire(&self, shard: u16, fire: &CronFire) -> Result<bool, Error> {
        let mut call = Self::script(&script::CRON_FIRE, shard);
        call.arg(fire.name.as_str())
            .arg(fire.version)
            .time(fire.expected)
            .time(fire.next)
            .arg(u8::from(fire.job.is_some()));
        if let Some(job) = &fire.job {
            call.job(job);
        }
        if let Some(request) = &fire.instead_of {
            call.id(request.id).arg(&request.reason);
        }
        Ok(Reader::of_one(self.strictly(&call).await?).number()? == 1)
    }
}

fn entries(mut answer: Reader) -> Result<Vec<CronEntry>, Error> {
    let mut entries = Vec::new();
    while !answer.is_empty() {
        let name = answer.text()?;
        let name = CronName::new(&name).map_err(|error| Error::Corrupt(error.to_string()))?;
        entries.push(CronEntry {
            name,
            version: answer.number()?,
            next_at: answer.time()?,
            paused: answer.number()? == 1,
            definition: answer.bytes()?,
            last: last(&mut answer)?,
        });
    }
    Ok(entries)
}

fn last(answer: &mut Reader) -> Result<Option<CronJob>, Error> {
    let (id, at) = (answer.bytes()?, answer.bytes()?);
    if id.is_empty() {
        return Ok(None);
    }
    let at = std::str::from_utf8(&at).ok().and_then(|at| at.parse().ok());
    Ok(Some(CronJob {
        id: parse_id(&id)?,
        fired_at: at
            .map(Timestamp)
            .ok_or_else(|| Error::Corrupt("a time is no number".to_owned()))?,
    }))
}
