//! Short plots that lead to corners which single random calls seldom reach: a takeover in a paused queue, a requeue of a
//! job with an expiry, children that wait for a failed parent, retention before the children were told, give-backs that
//! repeat. Random calls come between their steps and after them.

use proptest::prelude::*;

use crate::action::{Action, End, GenPick, JOBS};

/// Calls in one sequence.
const CALLS: std::ops::Range<usize> = 1..50;
/// Plots of one sequence.
const MOTIFS: std::ops::Range<usize> = 0..3;

/// A sequence: calls at random, and plots with calls between their steps.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<Action>> {
    let disturbed = (
        motif(),
        proptest::collection::vec((any::<prop::sample::Index>(), any::<Action>()), 0..3),
    );
    let plots = proptest::collection::vec(disturbed, MOTIFS);
    (plots, proptest::collection::vec(any::<Action>(), CALLS)).prop_map(|(plots, mut calls)| {
        let mut all = Vec::new();
        for (mut plot, between) in plots {
            for (at, action) in between {
                plot.insert(at.index(plot.len() + 1), action);
            }
            all.append(&mut plot);
        }
        all.append(&mut calls);
        all
    })
}

fn motif() -> impl Strategy<Value = Vec<Action>> {
    // The child has plots of its own.
    let job = 0..JOBS - 1;
    prop_oneof![
        (job.clone(), any::<bool>()).prop_map(|(job, cancel)| takeover_while_paused(job, cancel)),
        job.clone().prop_map(requeued_after_its_expiry),
        (job.clone(), 0..3_usize).prop_map(|(job, reason)| given_back_again(job, reason)),
        any::<bool>().prop_map(parent_fails_and_is_requeued),
        any::<bool>().prop_map(pruned_before_its_child_is_told),
    ]
}

const fn enqueue(job: usize, expires: bool) -> Action {
    Action::Enqueue {
        job,
        other: false,
        later: false,
        expires,
    }
}

const fn claim(job: usize, nonce: usize) -> Action {
    Action::Claim {
        job,
        gen_: GenPick::Same,
        nonce,
    }
}

const fn pass(seconds: u64) -> Action {
    Action::Pass { seconds }
}

fn takeover_while_paused(job: usize, cancel: bool) -> Vec<Action> {
    let mut plot = vec![enqueue(job, false), claim(job, 0)];
    plot.extend(cancel.then_some(Action::Cancel { job }));
    // Somebody looks at the leases all the time, so that the takeover need not wait for a pause of the sweep.
    plot.extend([
        Action::Pause { paused: true },
        pass(15),
        Action::Sweep,
        pass(10),
        Action::Sweep,
    ]);
    plot.extend([
        pass(5),
        claim(job, 1),
        claim(job, 2),
        Action::Pause { paused: false },
        claim(job, 2),
    ]);
    plot
}

fn requeued_after_its_expiry(job: usize) -> Vec<Action> {
    vec![
        enqueue(job, true),
        claim(job, 0),
        Action::Finish {
            job,
            nonce: 0,
            end: End::Failed,
        },
        pass(1),
        Action::Requeue { job },
        pass(31),
        pass(5),
        Action::ExpireWaiting,
        claim(job, 1),
    ]
}

fn given_back_again(job: usize, reason: usize) -> Vec<Action> {
    let back = Action::GiveBack {
        job,
        gen_: GenPick::Same,
        reason,
    };
    let mut plot = vec![enqueue(job, false), back.clone(), back.clone(), back.clone()];
    plot.extend([Action::LeaseOutbox, pass(1), Action::LeaseOutbox, claim(job, 0)]);
    plot.extend([
        Action::Finish {
            job,
            nonce: 0,
            end: End::Released,
        },
        back,
        Action::LeaseOutbox,
        pass(1),
        Action::LeaseOutbox,
    ]);
    plot
}

fn end_parent(end: End) -> [Action; 2] {
    let finish = Action::Finish {
        job: 0,
        nonce: 0,
        end,
    };
    [claim(0, 0), finish]
}

fn parent_fails_and_is_requeued(twice: bool) -> Vec<Action> {
    let mut plot = vec![enqueue(0, false), enqueue(JOBS - 1, false), Action::Register];
    plot.extend(twice.then_some(Action::Register));
    plot.extend(end_parent(End::Failed));
    plot.extend([
        Action::Relations,
        Action::Register,
        pass(1),
        Action::Requeue { job: 0 },
    ]);
    plot.extend(end_parent(End::Completed));
    plot.extend([
        Action::Relations,
        Action::SettleEdge { completed: true },
        claim(JOBS - 1, 1),
    ]);
    plot
}

fn pruned_before_its_child_is_told(completed: bool) -> Vec<Action> {
    let end = if completed { End::Completed } else { End::Cancelled };
    let mut plot = vec![enqueue(0, false), enqueue(JOBS - 1, false), Action::Register];
    plot.extend(end_parent(end));
    plot.extend([
        pass(31),
        Action::Prune,
        Action::Prune,
        Action::Relations,
        Action::Prune,
    ]);
    plot.extend([
        Action::SettleEdge { completed },
        Action::Register,
        enqueue(0, false),
    ]);
    plot
}
