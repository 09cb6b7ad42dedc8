//! Weaker systems: each lacks one thing that keeps a promise. A simulation that does not find them proves nothing. They are
//! put between the actors and the store; no code of the product knows of them.

use longshore_core::port::attempt::{Claim, Finish};
use longshore_core::view::Detail;
use longshore_core::{JobId, JobStatus, Nonce};

use crate::world::World;

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    /// Nobody publishes what a producer could not.
    Outbox,
    /// Nobody takes jobs from workers that are gone.
    Expiry,
    /// The store does not tell one owner of a job from another.
    Owner,
    /// A message of an older dispatch counts as one of the newest.
    Gen,
    /// Nobody looks whether the broker has lost messages.
    Audit,
    /// Nobody tells children how their parents ended.
    Telling,
    /// A killed scheduler's task goes on to lease shards.
    Farewell,
    /// Whole, but judged as soon as the weaker ones: it must not show what they are found out by.
    Nothing,
}

impl Without {
    pub(crate) const ALL: [Self; 7] = [
        Self::Outbox,
        Self::Expiry,
        Self::Owner,
        Self::Gen,
        Self::Audit,
        Self::Telling,
        Self::Farewell,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Nothing]);
        all.find(|one| format!("{one:?}") == name)
    }

    /// What it is to be found out by, as the table of docs/reliability.md has it: one of these is in a line of what is wrong.
    pub(crate) const fn shows(self) -> &'static [&'static str] {
        match self {
            Self::Outbox | Self::Audit => &["jobs are queued"],
            Self::Expiry => &["jobs are running"],
            Self::Owner => &["OneFinish", "FencesIncrease"],
            Self::Gen => &["was granted before its time"],
            Self::Telling => &["jobs are blocked"],
            Self::Farewell => &[
                "jobs are queued",
                "jobs are scheduled",
                "jobs are retrying",
                "jobs are blocked",
            ],
            Self::Nothing => &[],
        }
    }
}

/// The nonce that every claim of a job has.
pub(crate) fn shared_nonce(job: JobId) -> Nonce {
    Nonce(job.uuid().as_u128())
}

pub(crate) fn share_nonces(finishes: &mut [Finish], claims: &mut [Claim]) {
    for finish in finishes {
        finish.nonce = shared_nonce(finish.id);
    }
    for claim in claims {
        claim.nonce = shared_nonce(claim.id);
    }
}

/// Gives every claim the gen with which the store would let it run.
pub(crate) async fn renew_gens(world: &World, shard: u16, claims: &mut [Claim]) {
    let ids: Vec<_> = claims.iter().map(|claim| claim.id).collect();
    let jobs = world.ports().inspect.jobs(shard, ids, Detail::Summary).await;
    for (claim, job) in claims.iter_mut().zip(jobs.unwrap_or_default()) {
        let Some(job) = job else { continue };
        let waits = matches!(
            job.status,
            JobStatus::Retrying | JobStatus::Scheduled | JobStatus::Blocked
        );
        claim.gen_ = claim.gen_.max(job.gen_ + u32::from(waits));
    }
}
