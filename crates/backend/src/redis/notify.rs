//! Notices and the mailbox.

use std::time::Duration;

use longshore_core::WorkerId;
use longshore_core::message::Epoch;
use longshore_core::name::FunctionName;
use longshore_core::notice::{Event, Notice};
use longshore_core::port::notify::{Mailbox, MailboxChange, Notices, NotifyPort, worker_key};
use longshore_core::port::{Error, Reply};

use super::Store;
use super::reply::{Reader, parse, unpack};
use super::script;

/// The shard that has the mailbox.
const MAILBOX_SHARD: u16 = 0;

impl NotifyPort for Store {
    fn want_notices(&self, shard: u16, time: Duration) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut call = Self::script(&script::WANT_NOTICES, shard);
            call.duration(time);
            self.run(&call).await.map(drop)
        })
    }

    fn notices(&self, shard: u16, limit: usize) -> Reply<'_, Notices> {
        Box::pin(async move {
            let mut call = Self::script(&script::NOTICES, shard);
            call.arg(limit.max(1));
            let mut answer = self.run(&call).await?;
            let (epoch, dropped) = (answer.number()?, answer.number()?);
            let mut rows = Vec::new();
            while !answer.is_empty() {
                rows.push(row(&mut answer)?);
            }
            Ok(Notices { epoch, rows, dropped })
        })
    }

    fn notices_taken(&self, shard: u16, epoch: Epoch, up_to: u64) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut call = Self::script(&script::NOTICES_TAKEN, shard);
            call.arg(epoch).arg(up_to);
            self.run(&call).await.map(drop)
        })
    }

    fn mailbox(&self) -> Reply<'_, Mailbox> {
        Box::pin(async move {
            let mut answer = self.run(&Self::script(&script::MAILBOX, MAILBOX_SHARD)).await?;
            let mut mailbox = Mailbox {
                version: answer.number()?,
                now: answer.time()?,
                ..Mailbox::default()
            };
            while !answer.is_empty() {
                mailbox.entries.insert(answer.text()?, answer.bytes()?);
            }
            Ok(mailbox)
        })
    }

    fn change_mailbox(&self, change: MailboxChange) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut call = Self::script(&script::CHANGE_MAILBOX, MAILBOX_SHARD);
            call.opt(change.version).arg(change.put.len());
            for (key, text) in &change.put {
                call.arg(key).arg(&**text);
            }
            for key in &change.delete {
                call.arg(key);
            }
            Ok(Reader::of_one(self.strictly(&call).await?).number()? == 1)
        })
    }
}

impl Store {
    /// A worker that says goodbye is no lost one.
    pub(super) async fn forget_live(&self, worker: &WorkerId) -> Result<(), Error> {
        let change = MailboxChange {
            delete: vec![worker_key(worker)],
            ..MailboxChange::default()
        };
        self.change_mailbox(change).await.map(drop)
    }
}

fn row(answer: &mut Reader) -> Result<(u64, Notice), Error> {
    let (number, at, kind) = (answer.number()?, answer.time()?, answer.text()?);
    let event = match kind.as_str() {
        "d" => {
            let (id, gen_, function_name) = (answer.id()?, answer.small()?, function(answer)?);
            let (queue, attempts, error) = (answer.queue()?, answer.small()?, answer.bytes()?);
            let error = if error.is_empty() {
                None
            } else {
                Some(unpack("error", &error)?)
            };
            Event::DeadLetter {
                id,
                gen_,
                function_name,
                queue,
                attempts,
                error: error.unwrap_or_default(),
            }
        }
        "w" => Event::WorkerLost {
            id: answer.id()?,
            function_name: function(answer)?,
            queue: answer.queue()?,
            worker: WorkerId(answer.text()?),
        },
        "c" => Event::CronMissed {
            entry: parse(&answer.text()?)?,
            tick: answer.time()?,
        },
        other => return Err(Error::Corrupt(format!("a notice of the kind \"{other}\""))),
    };
    Ok((number, Notice { at, event }))
}

fn function(answer: &mut Reader) -> Result<FunctionName, Error> {
    parse(&answer.text()?)
}
