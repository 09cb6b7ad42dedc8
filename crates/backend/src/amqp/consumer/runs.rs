//! Which acknowledgements to send: runs where everything before is done, single ones where something holds up.

use std::collections::BTreeMap;

/// The books of one channel's delivery tags, which count from 1.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Every tag up to this one is done, and what was to be sent for them was taken.
    prefix: u64,
    /// Done tags above the prefix; whether their acknowledgement was sent already.
    done: BTreeMap<u64, bool>,
    unsent: usize,
}

/// One acknowledgement to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// Covers every tag before it too.
    pub(super) multiple: bool,
}

impl Runs {
    /// The delivery with this tag is done.
    pub(super) fn add(&mut self, tag: u64) {
        if tag > self.prefix && self.done.insert(tag, false).is_none() {
            self.unsent += 1;
        }
    }

    /// The run from the prefix on, as one acknowledgement. Its tag must still be open in the broker, which refuses a
    /// tag that it does not know: so it is the last one that was not sent singly.
    pub(super) fn run(&mut self) -> Option<Ack> {
        let mut last = None;
        let mut fresh = 0_usize;
        while let Some(sent) = self.done.remove(&(self.prefix + 1)) {
            self.prefix += 1;
            if !sent {
                last = Some(self.prefix);
                fresh += 1;
            }
        }
        self.unsent -= fresh;
        last.map(|tag| Ack {
            tag,
            multiple: fresh > 1,
        })
    }

    /// Everything beyond the prefix that was not sent, one by one.
    pub(super) fn singles(&mut self) -> Vec<Ack> {
        self.unsent = 0;
        let unsent = self.done.iter_mut().filter(|(_, sent)| !**sent);
        unsent
            .map(|(tag, sent)| {
                *sent = true;
                Ack {
                    tag: *tag,
                    multiple: false,
                }
            })
            .collect()
    }

    /// How many wait for what holds the prefix up.
    pub(super) fn held(&self) -> usize {
        self.unsent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_is_one_acknowledgement() {
        let mut runs = Runs::default();
        for tag in [2, 1, 3, 5] {
            runs.add(tag);
        }
        assert_eq!(
            runs.run(),
            Some(Ack {
                tag: 3,
                multiple: true
            })
        );
        assert_eq!((runs.run(), runs.held()), (None, 1));
    }

    #[test]
    fn a_long_job_at_the_head_holds_nobody_back() {
        let mut runs = Runs::default();
        for tag in 2..=4 {
            runs.add(tag);
        }
        assert_eq!(runs.run(), None);
        assert_eq!(runs.singles().len(), 3);
        runs.add(1);
        // Tags 2 to 4 are unknown to the broker by now: only 1 is acknowledged.
        assert_eq!(
            runs.run(),
            Some(Ack {
                tag: 1,
                multiple: false
            })
        );
        runs.add(5);
        assert_eq!(
            runs.run(),
            Some(Ack {
                tag: 5,
                multiple: false
            })
        );
    }

    proptest! {
        /// A broker that refuses tags it does not know: every tag is acknowledged exactly once, none before it is done.
        #[test]
        fn every_delivery_is_acknowledged_once(
            order in Just((1_u64..=60).collect::<Vec<_>>()).prop_shuffle(),
            steps in prop::collection::vec(0_u8..4, 60),
        ) {
            let mut runs = Runs::default();
            let mut open: BTreeSet<u64> = (1..=60).collect();
            let mut done = BTreeSet::new();
            let mut take = |ack: Ack, done: &BTreeSet<u64>| {
                let covered: Vec<u64> = if ack.multiple {
                    open.range(..=ack.tag).copied().collect()
                } else {
                    vec![ack.tag]
                };
                assert!(open.contains(&ack.tag), "the broker does not know {}", ack.tag);
                for tag in covered {
                    assert!(done.contains(&tag), "{tag} is not done");
                    open.remove(&tag);
                }
                open.len()
            };
            let mut left = 60;
            for (tag, step) in order.into_iter().zip(steps) {
                runs.add(tag);
                done.insert(tag);
                if step > 0
                    && let Some(ack) = runs.run()
                {
                    left = take(ack, &done);
                }
                if step > 2 {
                    for ack in runs.singles() {
                        left = take(ack, &done);
                    }
                }
            }
            if let Some(ack) = runs.run() {
                left = take(ack, &done);
            }
            prop_assert_eq!((left, runs.held()), (0, 0));
        }
    }
}
