//! The one table of transitions. `docs/reference/states.md` draws it; a change of status that is not in it is a bug.

use crate::status::JobStatus::{
    self, Blocked, Cancelled, Completed, Expired, Failed, Queued, Retrying, Running, Scheduled,
};

/// What makes a job move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A producer's enqueue, or a cron tick.
    Enqueue,
    /// A producer takes back what it has just enqueued.
    Abort,
    /// A parent does not exist.
    FailBlocked,
    /// A parent ended.
    SettleEdge,
    /// Its time has come.
    Promote,
    /// A worker claims it.
    Claim,
    /// A worker makes its lost record anew.
    Rebuild,
    /// Its owner finishes it.
    Finish,
    /// A worker that holds it unstarted gives it back.
    GiveBack,
    /// Its lease is over.
    ExpireLease,
    /// Its expiry or deadline has passed.
    ExpireWaiting,
    /// Somebody cancels it.
    Cancel,
    /// Its message cannot be read.
    Quarantine,
    /// The broker gave its message up.
    BrokerGaveUp,
    /// A person requeues the dead letter.
    Requeue,
    /// A person discards the dead letter.
    Discard,
    /// Its retention is over.
    Prune,
    /// Its record was lost, and its archived twin found.
    Twin,
}

impl Trigger {
    /// Its name in the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Abort => "abort",
            Self::FailBlocked => "fail_blocked",
            Self::SettleEdge => "settle_edge",
            Self::Promote => "promote",
            Self::Claim => "claim",
            Self::Rebuild => "rebuild",
            Self::Finish => "finish",
            Self::GiveBack => "give_back",
            Self::ExpireLease => "expire_lease",
            Self::ExpireWaiting => "expire_waiting",
            Self::Cancel => "cancel",
            Self::Quarantine => "quarantine",
            Self::BrokerGaveUp => "broker_gave_up",
            Self::Requeue => "requeue",
            Self::Discard => "discard",
            Self::Prune => "prune",
            Self::Twin => "twin",
        }
    }
}

/// One transition; `None` stands for "no record".
pub type Row = (Option<JobStatus>, Trigger, Option<JobStatus>);

const fn born(trigger: Trigger, to: JobStatus) -> Row {
    (None, trigger, Some(to))
}

const fn moves(from: JobStatus, trigger: Trigger, to: JobStatus) -> Row {
    (Some(from), trigger, Some(to))
}

const fn goes(from: JobStatus, trigger: Trigger) -> Row {
    (Some(from), trigger, None)
}

/// Every transition there is.
pub const TABLE: &[Row] = &[
    born(Trigger::Enqueue, Blocked),
    born(Trigger::Enqueue, Scheduled),
    born(Trigger::Enqueue, Queued),
    born(Trigger::Rebuild, Queued),
    born(Trigger::Twin, Failed),
    moves(Blocked, Trigger::FailBlocked, Failed),
    moves(Blocked, Trigger::SettleEdge, Queued),
    moves(Blocked, Trigger::SettleEdge, Scheduled),
    moves(Blocked, Trigger::SettleEdge, Cancelled),
    moves(Scheduled, Trigger::Promote, Queued),
    moves(Scheduled, Trigger::Promote, Expired),
    moves(Scheduled, Trigger::Promote, Cancelled),
    moves(Retrying, Trigger::Promote, Queued),
    moves(Retrying, Trigger::Promote, Expired),
    moves(Retrying, Trigger::Promote, Cancelled),
    moves(Queued, Trigger::Claim, Running),
    moves(Queued, Trigger::Claim, Expired),
    moves(Queued, Trigger::Claim, Cancelled),
    // A takeover, and a message that is newer than the record.
    moves(Running, Trigger::Claim, Running),
    moves(Running, Trigger::Claim, Failed),
    moves(Running, Trigger::Claim, Cancelled),
    moves(Blocked, Trigger::Claim, Queued),
    moves(Scheduled, Trigger::Claim, Queued),
    moves(Retrying, Trigger::Claim, Queued),
    moves(Queued, Trigger::Claim, Queued),
    moves(Queued, Trigger::Rebuild, Running),
    moves(Running, Trigger::Finish, Completed),
    moves(Running, Trigger::Finish, Failed),
    moves(Running, Trigger::Finish, Cancelled),
    moves(Running, Trigger::Finish, Expired),
    moves(Running, Trigger::Finish, Retrying),
    moves(Running, Trigger::Finish, Scheduled),
    moves(Running, Trigger::Finish, Queued),
    moves(Queued, Trigger::GiveBack, Queued),
    // A message that is newer than the record.
    moves(Blocked, Trigger::GiveBack, Queued),
    moves(Scheduled, Trigger::GiveBack, Queued),
    moves(Retrying, Trigger::GiveBack, Queued),
    moves(Running, Trigger::ExpireLease, Queued),
    moves(Running, Trigger::ExpireLease, Failed),
    moves(Running, Trigger::ExpireLease, Cancelled),
    moves(Blocked, Trigger::ExpireWaiting, Expired),
    moves(Scheduled, Trigger::ExpireWaiting, Expired),
    moves(Queued, Trigger::ExpireWaiting, Expired),
    moves(Retrying, Trigger::ExpireWaiting, Expired),
    moves(Blocked, Trigger::Cancel, Cancelled),
    moves(Scheduled, Trigger::Cancel, Cancelled),
    moves(Queued, Trigger::Cancel, Cancelled),
    moves(Retrying, Trigger::Cancel, Cancelled),
    moves(Queued, Trigger::Quarantine, Failed),
    moves(Running, Trigger::BrokerGaveUp, Failed),
    moves(Running, Trigger::BrokerGaveUp, Cancelled),
    moves(Failed, Trigger::Requeue, Queued),
    goes(Blocked, Trigger::Abort),
    goes(Failed, Trigger::Discard),
    goes(Completed, Trigger::Prune),
    goes(Failed, Trigger::Prune),
    goes(Cancelled, Trigger::Prune),
    goes(Expired, Trigger::Prune),
];

/// Whether the table has this transition.
pub fn allows(from: Option<JobStatus>, trigger: Trigger, to: Option<JobStatus>) -> bool {
    TABLE.contains(&(from, trigger, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_stands_twice() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(!TABLE[at + 1..].contains(row), "{row:?}");
        }
    }

    #[test]
    fn only_a_requeue_leaves_a_terminal_status_alive() {
        let leaving: Vec<_> = TABLE
            .iter()
            .filter(|(from, _, to)| from.is_some_and(JobStatus::is_terminal) && to.is_some())
            .collect();
        assert_eq!(leaving, [&moves(Failed, Trigger::Requeue, Queued)]);
    }

    #[test]
    fn every_live_status_can_end_and_every_terminal_one_can_be_forgotten() {
        for status in JobStatus::ALL {
            let mut reached = vec![Some(status)];
            let mut next = 0;
            while let Some(from) = reached.get(next).copied() {
                next += 1;
                for (_, _, to) in TABLE.iter().filter(|row| row.0 == from && from.is_some()) {
                    if !reached.contains(to) {
                        reached.push(*to);
                    }
                }
            }
            assert!(reached.contains(&None), "{status} is for ever");
        }
    }

    #[test]
    fn running_is_entered_by_a_claim_or_a_rebuild_alone() {
        let into: Vec<_> = TABLE
            .iter()
            .filter(|row| row.2 == Some(Running))
            .map(|row| row.1)
            .collect();
        assert!(
            into.iter()
                .all(|trigger| matches!(trigger, Trigger::Claim | Trigger::Rebuild))
        );
    }
}
