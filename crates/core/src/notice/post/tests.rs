use super::collect::QueueState;
use super::deliver::Fate;
use super::*;
use crate::id::{JobId, WorkerId};
use crate::name::{CronName, FunctionName};
use crate::notice::{Event, Notice};
use crate::outcome::ErrorInfo;
use crate::port::notify::Notices;
use crate::random::SystemRandom;
use crate::view::WorkerView;

/// A mailbox as a store keeps it.
struct Store(Mailbox);

impl Store {
    fn new() -> Self {
        Self(Mailbox {
            now: Timestamp(1_000_000),
            ..Mailbox::default()
        })
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.0.now = self.0.now.after(Duration::from_secs(seconds));
        self
    }

    /// Reads, changes and writes back.
    fn with<R>(&mut self, act: impl FnOnce(&mut Post<'_>) -> R) -> R {
        let mut post = Post::read(self.0.clone(), &SystemRandom);
        let reply = act(&mut post);
        if let Some(change) = post.change() {
            self.0.version += 1;
            self.0.entries.extend(change.put);
            for key in change.delete {
                self.0.entries.remove(&key);
            }
        }
        reply
    }

    /// Closes what is due and takes it.
    fn due(&mut self, policy: &Policy) -> Vec<Letter> {
        self.with(|post| {
            post.close_due(&all(), policy);
            post.take(&all(), policy, |_| 100)
        })
    }
}

fn all() -> Vec<Addressee> {
    vec![Addressee {
        name: "ops".to_owned(),
        kinds: Kind::ALL.into(),
    }]
}

fn death(message: &str) -> Notice {
    Notice {
        at: Timestamp(1_000_000),
        event: Event::DeadLetter {
            id: JobId::from_uuid(uuid::Uuid::from_u128(7)),
            gen_: 1,
            function_name: FunctionName::new("f").unwrap(),
            queue: QueueName::default(),
            attempts: 3,
            error: ErrorInfo::new("io", message),
        },
    }
}

fn notices(from: u64, events: impl IntoIterator<Item = Notice>) -> Notices {
    Notices {
        epoch: 9,
        rows: (from..).zip(events).collect(),
        dropped: 0,
    }
}

#[test]
fn alike_dead_letters_become_one_letter_and_others_another() {
    let (mut store, policy) = (Store::new(), Policy::default());
    let rows = notices(
        1,
        [
            death("user 1 not found"),
            death("user 2 not found"),
            death("disk full"),
        ],
    );
    let up_to = store.with(|post| post.collect(&all(), &policy, 0, &rows));
    assert_eq!(up_to, Some(3));
    assert_eq!(store.due(&policy), [], "it collects for a while");
    let mut letters = store.pass(11).due(&policy);
    letters.sort_by_key(|letter| letter.count);
    let counts: Vec<_> = letters.iter().map(|letter| letter.count).collect();
    assert_eq!(counts, [1, 2]);
    assert_eq!(letters[1].samples.len(), 2);
}

#[test]
fn notices_that_come_again_are_not_counted_again() {
    let (mut store, policy) = (Store::new(), Policy::default());
    let mut rows = notices(1, [death("a"), death("a")]);
    rows.dropped = 4;
    for _ in 0..3 {
        store.with(|post| post.collect(&all(), &policy, 0, &rows));
    }
    // After a wipe numbers begin anew, under another epoch.
    rows.epoch = 10;
    rows.dropped = 0;
    store.with(|post| post.collect(&all(), &policy, 0, &rows));
    let letters = store.pass(11).due(&policy);
    let mut counts: Vec<_> = letters
        .iter()
        .map(|letter| (letter.subject.key(), letter.count))
        .collect();
    counts.sort();
    assert_eq!(counts[0].1, 4);
    assert_eq!(counts[1], ("uncounted".to_owned(), 4));
}

#[test]
fn a_letter_keeps_id_and_content_over_every_try() {
    let (mut store, policy) = (Store::new(), Policy::default());
    store.with(|post| post.collect(&all(), &policy, 0, &notices(1, [death("a")])));
    let first = store.pass(11).due(&policy).remove(0);
    // It is sent now: a further event makes a further letter, and nobody else takes this one.
    store.with(|post| post.collect(&all(), &policy, 0, &notices(2, [death("a")])));
    assert_eq!(store.due(&policy), []);
    // Whoever took it was killed.
    let again = store.pass(34).due(&policy).remove(0);
    assert_eq!(
        (&again.id, again.count, &again.samples),
        (&first.id, 1, &first.samples)
    );
    let fate = store.with(|post| post.failed(&again.id, "away", Some(Duration::from_secs(5)), &policy));
    assert_eq!(fate, Fate::Again);
    let third = store.pass(6).due(&policy).remove(0);
    assert_eq!((&third.id, third.count), (&first.id, 1));
    store.with(|post| post.sent(&third.id));
    assert_eq!(store.pass(60).due(&policy), [], "the group is quiet");
    let next = store.pass(900).due(&policy).remove(0);
    assert_ne!(next.id, first.id);
    let channel = store.with(|post| post.channel("ops"));
    assert_eq!((channel.sent, channel.given_up), (1, 0));
    assert_eq!(channel.failed.unwrap().1, "away");
}

#[test]
fn a_channel_over_its_budget_waits_and_what_waits_goes_on_collecting() {
    let mut store = Store::new();
    let policy = Policy {
        letters_per_hour: 2,
        ..Policy::default()
    };
    let rows = notices(1, ["a", "b", "c"].map(death));
    store.with(|post| post.collect(&all(), &policy, 0, &rows));
    let sent = store.pass(11).due(&policy);
    assert_eq!(sent.len(), 2);
    for letter in sent {
        store.with(|post| post.sent(&letter.id));
    }
    let again = notices(4, ["a", "b", "c"].map(death));
    store.with(|post| post.collect(&all(), &policy, 0, &again));
    assert_eq!(store.pass(600).due(&policy), []);
    let third = store.pass(1_300).due(&policy);
    assert_eq!(third.len(), 1);
    assert_eq!(third[0].count, 2, "it went on collecting");
}

#[test]
fn the_number_of_groups_is_bounded_and_no_event_is_lost() {
    let (mut store, policy) = (
        Store::new(),
        Policy {
            letters_per_hour: 1_000,
            ..Policy::default()
        },
    );
    let words = |n: usize| {
        format!(
            "{}{}",
            char::from(b'a' + u8::try_from(n / 26).unwrap()),
            char::from(b'a' + u8::try_from(n % 26).unwrap())
        )
    };
    let rows = notices(1, (0..150).map(|n| death(&words(n))));
    store.with(|post| post.collect(&all(), &policy, 0, &rows));
    assert_eq!(store.with(|post| post.letters().count()), COLLECTING_MAX + 1);
    let mut sent = Vec::new();
    store.pass(11);
    for _ in 0..=COLLECTING_MAX / WAITING_MAX {
        let letters = store.due(&policy);
        assert!(letters.len() <= WAITING_MAX, "what waits is bounded too");
        for letter in letters {
            store.with(|post| post.sent(&letter.id));
            sent.push(letter.count);
        }
    }
    assert_eq!(sent.len(), COLLECTING_MAX + 1);
    assert_eq!(sent.iter().sum::<u64>(), 150);
}

#[test]
fn a_letter_is_given_up_at_once_when_it_is_refused_and_in_time_when_nobody_answers() {
    let (mut store, policy) = (Store::new(), Policy::default());
    store.with(|post| post.collect(&all(), &policy, 0, &notices(1, ["a", "b"].map(death))));
    let letters = store.pass(11).due(&policy);
    let refused = store.with(|post| post.failed(&letters[0].id, "no such user", None, &policy));
    assert_eq!(refused, Fate::GivenUp);
    store.pass(90_000);
    let pause = Some(Duration::from_secs(1));
    assert_eq!(
        store.with(|post| post.failed(&letters[1].id, "away", pause, &policy)),
        Fate::GivenUp
    );
    assert_eq!(store.with(|post| post.channel("ops")).given_up, 2);
    assert_eq!(store.with(|post| post.letters().count()), 2, "they are shown");
    assert_eq!(store.due(&policy), []);
}

#[test]
fn the_time_of_a_letter_counts_from_its_first_possible_try() {
    let (mut store, policy) = (Store::new(), Policy::default());
    // No scheduler ran for longer than a letter is tried.
    store.pass(100_000);
    store.with(|post| post.collect(&all(), &policy, 0, &notices(1, [death("a")])));
    let letter = store.pass(11).due(&policy).remove(0);
    let pause = Some(Duration::from_secs(1));
    let fail = |store: &mut Store| store.with(|post| post.failed(&letter.id, "away", pause, &policy));
    assert_eq!(fail(&mut store), Fate::Again);
    assert_eq!(fail(store.pass(86_400)), Fate::Again);
    assert_eq!(fail(store.pass(1)), Fate::GivenUp);
}

#[test]
fn a_queue_is_told_of_when_it_comes_over_its_limit_and_again_after_a_while() {
    let mut store = Store::new();
    let policy = Policy {
        queue_length_max: Some(10),
        queue_age_max: Some(Duration::from_secs(60)),
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        ..Policy::default()
    };
    let look = |store: &mut Store, length: u64, waits: u64| {
        store.with(|post| {
            let oldest = Some(post.now.before(Duration::from_secs(waits)));
            let queues = BTreeMap::from([(QueueName::default(), QueueState { length, oldest })]);
            post.watch_queues(&all(), &policy, &queues);
        });
        let letters = store.due(&policy);
        for letter in &letters {
            store.with(|post| post.sent(&letter.id));
        }
        letters
            .iter()
            .map(|letter| letter.subject.key())
            .collect::<Vec<_>>()
    };
    assert_eq!(look(&mut store, 10, 60), Vec::<String>::new());
    assert_eq!(look(&mut store, 11, 60), ["long/default"]);
    assert_eq!(look(&mut store, 12, 61), ["old/default"]);
    assert_eq!(look(store.pass(3_000), 12, 61), Vec::<String>::new());
    assert_eq!(look(store.pass(601), 12, 61).len(), 2, "again after an hour");
    assert_eq!(look(&mut store, 3, 0), Vec::<String>::new());
    assert_eq!(look(&mut store, 11, 0), ["long/default"], "it was calm between");
}

#[test]
fn a_worker_that_vanishes_is_told_of_once() {
    let (mut store, policy) = (Store::new(), Policy::default());
    let worker = WorkerView {
        id: WorkerId("h-1".to_owned()),
        host: "h".to_owned(),
        pid: 1,
        version: String::new(),
        functions: Vec::new(),
        queues: Vec::new(),
        slots: 1,
        busy: 0,
        free: 0,
        unattached: Vec::new(),
        running: Vec::new(),
        draining: false,
        started_at: Timestamp::ZERO,
        seen_at: Timestamp::ZERO,
        watermarks: Vec::new(),
        run_times: Vec::new(),
    };
    store.with(|post| post.watch_workers(&all(), &policy, std::slice::from_ref(&worker), true));
    store.with(|post| post.watch_workers(&all(), &policy, &[], false));
    assert_eq!(store.with(|post| post.letters().count()), 0, "nobody judges yet");
    for _ in 0..2 {
        store.with(|post| post.watch_workers(&all(), &policy, &[], true));
    }
    let lost = Notice {
        at: Timestamp(1_000_000),
        event: Event::WorkerLost {
            id: JobId::from_uuid(uuid::Uuid::from_u128(7)),
            function_name: FunctionName::new("f").unwrap(),
            queue: QueueName::default(),
            worker: worker.id,
        },
    };
    store.with(|post| post.collect(&all(), &policy, 0, &notices(1, [lost])));
    let letters = store.pass(11).due(&policy);
    assert_eq!(letters.len(), 1, "its jobs are in the same letter");
    assert_eq!(letters[0].count, 2);
}

#[test]
fn a_channel_gets_only_what_it_wants() {
    let (mut store, policy) = (Store::new(), Policy::default());
    let to = vec![Addressee {
        name: "ops".to_owned(),
        kinds: BTreeSet::from([Kind::CronMissed]),
    }];
    let missed = Notice {
        at: Timestamp(1_000_000),
        event: Event::CronMissed {
            entry: CronName::new("nightly").unwrap(),
            tick: Timestamp(0),
        },
    };
    store.with(|post| post.collect(&to, &policy, 0, &notices(1, [death("a"), missed])));
    let letters = store.pass(11).due(&policy);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject.key(), "cron/nightly");
}
