//! Every row and guard of the transitions, and random walks over all of them.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::id::{JobId, Nonce, WorkerId};
use crate::limits::{
    CHILDREN_MAX, LEASE, LOSTS_MAX, OUTBOX_AHEAD_MAX, OUTBOX_GRACE, OUTBOX_LEASE, PARENT_RESULT_BYTES_MAX,
    PARENT_RESULTS_BYTES_MAX,
};
use crate::message::Gen;
use crate::name::{FunctionName, QueueName};
use crate::outcome::Outcome;
use crate::port::attempt::{
    Beaten, Claim, Claimed, Finished, GiveBackReason, GivenBack, Grant, Over, Rebuild, Then,
};
use crate::port::enqueue::{CancelReply, EdgeSettled, Enqueued, NewJob, ParentOutcome, ParentState};
use crate::port::schedule::DeadLetterChange;
use crate::priority::Priority;
use crate::record::Index;
use crate::spec::{Dependency, EdgePolicy, OnCancelled, OnFailed};

mod dependencies;
mod endings;
mod starts;
mod walk;

const EPOCH: u64 = 77;
const START: Timestamp = Timestamp(1_700_000_000_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Timestamp {
    START.after(secs(seconds))
}

fn id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

fn job() -> NewJob {
    NewJob {
        id: id(1),
        envelope: Bytes::from_static(b"envelope"),
        fingerprint: 5,
        function_name: FunctionName::new("work").unwrap(),
        name: None,
        queue: QueueName::default(),
        priority: Priority::Normal,
        tags: Vec::new(),
        created_at: START,
        run_at: None,
        expires_at: None,
        deadline: None,
        parents: Vec::new(),
    }
}

/// One job, its sweep, and its time.
struct Bench {
    slot: Slot,
    sweep: Sweep,
    paused: bool,
    now: Timestamp,
    effects: Effects,
}

impl Bench {
    fn new(job: &NewJob) -> Self {
        let mut bench = Self {
            slot: Slot::Missing,
            sweep: Sweep::default(),
            paused: false,
            now: START,
            effects: Effects::default(),
        };
        assert!(matches!(
            enqueue(&mut bench.slot, job, START),
            Enqueued::Created { .. }
        ));
        bench
    }

    fn published() -> Self {
        let mut bench = Self::new(&job());
        assert!(mark_published(&mut bench.slot, 1, bench.now));
        bench
    }

    fn running() -> Self {
        let mut bench = Self::published();
        bench.start(1, 1);
        bench
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.after(secs(seconds));
        self
    }

    fn record(&self) -> &Record {
        self.slot.record().expect("a record")
    }

    fn status(&self) -> JobStatus {
        self.record().status
    }

    fn claim(&mut self, gen_: Gen, nonce: u128) -> Claimed {
        let ask = Claim {
            id: id(1),
            gen_,
            nonce: Nonce(nonce),
            worker: WorkerId("w".to_owned()),
        };
        let mut gate = Gate {
            paused: self.paused,
            sweep: &mut self.sweep,
        };
        claim(
            &mut self.slot,
            &ask,
            &mut gate,
            EPOCH,
            self.now,
            &mut self.effects,
        )
    }

    fn start(&mut self, gen_: Gen, nonce: u128) -> Grant {
        match self.claim(gen_, nonce) {
            Claimed::Run(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, nonce: u128, outcome: Outcome) -> Finished {
        finish(&mut self.slot, Nonce(nonce), outcome, self.now, &mut self.effects)
    }

    fn beat(&mut self, nonce: u128) -> Beaten {
        beat(&mut self.slot, Nonce(nonce), self.now)
    }

    fn cancel(&mut self) -> CancelReply {
        cancel(&mut self.slot, "no", self.now)
    }

    fn promote(&mut self) -> Promoted {
        promote(&mut self.slot, self.now)
    }

    fn expire_lease(&mut self) -> Expired {
        expire_lease(&mut self.slot, self.now, &mut self.effects)
    }

    fn score(&self, index: Index) -> Option<u64> {
        self.record().indexes().score(index)
    }
}

fn error() -> ErrorInfo {
    ErrorInfo::new("Broken", "it broke")
}

fn failed() -> Outcome {
    Outcome::Failed { error: error() }
}

fn completed() -> Outcome {
    Outcome::Completed {
        result: Bytes::from_static(b"r"),
    }
}

fn retry(seconds: u64) -> Outcome {
    Outcome::Retry {
        delay: secs(seconds),
        error: error(),
    }
}
