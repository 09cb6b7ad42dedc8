//! The daemons. One file each: one verb and one noun, and one function that does a pass over some shards.

mod apply_cron;
mod audit_published;
mod compare_indexes;
mod dispatch_outbox;
mod expire_leases;
mod expire_waiting;
mod fire_cron;
mod keep_dead_letters;
mod promote_due;
mod prune_finished;
mod release_parked;
mod send_notifications;
mod tell_children;
mod verify_edges;

pub(crate) use compare_indexes::Comparison;
pub(crate) use keep_dead_letters::Keeper;
#[cfg(test)]
pub(crate) use keep_dead_letters::take_given_up;
pub(crate) use send_notifications::finish as finish_notifications;
pub(crate) use send_notifications::flights::Flights;

use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// The daemons of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum Daemon {
    /// Publishes what a producer could not, and what was queued by anybody else.
    DispatchOutbox = 0,
    /// Queues Scheduled and Retrying jobs whose time has come.
    PromoteDue = 1,
    /// Takes running jobs from workers that beat no more.
    ExpireLeases = 2,
    /// Ends waiting jobs whose expiry or deadline has passed.
    ExpireWaiting = 3,
    /// Tells children how their parents ended.
    TellChildren = 4,
    /// Registers Blocked jobs with their parents again.
    VerifyEdges = 5,
    /// Publishes again what the broker has lost.
    AuditPublished = 6,
    /// Keeps a durable twin of every dead letter, and no others.
    KeepDeadLetters = 7,
    /// Deletes ended jobs after their retention.
    PruneFinished = 8,
    /// Releases jobs that waited for a worker that has their function.
    ReleaseParked = 9,
    /// Makes the jobs of cron entries.
    FireCron = 10,
    /// Brings the cron entries of the configuration file into the store.
    ApplyCron = 11,
    /// Makes letters of what people must know, and has them sent.
    SendNotifications = 12,
    /// Compares records with their index rows, and puts right what disagrees.
    CompareIndexes = 13,
}

impl Daemon {
    /// Every daemon.
    pub const ALL: [Self; 14] = [
        Self::DispatchOutbox,
        Self::PromoteDue,
        Self::ExpireLeases,
        Self::ExpireWaiting,
        Self::TellChildren,
        Self::VerifyEdges,
        Self::AuditPublished,
        Self::KeepDeadLetters,
        Self::PruneFinished,
        Self::ReleaseParked,
        Self::FireCron,
        Self::ApplyCron,
        Self::SendNotifications,
        Self::CompareIndexes,
    ];

    /// Its name: verb and noun.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DispatchOutbox => "dispatch_outbox",
            Self::PromoteDue => "promote_due",
            Self::ExpireLeases => "expire_leases",
            Self::ExpireWaiting => "expire_waiting",
            Self::TellChildren => "tell_children",
            Self::VerifyEdges => "verify_edges",
            Self::AuditPublished => "audit_published",
            Self::KeepDeadLetters => "keep_dead_letters",
            Self::PruneFinished => "prune_finished",
            Self::ReleaseParked => "release_parked",
            Self::FireCron => "fire_cron",
            Self::ApplyCron => "apply_cron",
            Self::SendNotifications => "send_notifications",
            Self::CompareIndexes => "compare_indexes",
        }
    }

    /// Whether it keeps something between its passes that others wait for: it must let go of it in a pass of a replica
    /// that has no shards any more.
    pub(crate) const fn lets_go(self) -> bool {
        matches!(self, Self::KeepDeadLetters | Self::SendNotifications)
    }

    /// One pass over some shards.
    pub(crate) async fn pass(self, cx: &Context, shards: &[u16]) -> Result<Done, Error> {
        match self {
            Self::DispatchOutbox => dispatch_outbox::pass(cx, shards).await,
            Self::PromoteDue => promote_due::pass(cx, shards).await,
            Self::ExpireLeases => expire_leases::pass(cx, shards).await,
            Self::ExpireWaiting => expire_waiting::pass(cx, shards).await,
            Self::TellChildren => tell_children::pass(cx, shards).await,
            Self::VerifyEdges => verify_edges::pass(cx, shards).await,
            Self::AuditPublished => audit_published::pass(cx, shards).await,
            Self::KeepDeadLetters => keep_dead_letters::pass(cx, shards).await,
            Self::PruneFinished => prune_finished::pass(cx, shards).await,
            Self::ReleaseParked => release_parked::pass(cx, shards).await,
            Self::FireCron => fire_cron::pass(cx, shards).await,
            Self::ApplyCron => apply_cron::pass(cx).await,
            Self::SendNotifications => send_notifications::pass(cx).await,
            Self::CompareIndexes => compare_indexes::pass(cx, shards).await,
        }
    }
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
