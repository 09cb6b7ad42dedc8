//! Events come in: from the shards' notices, from the queues' lengths, from the workers that are there no more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::letter::{Sample, Subject, cut};
use super::super::{Event, Notice};
use super::{Addressee, Entry, Policy, Post};
use crate::clock::{Timestamp, short_time};
use crate::dead::Fingerprint;
use crate::name::QueueName;
use crate::port::notify::{Notices, worker_key};
use crate::view::WorkerView;

/// How a queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Jobs that wait to be run now.
    pub length: u64,
    /// Since when the oldest of them could run, as far as that is known.
    pub oldest: Option<Timestamp>,
}

impl Post<'_> {
    /// Takes the notices of a shard, those that were not taken before. Answers up to which number they are taken now.
    pub fn collect(
        &mut self,
        to: &[Addressee],
        policy: &Policy,
        shard: u16,
        notices: &Notices,
    ) -> Option<u64> {
        let key = format!("taken/{shard}");
        let (taken, told) = match self.entries.get(&key) {
            Some(Entry::Taken {
                epoch,
                up_to,
                dropped,
            }) if *epoch == notices.epoch => (*up_to, *dropped),
            _ => (0, 0),
        };
        let fresh = notices.rows.iter().filter(|(number, _)| *number > taken);
        for (_, notice) in fresh {
            let (subject, sample) = describe(notice);
            self.tell(to, policy, &subject, 1, &sample);
        }
        let more = notices.dropped.saturating_sub(told);
        if more > 0 {
            let sample = Sample {
                at: self.now,
                job: None,
                text: format!("{more} events of shard {shard}, for which there was no room"),
            };
            self.tell(to, policy, &Subject::Uncounted, more, &sample);
        }
        let last = notices.rows.last().map(|(number, _)| *number);
        let up_to = last.unwrap_or(0).max(taken);
        if up_to > 0 || notices.dropped > 0 {
            let entry = Entry::Taken {
                epoch: notices.epoch,
                up_to,
                dropped: notices.dropped,
            };
            self.put(key, entry);
        }
        last
    }

    /// Tells of queues that came over a limit, again after a while as long as they stay there.
    pub fn watch_queues(
        &mut self,
        to: &[Addressee],
        policy: &Policy,
        queues: &BTreeMap<QueueName, QueueState>,
    ) {
        let now = self.now;
        let mut over = BTreeMap::new();
        for (queue, state) in queues {
            let limits = policy.limits(queue);
            if let Some(limit) = limits.length.filter(|limit| state.length > *limit) {
                let text = format!("queue {queue} holds {} jobs; its limit is {limit}", state.length);
                over.insert(
                    Subject::QueueLong { queue: queue.clone() }.key(),
                    (Subject::QueueLong { queue: queue.clone() }, text),
                );
            }
            let age = state.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
            if let Some(limit) = limits.age.filter(|limit| age > *limit) {
                let (age, limit) = (short_time(age), short_time(limit));
                let text = format!("the oldest job of queue {queue} waits for {age}; its limit is {limit}");
                over.insert(
                    Subject::QueueOld { queue: queue.clone() }.key(),
                    (Subject::QueueOld { queue: queue.clone() }, text),
                );
            }
        }
        let calm: Vec<_> = self
            .entries
            .keys()
            .filter_map(|key| key.strip_prefix("alarm/"))
            .collect();
        let calm: Vec<_> = calm
            .into_iter()
            .filter(|key| !over.contains_key(*key))
            .map(|key| format!("alarm/{key}"))
            .collect();
        for key in calm {
            self.remove(&key);
        }
        for (key, (subject, text)) in over {
            let key = format!("alarm/{key}");
            let told_lately = matches!(self.entries.get(&key),
                Some(Entry::Alarm { told_at }) if now.since(*told_at) < policy.repeat_after);
            if !told_lately {
                let sample = Sample {
                    at: now,
                    job: None,
                    text,
                };
                self.tell(to, policy, &subject, 1, &sample);
                self.put(key, Entry::Alarm { told_at: now });
            }
        }
    }

    /// Remembers the live workers. With `judges`, tells of those that are gone and did not say goodbye: the store takes
    /// out those that did. Whoever was away must not judge before every worker had time to beat.
    pub fn watch_workers(&mut self, to: &[Addressee], policy: &Policy, live: &[WorkerView], judges: bool) {
        for worker in live {
            let host = worker.host.clone();
            self.put(worker_key(&worker.id), Entry::Worker { host });
        }
        if !judges {
            return;
        }
        let is_gone = |key: &str| !live.iter().any(|worker| worker_key(&worker.id) == key);
        let gone: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| match entry {
                Entry::Worker { host } if is_gone(key) => Some((key.clone(), host.clone())),
                _ => None,
            })
            .collect();
        for (key, host) in gone {
            let id = key.trim_start_matches("worker/").to_owned();
            let sample = Sample {
                at: self.now,
                job: None,
                text: format!("worker {id} on {host} beats no more and did not say goodbye"),
            };
            let worker = crate::WorkerId(id);
            self.tell(to, policy, &Subject::WorkerLost { worker }, 1, &sample);
            self.remove(&key);
        }
    }
}

/// What a notice's letter is about, and its line in it.
fn describe(notice: &Notice) -> (Subject, Sample) {
    let (subject, job, text) = match &notice.event {
        Event::DeadLetter {
            id,
            function_name,
            queue,
            attempts,
            error,
            ..
        } => {
            let subject = Subject::DeadLetters {
                fingerprint: Fingerprint::of(Some(error)),
                error_type: cut(&error.error_type),
                message: cut(&error.message),
            };
            let text = format!(
                "{function_name} in queue {queue}, attempt {attempts}: {}: {}",
                error.error_type, error.message
            );
            (subject, Some(*id), text)
        }
        Event::WorkerLost {
            id,
            function_name,
            queue,
            worker,
        } => {
            let subject = Subject::WorkerLost {
                worker: worker.clone(),
            };
            let text =
                format!("{function_name} in queue {queue}: the lease of its worker ended without a beat");
            (subject, Some(*id), text)
        }
        Event::CronMissed { entry, tick } => {
            let late = short_time(notice.at.since(*tick));
            let text = format!("a tick of cron entry {entry} came {late} late");
            (Subject::CronMissed { entry: entry.clone() }, None, text)
        }
    };
    let sample = Sample {
        at: notice.at,
        job,
        text: cut(&text),
    };
    (subject, sample)
}
