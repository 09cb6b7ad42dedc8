//! Counters of one worker.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        /// Counters of one worker, read while it runs.
        #[derive(Debug, Default)]
        pub struct WorkerStats {
            $(pub(crate) $name: Counter,)+
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$meta])* pub $name: u64,)+
        }

        impl WorkerStats {
            /// The counters now; each is exact, together they are from about the same moment.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Attempts started.
    started,
    /// Attempts that completed their job.
    completed,
    /// Attempts after which the job was given up.
    failed,
    /// Attempts after which the job waits for another.
    retried,
    /// Attempts that ended cancelled.
    cancelled,
    /// Attempts that ended because the job's deadline passed.
    expired,
    /// Attempts handed back: by a stopping worker, or before their handler began.
    released,
    /// Attempts put off by their handler.
    snoozed,
    /// Results discarded because another worker owned the job.
    lost,
    /// Panics caught.
    panics,
    /// Records made anew because the store had lost them.
    rebuilt,
    /// Jobs given back without a start.
    given_back,
    /// Messages or jobs put into quarantine.
    quarantined,
    /// Calls to the store that failed and were made again.
    store_errors,
    /// Slots in use now.
    busy,
    /// Jobs that wait in this worker now.
    waiting,
    /// 1 while the worker takes jobs; 0 before, and from the start of its drain on.
    ready,
    /// Attempts that were told to stop, were aborted, and still hold their slot.
    stuck,
}

/// One counter, written by the control loop alone.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
