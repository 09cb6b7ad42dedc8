//! The model as the checker sees it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use longshore_core::clock::Timestamp;
use longshore_core::port::enqueue::NewJob;
use longshore_core::spec::Dependency;
use longshore_core::{Envelope, JobId};
use longshore_testkit::factory::{Factory, SeededRandom};
use parking_lot::Mutex;
use stateright::{Model, Property};

use crate::action::Action;
use crate::mutation::Mutation;
use crate::store::Law;
use crate::world::{Broken, Budget, World};

/// What is checked.
pub(crate) struct Fleet {
    pub(crate) jobs: Vec<NewJob>,
    pub(crate) workers: usize,
    pub(crate) schedulers: usize,
    pub(crate) faults: Budget,
    /// Whether the audit of published jobs runs. It is a net below the net: without faults of the broker nothing may
    /// need it.
    pub(crate) audits: bool,
    /// Copies of one job's messages that there may be at a time.
    pub(crate) copies: usize,
    /// Publish and mark, delivery and claim, finish and ack are one step each, and no message is doubled: for two jobs,
    /// whose edges are looked at here. What happens between these steps is looked at with one job.
    pub(crate) coarse: bool,
    pub(crate) mutation: Mutation,
    /// States from which a fleet without faults is known to come to an end.
    pub(crate) healed: Mutex<HashSet<u64>>,
    pub(crate) hasher: RandomState,
}

impl Fleet {
    /// A job, and a child of it in another shard when there are two.
    pub(crate) fn new(jobs: usize, workers: usize, schedulers: usize, faults: Budget) -> Self {
        let random = SeededRandom::new(1);
        let id = |shard| JobId::generate(Timestamp(1), shard, &random);
        let parent = id(0);
        let job = |number: usize| {
            let mut spec = Factory::spec();
            if number > 0 {
                spec.depends_on = vec![Dependency::from(parent)];
            }
            let id = if number > 0 { id(1) } else { parent };
            let envelope = Envelope::from_spec(&spec, id, Timestamp(1));
            let encoded = envelope.encode().expect("a small job");
            NewJob::from_envelope(&envelope, encoded)
        };
        Self {
            jobs: (0..jobs).map(job).collect(),
            workers,
            schedulers,
            faults,
            audits: true,
            copies: 2,
            coarse: jobs > 1,
            mutation: Mutation::None,
            healed: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn without_audit(mut self) -> Self {
        self.audits = false;
        self
    }

    pub(crate) fn with_copies(mut self, copies: usize) -> Self {
        self.copies = copies;
        self
    }

    pub(crate) fn with(mut self, mutation: Mutation) -> Self {
        self.mutation = mutation;
        self
    }

    pub(crate) fn id(&self, job: u8) -> JobId {
        self.jobs[usize::from(job)].id
    }

    /// Time moves only when the store goes back: nothing else compares times of two moments.
    pub(crate) fn law(&self, world: &World) -> Law {
        Law {
            mutation: self.mutation,
            now: Timestamp(1_000_000 * (u64::from(world.era) + 1)),
        }
    }

    pub(crate) fn key(&self, world: &World) -> u64 {
        self.hasher.hash_one(world)
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(
            self.jobs.len(),
            self.workers,
            self.schedulers,
            self.faults,
        )]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "every job ends once faults stop",
                |fleet: &Self, world: &World| fleet.heals(world),
            ),
            Property::always(
                "at most one finish is accepted in a history",
                |_: &Self, world: &World| world.shards.iter().all(|shard| shard.accepted <= 1),
            ),
            Property::always("nothing starts after it has ended", |_: &Self, world: &World| {
                world.broken != Some(Broken::StartAfterEnd)
            }),
            Property::always("nothing starts before its time", |_: &Self, world: &World| {
                world.broken != Some(Broken::StartBeforeTime)
            }),
            Property::always(
                "a child starts after all its parents",
                |_: &Self, world: &World| world.broken != Some(Broken::StartBeforeParents),
            ),
            Property::always("a child is released once", |_: &Self, world: &World| {
                world.shards.iter().all(|shard| shard.released <= 1)
            }),
            Property::always("fences increase", |_: &Self, world: &World| {
                world.broken != Some(Broken::FenceBack)
            }),
            Property::always(
                "one handler at a time while no lease runs out",
                |fleet: &Self, world: &World| {
                    let same = |of: fn(&Budget) -> u8| of(&world.left) == of(&fleet.faults);
                    let calm = world.era == 0 && same(|left| left.expiry) && same(|left| left.unknown);
                    !calm || world.jobs().all(|job| world.handlers(job) <= 1)
                },
            ),
            Property::always(
                "only lost workers are counted as lost",
                |fleet: &Self, world: &World| {
                    let spent = |of: fn(&Budget) -> u8| u32::from(of(&fleet.faults) - of(&world.left));
                    // What a handler finished before the store forgot it is found by its lease, and counted.
                    let most = u32::from(world.era)
                        + spent(|left| left.crash)
                        + spent(|left| left.expiry)
                        + spent(|left| left.unknown);
                    let losts = |shard: &crate::store::Shard| shard.record().map_or(0, |record| record.losts);
                    world.shards.iter().all(|shard| losts(shard) <= most)
                },
            ),
            Property::sometimes("a job completes", |_: &Self, world: &World| {
                world.shards.iter().all(crate::store::Shard::is_over)
            }),
        ]
    }
}
