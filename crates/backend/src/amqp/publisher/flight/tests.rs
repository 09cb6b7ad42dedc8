use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn unroutable() -> Published {
    Published::Refused(UNROUTABLE.to_owned())
}

/// A flight with one call for each size, all sent, and where the answers go.
fn flown(sizes: &[usize]) -> (Flight, Vec<oneshot::Receiver<Vec<Published>>>) {
    let mut flight = Flight::default();
    let mut replies = Vec::new();
    for size in sizes {
        let (reply, answers) = oneshot::channel();
        let call = flight.open(*size, reply);
        for at in 0..*size {
            flight.sent(call, at, later());
        }
        replies.push(answers);
    }
    (flight, replies)
}

fn confirm(flight: &mut Flight, number: u64, returned: Option<u64>) {
    flight.settle(
        number,
        number.to_string(),
        Fate::Confirmed,
        returned.map(|number| number.to_string()),
    );
    flight.report();
}

#[test]
fn a_return_that_travels_with_a_later_confirm_of_another_call_is_seen() {
    let (mut flight, mut replies) = flown(&[1, 1]);
    // Message 0 was returned; its own confirm came without the return.
    confirm(&mut flight, 0, None);
    assert!(
        replies[0].try_recv().is_err(),
        "it was answered before the barrier"
    );
    confirm(&mut flight, 1, Some(0));
    assert_eq!(replies[0].try_recv().unwrap(), [unroutable()]);
    assert_eq!(replies[1].try_recv().unwrap(), [Published::Confirmed]);
}

#[test]
fn later_messages_do_not_hold_an_answer_back() {
    let (mut flight, mut replies) = flown(&[1]);
    confirm(&mut flight, 0, None);
    assert_eq!(replies[0].try_recv().unwrap(), [Published::Confirmed]);
}

#[test]
fn an_overdue_confirm_is_unknown_and_holds_nobody_back() {
    let (mut flight, mut replies) = flown(&[1, 1]);
    confirm(&mut flight, 1, None);
    flight.expire(later() + Duration::from_secs(1));
    flight.report();
    assert_eq!(replies[0].try_recv().unwrap(), [Published::Unknown]);
    assert_eq!(replies[1].try_recv().unwrap(), [Published::Confirmed]);
    assert!(flight.is_stuck());
    confirm(&mut flight, 0, None);
    assert_eq!(flight.in_air(), 0);
}

#[test]
fn a_lost_channel_leaves_what_is_certain() {
    let (mut flight, mut replies) = flown(&[3]);
    confirm(&mut flight, 0, None);
    confirm(&mut flight, 1, None);
    flight.abandon();
    // The first two were confirmed while the third was outstanding: its confirm might have brought their return.
    assert_eq!(replies[0].try_recv().unwrap(), vec![Published::Unknown; 3]);
}

#[test]
fn a_call_that_is_refused_whole_is_answered() {
    let mut flight = Flight::default();
    let (reply, mut answers) = oneshot::channel();
    let call = flight.open(2, reply);
    flight.refuse(call, 0, "no".to_owned());
    flight.refuse(call, 1, "no".to_owned());
    flight.report();
    assert_eq!(
        answers.try_recv().unwrap(),
        vec![Published::Refused("no".to_owned()); 2]
    );
}

proptest! {
    /// lapin's bookkeeping, replayed: the broker returns some messages, each before its confirm; confirms come in any
    /// order; each takes the oldest return along that was received and not yet taken.
    #[test]
    fn exactly_the_returned_ones_are_refused(
        sizes in prop::collection::vec(1_usize..6, 1..8),
        bad in prop::collection::vec(any::<bool>(), 48),
        order in prop::collection::vec(any::<prop::sample::Index>(), 48),
        early in prop::collection::vec(0_usize..4, 48),
    ) {
        let (mut flight, mut replies) = flown(&sizes);
        let total: usize = sizes.iter().sum();
        let mut unconfirmed: Vec<usize> = (0..total).collect();
        let mut to_return: VecDeque<usize> = (0..total).filter(|number| bad[*number]).collect();
        let mut waiting: VecDeque<usize> = VecDeque::new();
        for step in 0..total {
            // Some returns arrive ahead of any confirm.
            for _ in 0..early[step] {
                waiting.extend(to_return.pop_front());
            }
            let next = unconfirmed.remove(order[step].index(unconfirmed.len()));
            // Its own return must have arrived before its confirm; returns arrive in order.
            while bad[next] && to_return.front().is_some_and(|number| *number <= next) {
                waiting.extend(to_return.pop_front());
            }
            let taken = waiting.pop_front();
            confirm(&mut flight, next as u64, taken.map(|number| number as u64));
        }
        let mut number = 0;
        for (reply, size) in replies.iter_mut().zip(&sizes) {
            for answer in reply.try_recv().unwrap() {
                let expected = if bad[number] { unroutable() } else { Published::Confirmed };
                prop_assert_eq!(answer, expected, "message {}", number);
                number += 1;
            }
            prop_assert!(*size > 0);
        }
        prop_assert_eq!(flight.in_air(), 0);
    }
}
