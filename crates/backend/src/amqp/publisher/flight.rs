//! The books of what is in flight: windows, deadlines, and the return barrier.
//!
//! lapin attaches a returned message to whichever confirm comes next, which may be another message's. What is certain:
//! every return comes before its own confirm, and every confirm takes at most one return along. So once every message
//! that was outstanding when a message was confirmed is settled too, its return, if there was one, has been seen. That
//! point is the message's barrier; a call is answered when the last of its messages has passed its own.

use std::collections::{BTreeMap, HashSet, VecDeque};

use longshore_core::port::broker::Published;
use tokio::sync::oneshot;
use tokio::time::Instant;

const UNROUTABLE: &str = "RabbitMQ returned it: no queue takes it (was the queue deleted?)";

/// Everything between a call and its answer.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Messages in the order they were sent; the first has the number `base` and is not settled.
    slots: VecDeque<Slot>,
    base: u64,
    calls: BTreeMap<u64, Call>,
    next_call: u64,
    /// Ids of returned messages whose calls are not answered yet.
    returned: HashSet<String>,
    /// Calls without open messages, and the barrier that they wait for; barriers only rise.
    closing: VecDeque<(u64, u64)>,
    in_air: usize,
}

#[derive(Debug)]
struct Slot {
    call: u64,
    at: usize,
    deadline: Instant,
    settled: bool,
}

#[derive(Debug)]
struct Call {
    reply: oneshot::Sender<Vec<Published>>,
    answers: Vec<Answer>,
    open: usize,
}

#[derive(Clone, Debug)]
enum Answer {
    /// Not sent yet, or no confirm yet.
    Open,
    /// Confirmed; certain once `barrier` messages are settled.
    Confirmed { id: String, barrier: u64 },
    /// Decided.
    Other(Published),
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Confirmed,
    Refused(String),
    Unknown,
}

impl Flight {
    /// Opens a call of `count` messages.
    pub(super) fn open(&mut self, count: usize, reply: oneshot::Sender<Vec<Published>>) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(
            call,
            Call {
                reply,
                answers: vec![Answer::Open; count],
                open: count,
            },
        );
        call
    }

    /// Message `at` of a call is on its way. Answers its number.
    pub(super) fn sent(&mut self, call: u64, at: usize, deadline: Instant) -> u64 {
        let number = self.next();
        self.slots.push_back(Slot {
            call,
            at,
            deadline,
            settled: false,
        });
        self.in_air += 1;
        number
    }

    /// Message `at` of a call is not sent.
    pub(super) fn refuse(&mut self, call: u64, at: usize, reason: String) {
        self.decide(call, at, Answer::Other(Published::Refused(reason)));
    }

    /// The broker's word on message `number` with this id, and the id of a returned message that came along.
    pub(super) fn settle(&mut self, number: u64, id: String, fate: Fate, returned: Option<String>) {
        self.in_air = self.in_air.saturating_sub(1);
        self.returned.extend(returned);
        let barrier = self.next();
        let answer = match fate {
            Fate::Confirmed => Answer::Confirmed { id, barrier },
            Fate::Refused(reason) => Answer::Other(Published::Refused(reason)),
            Fate::Unknown => Answer::Other(Published::Unknown),
        };
        self.close_slot(number, answer);
    }

    /// Gives up waiting for confirms whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(slot) = self.slots.front().filter(|slot| slot.deadline <= now) {
            debug_assert!(!slot.settled, "the first slot is open");
            self.close_slot(self.base, Answer::Other(Published::Unknown));
        }
    }

    /// When the next confirm is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.deadline)
    }

    /// Confirms outstanding, those that were given up included: the broker may still have them in hand.
    pub(super) fn in_air(&self) -> usize {
        self.in_air
    }

    /// Whether every outstanding confirm was given up.
    pub(super) fn is_stuck(&self) -> bool {
        self.in_air > 0 && self.slots.is_empty()
    }

    /// Answers every call whose last message has passed its barrier.
    pub(super) fn report(&mut self) {
        while let Some(&(call, barrier)) = self.closing.front() {
            if barrier > self.base {
                return;
            }
            self.closing.pop_front();
            self.answer(call);
        }
        if self.in_air == 0 && self.slots.is_empty() {
            self.returned.clear();
        }
    }

    /// The channel is gone: answers every call with what is certain.
    pub(super) fn abandon(&mut self) {
        let open: Vec<u64> = self.calls.keys().copied().collect();
        for call in open {
            self.answer(call);
        }
        *self = Self {
            next_call: self.next_call,
            ..Self::default()
        };
    }

    fn next(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    fn close_slot(&mut self, number: u64, answer: Answer) {
        let place = number
            .checked_sub(self.base)
            .and_then(|place| usize::try_from(place).ok());
        let Some(slot) = place.and_then(|place| self.slots.get_mut(place)) else {
            return;
        };
        if std::mem::replace(&mut slot.settled, true) {
            return;
        }
        let (call, at) = (slot.call, slot.at);
        while self.slots.front().is_some_and(|slot| slot.settled) {
            self.slots.pop_front();
            self.base += 1;
        }
        self.decide(call, at, answer);
    }

    fn decide(&mut self, call: u64, at: usize, answer: Answer) {
        let barrier = self.next();
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        if let Some(open @ Answer::Open) = found.answers.get_mut(at) {
            *open = answer;
            found.open -= 1;
        }
        if found.open == 0 {
            self.closing.push_back((call, barrier));
        }
    }

    fn answer(&mut self, call: u64) {
        let Some(Call { reply, answers, .. }) = self.calls.remove(&call) else {
            return;
        };
        let answers = answers
            .into_iter()
            .map(|answer| match answer {
                Answer::Other(published) => published,
                Answer::Confirmed { id, .. } if self.returned.remove(&id) => {
                    Published::Refused(UNROUTABLE.to_owned())
                }
                Answer::Confirmed { barrier, .. } if barrier <= self.base => Published::Confirmed,
                Answer::Confirmed { .. } | Answer::Open => Published::Unknown,
            })
            .collect();
        // A caller that went away needs no answer.
        drop(reply.send(answers));
    }
}

#[cfg(test)]
mod tests;
