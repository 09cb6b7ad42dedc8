//! The state of the model: store, broker, processes, and what faults are left.

use longshore_core::message::Gen;
use longshore_core::port::enqueue::{ParentOutcome, ParentState};
use longshore_core::record::Record;
use longshore_core::{JobStatus, Nonce};

use crate::store::{End, Shard};

/// A message of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Msg {
    pub(crate) job: u8,
    pub(crate) gen_: Gen,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    pub(crate) losts: u32,
}

/// A worker with one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    /// A delivery that has not started; `asked` is the nonce of a claim whose answer was lost.
    Got {
        msg: Msg,
        asked: Option<Nonce>,
    },
    /// A handler runs, or has ended as `told` and nobody has answered yet. `held`: its message is unacknowledged.
    Running {
        msg: Msg,
        nonce: Nonce,
        held: bool,
        retries: u32,
        told: Option<End>,
    },
    /// To be acknowledged.
    Done {
        msg: Msg,
    },
}

/// The one producer, on its way through its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Producer {
    Next(u8),
    Publishing { job: u8, gen_: Gen },
    Marking { job: u8, gen_: Gen },
    Registering { made: bool },
    Settling(ParentOutcome),
    Verifying,
    Gone,
}

/// What a scheduler has in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hand {
    Idle,
    Leased(Msg),
    Published { job: u8, gen_: Gen },
    Telling(ParentOutcome),
    Told,
    Looking,
    Found(ParentState),
}

/// How often each fault, and each choice that would go on for ever, may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A process ends and starts anew.
    pub(crate) crash: u8,
    /// A worker's connection to the broker ends.
    pub(crate) drop: u8,
    /// A lease runs out although its owner lives.
    pub(crate) expiry: u8,
    /// The store goes back to an earlier state.
    pub(crate) rollback: u8,
    /// The store loses everything.
    pub(crate) wipe: u8,
    /// The broker loses everything.
    pub(crate) purge: u8,
    /// A call is made and its answer lost.
    pub(crate) unknown: u8,
    /// Somebody cancels a job.
    pub(crate) cancel: u8,
    /// An attempt ends without counting.
    pub(crate) undo: u8,
    /// A handler gives up for good.
    pub(crate) fail: u8,
    /// An unstarted job is given back.
    pub(crate) give_back: u8,
    /// A message is acknowledged while its job runs.
    pub(crate) early_ack: u8,
    /// A producer that crashed tries again.
    pub(crate) again: u8,
}

/// What must never happen, found in the step where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    StartAfterEnd,
    StartBeforeTime,
    StartBeforeParents,
    FenceBack,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// Job and shard have the same number; job 1 is the child of job 0.
    pub(crate) shards: Vec<Shard>,
    /// What is on the disk.
    pub(crate) saved: Vec<Shard>,
    /// Sorted.
    pub(crate) broker: Vec<Msg>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) producer: Producer,
    pub(crate) hands: Vec<Hand>,
    pub(crate) left: Budget,
    /// Rollbacks and wipes so far: time passes with each.
    pub(crate) era: u8,
    /// Its enqueue was acknowledged.
    pub(crate) acked: Vec<bool>,
    /// Lost in a way that is not promised against.
    pub(crate) excused: Vec<bool>,
    /// Highest fence that a handler was given.
    pub(crate) fences: Vec<u64>,
    pub(crate) broken: Option<Broken>,
}

impl World {
    pub(crate) fn new(jobs: usize, workers: usize, hands: usize, left: Budget) -> Self {
        Self {
            shards: vec![Shard::default(); jobs],
            saved: vec![Shard::default(); jobs],
            broker: Vec::new(),
            workers: vec![Worker::Idle; workers],
            producer: Producer::Next(0),
            hands: vec![Hand::Idle; hands],
            left,
            era: 0,
            acked: vec![false; jobs],
            excused: vec![false; jobs],
            fences: vec![0; jobs],
            broken: None,
        }
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.shards.len()).expect("few jobs")
    }

    pub(crate) fn shard(&self, job: u8) -> &Shard {
        &self.shards[usize::from(job)]
    }

    pub(crate) fn shard_mut(&mut self, job: u8) -> &mut Shard {
        &mut self.shards[usize::from(job)]
    }

    pub(crate) fn send(&mut self, msg: Msg) {
        let at = self.broker.partition_point(|other| *other < msg);
        self.broker.insert(at, msg);
    }

    /// Messages of a job in the broker and in workers' hands.
    pub(crate) fn copies(&self, job: u8) -> usize {
        let held = self.workers.iter().filter(|worker| match worker {
            Worker::Idle => false,
            Worker::Got { msg, .. } | Worker::Done { msg } => msg.job == job,
            Worker::Running { msg, held, .. } => msg.job == job && *held,
        });
        held.count() + self.broker.iter().filter(|msg| msg.job == job).count()
    }

    /// Whether a message brings the job back should its record be lost: in the broker, or unacknowledged in the hands
    /// of somebody who has not finished it.
    pub(crate) fn is_carried(&self, job: u8) -> bool {
        self.broker.iter().any(|msg| msg.job == job)
            || self.workers.iter().any(|worker| match worker {
                Worker::Idle | Worker::Done { .. } => false,
                Worker::Got { msg, .. } => msg.job == job,
                Worker::Running { msg, held, told, .. } => msg.job == job && *held && told.is_none(),
            })
    }

    /// Handlers of the job that run.
    pub(crate) fn handlers(&self, job: u8) -> usize {
        let runs =
            |worker: &&Worker| matches!(worker, Worker::Running { msg, told: None, .. } if msg.job == job);
        self.workers.iter().filter(runs).count()
    }

    /// Whether a live worker beats for the job's claim.
    pub(crate) fn owner_lives(&self, job: u8) -> bool {
        let owner = self.shard(job).record().and_then(|record| record.owner);
        self.workers.iter().any(|worker| {
            matches!(worker, Worker::Running { msg, nonce, .. } if msg.job == job && Some(*nonce) == owner)
        })
    }

    pub(crate) fn fresh_nonce(&self) -> Nonce {
        let used = self.nonces();
        let free = (1..=used.len() as u128 + 1)
            .map(Nonce)
            .find(|nonce| !used.contains(nonce));
        free.expect("one more than are used")
    }

    fn nonces(&self) -> Vec<Nonce> {
        let of_record = |record: &Record| [record.owner, record.finished_by.map(|(nonce, _)| nonce)];
        let records = self.shards.iter().chain(&self.saved).filter_map(Shard::record);
        let workers = self.workers.iter().filter_map(|worker| match worker {
            Worker::Got { asked, .. } => *asked,
            Worker::Running { nonce, .. } => Some(*nonce),
            Worker::Idle | Worker::Done { .. } => None,
        });
        records.flat_map(of_record).flatten().chain(workers).collect()
    }

    /// Brings states that differ only in the names of workers and nonces together.
    pub(crate) fn canonical(&mut self) {
        if self.left.rollback == 0 {
            self.saved.fill(Shard::default());
        }
        self.workers.sort_by_key(|worker| match *worker {
            Worker::Idle => (0, None, false, None),
            Worker::Got { msg, asked } => (1, Some(msg), asked.is_some(), None),
            Worker::Running { msg, held, told, .. } => (2, Some(msg), held, told),
            Worker::Done { msg } => (3, Some(msg), false, None),
        });
        let mut names: Vec<Nonce> = Vec::new();
        for nonce in self.nonces() {
            if !names.contains(&nonce) {
                names.push(nonce);
            }
        }
        let named = |nonce: &mut Nonce| {
            let at = names
                .iter()
                .position(|name| name == nonce)
                .expect("it was collected");
            *nonce = Nonce(at as u128 + 1);
        };
        for shard in self.shards.iter_mut().chain(&mut self.saved) {
            if let Some(record) = shard.slot.record_mut() {
                record.owner.iter_mut().for_each(named);
                record.finished_by.iter_mut().for_each(|(nonce, _)| named(nonce));
            }
        }
        for worker in &mut self.workers {
            match worker {
                Worker::Got { asked, .. } => asked.iter_mut().for_each(named),
                Worker::Running { nonce, .. } => named(nonce),
                Worker::Idle | Worker::Done { .. } => {}
            }
        }
    }

    /// Whether nothing is left to be done for a job: it has ended, or nobody was told that it exists, or its parent
    /// failed and it waits for a person.
    pub(crate) fn is_settled(&self, job: u8) -> bool {
        let shard = self.shard(job);
        match shard.status() {
            None => !self.acked[usize::from(job)] || self.excused[usize::from(job)],
            Some(JobStatus::Blocked) => self.shard(0).status() == Some(JobStatus::Failed),
            Some(status) => status.is_terminal(),
        }
    }
}
