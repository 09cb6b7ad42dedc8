//! Letters go out: closed when they are due and the channel has budget, tried, marked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::letter::{Letter, State};
use super::{Addressee, Entry, GIVEN_UP_MAX, Policy, Post, WAITING_MAX, group_key, letter_key};
use crate::clock::Timestamp;

/// Time that a try has over its time-out: to store what it came to.
const MARK_MARGIN: Duration = Duration::from_secs(3);

/// What became of a letter that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again.
    Again,
    /// It was given up.
    GivenUp,
    /// Somebody else has marked it meanwhile.
    Nothing,
}

impl Post<'_> {
    /// Closes the letters that are due, the longest due first, as far as their channels have budget.
    pub fn close_due(&mut self, to: &[Addressee], policy: &Policy) {
        let known: BTreeSet<_> = to.iter().map(|channel| channel.name.as_str()).collect();
        let mut due: Vec<(Timestamp, Letter)> = self
            .letters()
            .filter(|letter| known.contains(letter.channel.as_str()))
            .filter_map(|letter| match letter.state {
                State::Collecting { due } if due <= self.now => Some((due, letter.clone())),
                _ => None,
            })
            .collect();
        due.sort_by(|one, other| (one.0, &one.1.id).cmp(&(other.0, &other.1.id)));
        for (_, mut letter) in due {
            if self.waiting(&letter.channel) < WAITING_MAX && self.spend(&letter.channel, policy) {
                let closed_at = self.now;
                self.put(
                    group_key(&letter.channel, &letter.subject),
                    Entry::Group { closed_at },
                );
                letter.state = State::Closed {
                    next: closed_at,
                    attempts: 0,
                    closed_at,
                };
                self.put_letter(letter);
            }
        }
        self.forget_groups(policy);
        self.give_strays_up(&known, policy);
    }

    /// Takes letters whose next try is due, the longest due first, at most `room` of each channel: nobody else takes
    /// them until the try must be over. Whoever takes them sends them all at once, or the time of the last runs out in
    /// the line.
    pub fn take(&mut self, to: &[Addressee], policy: &Policy, room: impl Fn(&str) -> usize) -> Vec<Letter> {
        let now = self.now;
        let is_mine = |letter: &&Letter| to.iter().any(|channel| channel.name == letter.channel);
        let due_at = |letter: &Letter| match letter.state {
            State::Closed { next, .. } if next <= now => Some(next),
            _ => None,
        };
        let mut due: Vec<(Timestamp, &Letter)> = self
            .letters()
            .filter(is_mine)
            .filter_map(|letter| due_at(letter).map(|at| (at, letter)))
            .collect();
        due.sort_by(|one, other| (one.0, &one.1.id).cmp(&(other.0, &other.1.id)));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut has_room = |letter: &Letter| {
            let count = counts.entry(letter.channel.clone()).or_default();
            *count += 1;
            *count <= room(&letter.channel)
        };
        let taken: Vec<Letter> = due
            .into_iter()
            .filter(|(_, letter)| has_room(letter))
            .map(|(_, letter)| letter.clone())
            .collect();
        for letter in &taken {
            if let State::Closed {
                attempts, closed_at, ..
            } = letter.state
            {
                let mut letter = letter.clone();
                letter.state = State::Closed {
                    next: now.after(policy.send_timeout + MARK_MARGIN),
                    attempts: attempts.saturating_add(1),
                    closed_at,
                };
                self.put_letter(letter);
            }
        }
        taken
    }

    /// The channel took a letter. It is a letter no more.
    pub fn sent(&mut self, id: &str) {
        let Some(letter) = self.letter(id).cloned() else {
            return;
        };
        let mut state = self.channel(&letter.channel);
        state.sent = state.sent.saturating_add(1);
        state.sent_at = Some(self.now);
        self.put_channel(&letter.channel, state);
        self.remove(&letter_key(id));
    }

    /// The channel did not take a letter: it is tried again after `pause`, or given up when there is none or its time
    /// is over.
    pub fn failed(&mut self, id: &str, reason: &str, pause: Option<Duration>, policy: &Policy) -> Fate {
        let Some(mut letter) = self.letter(id).cloned() else {
            return Fate::Nothing;
        };
        let State::Closed {
            attempts, closed_at, ..
        } = letter.state
        else {
            return Fate::Nothing;
        };
        let mut state = self.channel(&letter.channel);
        state.failed = Some((self.now, reason.to_owned()));
        // Not from the event's time: a scheduler that was away for a day begins with old ones.
        let tried_since = closed_at.max(letter.last_at);
        let is_over = self.now.since(tried_since) > policy.give_up_after;
        let fate = if let Some(pause) = pause.filter(|_| !is_over) {
            letter.state = State::Closed {
                next: self.now.after(pause),
                attempts,
                closed_at,
            };
            Fate::Again
        } else {
            state.given_up = state.given_up.saturating_add(1);
            letter.state = State::GivenUp {
                at: self.now,
                reason: reason.to_owned(),
            };
            Fate::GivenUp
        };
        self.put_channel(&letter.channel, state);
        self.put_letter(letter);
        self.forget_given_up();
        fate
    }

    /// Letters of a channel that are closed and not sent yet.
    fn waiting(&self, channel: &str) -> usize {
        let waits =
            |letter: &&Letter| letter.channel == channel && matches!(letter.state, State::Closed { .. });
        self.letters().filter(waits).count()
    }

    /// Letters of channels that nobody has any more go after as long as others are tried.
    fn give_strays_up(&mut self, known: &BTreeSet<&str>, policy: &Policy) {
        let is_stray = |letter: &&Letter| {
            !known.contains(letter.channel.as_str())
                && !matches!(letter.state, State::GivenUp { .. })
                && self.now.since(letter.last_at) > policy.give_up_after
        };
        let strays: Vec<Letter> = self.letters().filter(is_stray).cloned().collect();
        for mut letter in strays {
            let reason = "no scheduler has this channel any more".to_owned();
            letter.state = State::GivenUp { at: self.now, reason };
            self.put_letter(letter);
        }
        self.forget_given_up();
    }

    fn forget_given_up(&mut self) {
        let mut given_up: Vec<_> = self
            .letters()
            .filter_map(|letter| match letter.state {
                State::GivenUp { at, .. } => Some((at, letter.id.clone())),
                _ => None,
            })
            .collect();
        given_up.sort_unstable();
        let over = given_up.len().saturating_sub(GIVEN_UP_MAX);
        for (_, id) in given_up.into_iter().take(over) {
            self.remove(&letter_key(&id));
        }
    }

    /// Groups whose interval is over need no memory.
    fn forget_groups(&mut self, policy: &Policy) {
        let now = self.now;
        let is_over = |entry: &Entry| match entry {
            Entry::Group { closed_at } => now.since(*closed_at) >= policy.group_interval,
            _ => false,
        };
        let over: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| is_over(entry))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.remove(&key);
        }
    }
}
