//! One queue.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::message::Message;
use longshore_core::priority::Priority;

/// What waits.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// Jobs; an empty envelope is on the disk.
    Jobs(Message),
    /// Bytes of nobody.
    Raw(Bytes),
    /// A letter of the archive, by its number.
    Letter(u64),
}

/// An item and whether somebody had it before.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) redelivered: bool,
}

/// A queue with a lane a priority, each first in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<Reverse<Priority>, VecDeque<Entry>>,
    pub(super) subscribers: Vec<u64>,
    /// Whose turn is next: a place in `subscribers`.
    turn: usize,
    pub(super) recreated_at: Option<Timestamp>,
}

impl Queue {
    /// An empty queue in the place of a deleted one.
    pub(super) fn recreated(at: Timestamp) -> Self {
        Self {
            recreated_at: Some(at),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, priority: Priority, entry: Entry) {
        self.lanes.entry(Reverse(priority)).or_default().push_back(entry);
    }

    /// Puts an entry back where it came from.
    pub(super) fn put_back(&mut self, priority: Priority, entry: Entry) {
        self.lanes.entry(Reverse(priority)).or_default().push_front(entry);
    }

    /// The most urgent entry that somebody has room for, and who gets it: everybody with room in turn.
    pub(super) fn deal(
        &mut self,
        has_room: impl Fn(u64, Priority) -> bool,
    ) -> Option<(u64, Priority, Entry)> {
        let (subscribers, turn) = (&self.subscribers, self.turn);
        for (Reverse(priority), lane) in &mut self.lanes {
            if lane.is_empty() {
                continue;
            }
            let places = (turn..subscribers.len()).chain(0..turn.min(subscribers.len()));
            let mut takers = places.filter_map(|place| Some((place, *subscribers.get(place)?)));
            if let Some((place, taker)) = takers.find(|(_, taker)| has_room(*taker, *priority)) {
                self.turn = place + 1;
                return Some((taker, *priority, lane.pop_front()?));
            }
        }
        None
    }

    pub(super) fn ready(&self, priority: Priority) -> u64 {
        self.lanes
            .get(&Reverse(priority))
            .map_or(0, |lane| lane.len() as u64)
    }
}
