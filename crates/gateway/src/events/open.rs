//! How many streams are open, told to whoever observes.

use std::sync::Arc;

use longshore_core::telemetry::{Event, Telemetry};
use parking_lot::Mutex;

/// Counts the streams that are open.
#[derive(Clone, Debug)]
pub(crate) struct OpenStreams(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    open: Mutex<u64>,
    telemetry: Telemetry,
}

/// A stream that is open for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<Counted>);

impl OpenStreams {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        let counted = Counted {
            open: Mutex::new(0),
            telemetry,
        };
        counted.change(|open| open);
        Self(Arc::new(counted))
    }

    /// One more.
    pub(crate) fn open(&self) -> OpenStream {
        self.0.change(|open| open.saturating_add(1));
        OpenStream(Arc::clone(&self.0))
    }
}

impl Counted {
    /// Told while the number is held, so that the last one that is told is the last one that was true.
    fn change(&self, to: impl FnOnce(u64) -> u64) {
        let mut open = self.open.lock();
        *open = to(*open);
        self.telemetry.observe(&Event::Streams { open: *open });
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.change(|open| open.saturating_sub(1));
    }
}
