//! Recurring jobs: schedulers that read, plan and fire at the same time, with the real plan and the real enqueue.
//!
//! The move of an entry from one tick to the next is the store's compare-and-set, as in `cron_fire`; the mutation takes
//! it away. A job that ended long ago is forgotten with its tombstone, so that the id alone protects nobody.

use std::time::Duration;

use longshore_core::JobId;
use longshore_core::clock::Timestamp;
use longshore_core::cron::{Misfire, Schedule, Step, plan};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::record::Slot;
use longshore_core::transition;
use longshore_testkit::factory::Factory;
use stateright::{Checker, Model, Property};

const MINUTE: u64 = 60_000;
/// The first tick: a whole minute.
const START: u64 = 28_000_000 * MINUTE;
/// Ticks that come due.
const TICKS: usize = 3;

struct Clockwork {
    schedule: Schedule,
    jobs: Vec<NewJob>,
    schedulers: usize,
    crashes: u8,
    edits: u8,
    compares: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: Timestamp,
    version: u64,
    next_at: Timestamp,
    paused: bool,
    /// The job of each tick, and how often it was made.
    slots: Vec<(Slot, u8)>,
    hands: Vec<Option<Plan>>,
    crashes: u8,
    edits: u8,
    /// A tick of an entry that had been changed or paused meanwhile fired.
    stale: bool,
    /// The entry stood at an earlier tick again.
    went_back: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Plan {
    version: u64,
    /// Tick, next, fires.
    steps: Vec<(Timestamp, Timestamp, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    MinutePasses,
    Read(usize),
    Fire(usize),
    Crash(usize),
    Pause,
    Resume,
    Forget(usize),
}

impl Clockwork {
    fn new(schedulers: usize, compares: bool) -> Self {
        let schedule = Schedule {
            expression: "* * * * *".parse().expect("an expression"),
            zone: "UTC".parse().expect("a zone"),
        };
        let job = |tick: usize| {
            let id = JobId::from_cron_tick("nightly", at(tick), 0);
            let envelope = longshore_core::Envelope::from_spec(&Factory::spec(), id, Timestamp(1));
            let encoded = envelope.encode().expect("a small job");
            NewJob::from_envelope(&envelope, encoded)
        };
        Self {
            schedule,
            jobs: (0..TICKS).map(job).collect(),
            schedulers,
            crashes: 1,
            edits: 1,
            compares,
        }
    }

    fn fire(
        &self,
        state: &mut State,
        version: u64,
        (tick, next, fires): (Timestamp, Timestamp, bool),
    ) -> bool {
        let as_read = state.version == version && state.next_at == tick && tick <= state.now;
        if self.compares && !as_read {
            return false;
        }
        state.went_back |= next < state.next_at;
        state.next_at = next;
        if fires {
            state.stale |= state.version != version;
            let number = usize::try_from((tick.millis() - START) / MINUTE).expect("a small number");
            let (slot, made) = &mut state.slots[number];
            let now = state.now;
            if let Enqueued::Created { .. } =
                transition::enqueue_within(slot, &self.jobs[number], Duration::ZERO, now)
            {
                *made += 1;
            }
        }
        true
    }
}

fn at(tick: usize) -> Timestamp {
    Timestamp(START + tick as u64 * MINUTE)
}

impl Model for Clockwork {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: Timestamp(START - 1),
            version: 1,
            next_at: at(0),
            paused: false,
            slots: vec![(Slot::Missing, 0); TICKS],
            hands: vec![None; self.schedulers],
            crashes: self.crashes,
            edits: self.edits,
            stale: false,
            went_back: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < at(TICKS - 1) {
            actions.push(Action::MinutePasses);
        }
        for (number, hand) in state.hands.iter().enumerate() {
            match hand {
                Some(_) => {
                    actions.push(Action::Fire(number));
                    if state.crashes > 0 {
                        actions.push(Action::Crash(number));
                    }
                }
                None if !state.paused && state.next_at <= state.now => actions.push(Action::Read(number)),
                None => {}
            }
        }
        if state.paused {
            actions.push(Action::Resume);
        } else if state.edits > 0 {
            actions.push(Action::Pause);
        }
        let made = |(_, (slot, _)): &(usize, &(Slot, u8))| *slot != Slot::Missing;
        actions.extend(
            state
                .slots
                .iter()
                .enumerate()
                .filter(made)
                .map(|(tick, _)| Action::Forget(tick)),
        );
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::MinutePasses => state.now = state.now.after(Duration::from_millis(MINUTE)),
            Action::Read(number) => {
                let most = Misfire::All(10);
                let steps = plan(&self.schedule, most, state.next_at, state.now);
                let plain = |step: &Step| (step.tick, step.next, step.fires);
                state.hands[number] = Some(Plan {
                    version: state.version,
                    steps: steps.iter().map(plain).collect(),
                });
            }
            Action::Fire(number) => {
                let mut plan = state.hands[number].take()?;
                let moved = self.fire(&mut state, plan.version, plan.steps.remove(0));
                state.hands[number] = (moved && !plan.steps.is_empty()).then_some(plan);
            }
            Action::Crash(number) => {
                state.crashes -= 1;
                state.hands[number] = None;
            }
            Action::Pause => {
                state.edits -= 1;
                (state.paused, state.version) = (true, state.version + 1);
            }
            Action::Resume => {
                (state.paused, state.version) = (false, state.version + 1);
                state.next_at = self.schedule.next_or_far(state.now).max(state.next_at);
            }
            Action::Forget(tick) => state.slots[tick].0 = Slot::Missing,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one job a tick", |_: &Self, state: &State| {
                state.slots.iter().all(|(_, made)| *made <= 1)
            }),
            Property::always("a changed entry fires as it is now", |_: &Self, state: &State| {
                !state.stale
            }),
            Property::always("an entry does not go back", |_: &Self, state: &State| {
                !state.went_back
            }),
            // What the entry has passed was made, unless somebody paused it meanwhile.
            Property::always("no tick is left out", |model: &Self, state: &State| {
                state.edits < model.edits
                    || (0..TICKS).all(|tick| at(tick) >= state.next_at || state.slots[tick].1 == 1)
            }),
            Property::sometimes("every tick fires", |_: &Self, state: &State| {
                state.slots.iter().all(|(_, made)| *made == 1)
            }),
        ]
    }
}

#[test]
fn a_tick_makes_one_job_whoever_fires_it() {
    let checker = Clockwork::new(3, true).checker().threads(2).spawn_bfs().join();
    eprintln!(
        "cron: {} states, depth {}",
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn an_entry_that_is_moved_without_comparing_fires_twice() {
    let checker = Clockwork::new(2, false).checker().threads(2).spawn_bfs().join();
    for broken in [
        "one job a tick",
        "a changed entry fires as it is now",
        "an entry does not go back",
    ] {
        let path = checker.discovery(broken).expect(broken);
        eprintln!(
            "without the comparison: {broken} fails by {:?}",
            path.into_actions()
        );
    }
}
