//! Every state that a small fleet can reach, with the real transitions of core: nothing is lost, nothing ends twice.
//!
//! One job, or a parent and its child in two shards; workers, schedulers and a producer whose calls, publishes and acks
//! interleave freely; the broker as a multiset of messages. Faults are bounded, so that the states are finite: each
//! test says how many of which. Weaker protocols (`mutation.rs`) are shown to fail, so that the model is known to look.
#![cfg(test)]

mod action;
mod cron;
mod fleet;
mod heal;
mod mutation;
mod step;
mod store;
mod world;

use std::time::Duration;

use fleet::Fleet;
use mutation::Mutation;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use world::Budget;

/// Looks at every state of a fleet.
fn holds(name: &str, fleet: Fleet) {
    let checker = fleet.checker().threads(2).spawn_bfs().join();
    eprintln!(
        "{name}: {} states, {} steps, depth {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// The properties that a weaker fleet breaks, the shortest way printed.
fn breaks(fleet: Fleet) -> Vec<&'static str> {
    let mutation = fleet.mutation;
    let checker = fleet
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .timeout(Duration::from_secs(600))
        .spawn_bfs()
        .join();
    let always = |name: &&'static str| checker.model().property(name).expectation == Expectation::Always;
    let mut broken: Vec<_> = checker.discoveries().into_keys().filter(always).collect();
    broken.sort_unstable();
    eprintln!(
        "without {mutation:?}: {} states, breaks {broken:?}",
        checker.unique_state_count()
    );
    for name in &broken {
        let path = checker.discovery(name).expect("it was discovered");
        eprintln!("  {:?}", path.into_actions());
    }
    broken
}

const NO_LOSS: &str = "every job ends once faults stop";

#[test]
fn a_job_survives_crashes_and_lost_connections() {
    let faults = Budget {
        crash: 1,
        drop: 1,
        ..Budget::default()
    };
    holds("crash, drop", Fleet::new(1, 2, 1, faults));
}

#[test]
fn a_job_survives_lost_answers_and_leases_that_end_too_early() {
    let faults = Budget {
        unknown: 1,
        expiry: 1,
        ..Budget::default()
    };
    holds("lost answer, false expiry", Fleet::new(1, 2, 1, faults));
}

#[test]
fn nothing_needs_the_audit_while_the_broker_keeps_its_messages() {
    let faults = Budget {
        crash: 1,
        expiry: 1,
        ..Budget::default()
    };
    holds(
        "crash, false expiry, no audit",
        Fleet::new(1, 2, 1, faults).without_audit(),
    );
}

#[test]
fn a_job_survives_a_broker_that_loses_its_messages() {
    let faults = Budget {
        crash: 1,
        purge: 1,
        give_back: 1,
        ..Budget::default()
    };
    holds("crash, purge, give-back", Fleet::new(1, 1, 1, faults));
}

#[test]
fn a_job_survives_a_store_that_goes_back_in_time() {
    let faults = Budget {
        rollback: 1,
        ..Budget::default()
    };
    holds("rollback", Fleet::new(1, 1, 1, faults));
}

#[test]
fn a_job_with_a_message_survives_the_loss_of_the_store() {
    let faults = Budget {
        wipe: 1,
        crash: 1,
        ..Budget::default()
    };
    holds("wipe, crash", Fleet::new(1, 1, 1, faults));
}

#[test]
fn a_cancel_ends_a_job_whatever_it_races() {
    let faults = Budget {
        cancel: 1,
        unknown: 1,
        ..Budget::default()
    };
    holds("cancel, lost answer", Fleet::new(1, 1, 1, faults));
}

#[test]
fn a_child_starts_after_its_parent_whoever_crashes() {
    let faults = Budget {
        crash: 1,
        again: 1,
        fail: 1,
        ..Budget::default()
    };
    holds(
        "parent and child: crash, retried enqueue",
        Fleet::new(2, 1, 1, faults),
    );
}

#[test]
fn a_child_survives_a_store_that_goes_back_in_time() {
    let faults = Budget {
        rollback: 1,
        ..Budget::default()
    };
    holds("parent and child: rollback", Fleet::new(2, 1, 1, faults));
}

#[test]
fn a_child_survives_the_loss_of_a_shard() {
    let faults = Budget {
        wipe: 1,
        cancel: 1,
        ..Budget::default()
    };
    holds("parent and child: wipe, cancel", Fleet::new(2, 1, 1, faults));
}

#[test]
fn without_the_nonce_two_finishes_are_accepted() {
    let faults = Budget {
        expiry: 1,
        ..Budget::default()
    };
    let broken = breaks(Fleet::new(1, 2, 1, faults).with(Mutation::NonceOfFinish));
    assert!(
        broken.contains(&"at most one finish is accepted in a history"),
        "{broken:?}"
    );
}

#[test]
fn without_the_outbox_a_job_is_lost() {
    let broken = breaks(Fleet::new(1, 1, 1, Budget::default()).with(Mutation::Outbox));
    assert!(broken.contains(&NO_LOSS), "{broken:?}");
}

#[test]
fn without_the_rebuild_a_job_is_lost() {
    let faults = Budget {
        wipe: 1,
        ..Budget::default()
    };
    let broken = breaks(Fleet::new(1, 1, 1, faults).with(Mutation::Rebuild));
    assert!(broken.contains(&NO_LOSS), "{broken:?}");
}

#[test]
fn without_the_gen_of_a_claim_a_job_starts_before_its_time() {
    let faults = Budget {
        crash: 1,
        ..Budget::default()
    };
    let broken = breaks(Fleet::new(1, 1, 1, faults).with(Mutation::GenOfClaim));
    assert!(broken.contains(&"nothing starts before its time"), "{broken:?}");
}

#[test]
fn without_the_gen_of_a_confirm_a_job_is_lost() {
    let faults = Budget {
        crash: 1,
        ..Budget::default()
    };
    let fleet = Fleet::new(1, 1, 1, faults).without_audit();
    let broken = breaks(fleet.with(Mutation::GenOfMark));
    assert!(broken.contains(&NO_LOSS), "{broken:?}");
}

#[test]
fn without_the_look_at_the_lease_two_handlers_run() {
    let broken = breaks(Fleet::new(1, 2, 1, Budget::default()).with(Mutation::BusyCheck));
    let seen = [
        "one handler at a time while no lease runs out",
        "only lost workers are counted as lost",
    ];
    assert!(seen.iter().any(|name| broken.contains(name)), "{broken:?}");
}

#[test]
fn without_the_edges_row_a_child_waits_for_ever() {
    let faults = Budget {
        crash: 1,
        rollback: 1,
        ..Budget::default()
    };
    let broken = breaks(Fleet::new(2, 1, 1, faults).with(Mutation::EdgesRow));
    assert!(broken.contains(&NO_LOSS), "{broken:?}");
}

#[test]
fn without_the_row_of_children_a_child_waits_for_ever() {
    let broken = breaks(Fleet::new(2, 1, 1, Budget::default()).with(Mutation::TellChildren));
    assert!(broken.contains(&NO_LOSS), "{broken:?}");
}

#[test]
fn without_time_in_it_a_fence_is_given_twice() {
    let faults = Budget {
        rollback: 1,
        ..Budget::default()
    };
    let broken = breaks(Fleet::new(1, 1, 1, faults).with(Mutation::TimeOfFence));
    assert!(broken.contains(&"fences increase"), "{broken:?}");
}

/// More faults of more kinds at once; some minutes of it.
#[test]
#[ignore = "looks at millions of states"]
fn soak_a_fleet_of_one_job() {
    let faults = |shape: fn(&mut Budget)| {
        let mut faults = Budget::default();
        shape(&mut faults);
        faults
    };
    let big = |workers, left| Fleet::new(1, workers, 1, left).with_copies(3);
    let crashes = faults(|left| (left.crash, left.drop) = (2, 1));
    holds("two crashes, drop", big(2, crashes));
    let store = faults(|left| (left.rollback, left.crash) = (1, 1));
    holds("rollback, crash", big(1, store));
    let wipe = faults(|left| (left.wipe, left.crash, left.early_ack, left.give_back) = (1, 1, 1, 1));
    holds("wipe, crash, early ack, give-back", big(1, wipe));
    let undone = faults(|left| (left.cancel, left.unknown, left.undo, left.crash) = (1, 1, 1, 1));
    holds("cancel, lost answer, undone start, crash", big(1, undone));
}

/// As above, with a child in another shard.
#[test]
#[ignore = "looks at millions of states"]
fn soak_a_fleet_of_parent_and_child() {
    let faults = Budget {
        crash: 2,
        rollback: 1,
        again: 1,
        fail: 1,
        ..Budget::default()
    };
    holds(
        "parent and child: two crashes, rollback",
        Fleet::new(2, 1, 1, faults),
    );
}
