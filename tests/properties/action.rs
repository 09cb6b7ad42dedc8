//! What a sequence is made of.

use proptest::prelude::*;

/// Jobs in play; the last is the child of the first.
pub(crate) const JOBS: usize = 4;
/// Nonces in play.
pub(crate) const NONCES: usize = 5;

/// A gen, as seen from the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GenPick {
    /// One less.
    Older,
    /// The same.
    Same,
    /// One more.
    Newer,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    Retry,
    Snooze,
    Released,
    Cancelled,
    Expired,
}

/// One call; numbers name the jobs and nonces in play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Enqueues a job; `other` with other arguments, `later` for in 22 seconds, `expires` within 35.
    Enqueue {
        job: usize,
        other: bool,
        later: bool,
        expires: bool,
    },
    MarkPublished {
        job: usize,
        gen_: GenPick,
    },
    Claim {
        job: usize,
        gen_: GenPick,
        nonce: usize,
    },
    Rebuild {
        job: usize,
        gen_: GenPick,
        nonce: usize,
        then: usize,
    },
    Beat {
        job: usize,
        nonce: usize,
    },
    Finish {
        job: usize,
        nonce: usize,
        end: End,
    },
    GiveBack {
        job: usize,
        gen_: GenPick,
        reason: usize,
    },
    Cancel {
        job: usize,
    },
    Quarantine {
        job: usize,
        gen_: GenPick,
    },
    Sweep,
    ExpireWaiting,
    Promote,
    LeaseOutbox,
    ExtendOutbox {
        job: usize,
        gen_: GenPick,
    },
    Audit,
    BrokerGaveUp {
        job: usize,
        gen_: GenPick,
    },
    Requeue {
        job: usize,
    },
    Discard {
        job: usize,
    },
    DeadCopied {
        job: usize,
        gen_: GenPick,
    },
    Prune,
    Register,
    SettleEdge {
        completed: bool,
    },
    Relations,
    Pause {
        paused: bool,
    },
    Pass {
        seconds: u64,
    },
}

impl Arbitrary for Action {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let job = || 0..JOBS;
        let nonce = || 0..NONCES;
        let gen_ = || {
            prop_oneof![
                6 => Just(GenPick::Same),
                1 => Just(GenPick::Older),
                1 => Just(GenPick::Newer),
            ]
        };
        let rarely = || proptest::bool::weighted(0.15);
        prop_oneof![
            8 => (job(), rarely(), rarely(), rarely())
                .prop_map(|(job, other, later, expires)| Self::Enqueue { job, other, later, expires }),
            3 => (job(), gen_()).prop_map(|(job, gen_)| Self::MarkPublished { job, gen_ }),
            10 => (job(), gen_(), nonce()).prop_map(|(job, gen_, nonce)| Self::Claim { job, gen_, nonce }),
            1 => (job(), gen_(), nonce(), 0..3_usize)
                .prop_map(|(job, gen_, nonce, then)| Self::Rebuild { job, gen_, nonce, then }),
            4 => (job(), nonce()).prop_map(|(job, nonce)| Self::Beat { job, nonce }),
            10 => (job(), nonce(), end()).prop_map(|(job, nonce, end)| Self::Finish { job, nonce, end }),
            2 => (job(), gen_(), 0..3_usize)
                .prop_map(|(job, gen_, reason)| Self::GiveBack { job, gen_, reason }),
            2 => job().prop_map(|job| Self::Cancel { job }),
            1 => (job(), gen_()).prop_map(|(job, gen_)| Self::Quarantine { job, gen_ }),
            6 => Just(Self::Sweep),
            2 => Just(Self::ExpireWaiting),
            3 => Just(Self::Promote),
            3 => Just(Self::LeaseOutbox),
            1 => (job(), gen_()).prop_map(|(job, gen_)| Self::ExtendOutbox { job, gen_ }),
            1 => Just(Self::Audit),
            1 => (job(), gen_()).prop_map(|(job, gen_)| Self::BrokerGaveUp { job, gen_ }),
            2 => job().prop_map(|job| Self::Requeue { job }),
            1 => job().prop_map(|job| Self::Discard { job }),
            1 => (job(), gen_()).prop_map(|(job, gen_)| Self::DeadCopied { job, gen_ }),
            1 => Just(Self::Prune),
            2 => Just(Self::Register),
            2 => any::<bool>().prop_map(|completed| Self::SettleEdge { completed }),
            2 => Just(Self::Relations),
            1 => any::<bool>().prop_map(|paused| Self::Pause { paused }),
            8 => prop_oneof![Just(1), Just(4), Just(5), Just(10), Just(15), Just(30), Just(31)]
                .prop_map(|seconds| Self::Pass { seconds }),
        ]
        .boxed()
    }
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => Just(End::Completed),
        3 => Just(End::Failed),
        3 => Just(End::Retry),
        1 => Just(End::Snooze),
        1 => Just(End::Released),
        1 => Just(End::Cancelled),
        1 => Just(End::Expired),
    ]
}
