//! The embedded store, in a folder of its own and under a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use longshore_backend::embedded::{Options, Store, Sync};
use longshore_core::clock::{Clock, Timestamp};
use longshore_core::shard::Shards;
use longshore_core::{JobId, QueueName};
use parking_lot::Mutex;

use crate::clock::ManualClock;
use crate::conformance::{Area, Harness, Rig, Sabotage, Stage};
use crate::factory::{Factory, SeededRandom};

/// The embedded store.
#[derive(Clone, Copy, Debug)]
pub struct Embedded;

impl Harness for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn cannot(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "what_the_broker_gave_up_comes_as_it_was_sent",
            "the embedded broker has no limits at which it would give a message up",
        )]
    }

    fn rig(&self, _area: Area) -> BoxFuture<'_, Rig> {
        Box::pin(async {
            let clock = Arc::new(ManualClock::default());
            let seed = rand::random();
            let folder = tempfile::tempdir().unwrap();
            let options = Options {
                shards: Some(Shards::new(4).unwrap()),
                sync: Sync::Process,
                clock: clock.clone(),
                random: Arc::new(SeededRandom::new(seed)),
            };
            let store = Store::open(folder.path(), options).unwrap();
            let ports = store.ports();
            let factory = Factory::new(clock.clone(), seed.wrapping_add(1));
            let stage = Arc::new(Opened {
                store: Mutex::new(Some(store)),
                clock,
                _folder: folder,
            });
            Rig::new(ports, factory, stage.clone(), Some(stage))
        })
    }
}

struct Opened {
    // Until it is closed.
    store: Mutex<Option<Store>>,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Stage for Opened {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.clock.advance(by);
        Box::pin(ready(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        if let Some(store) = self.store.lock().take() {
            store.close().unwrap();
        }
        Box::pin(ready(()))
    }
}

impl Opened {
    fn with_store<T>(&self, act: impl FnOnce(&Store) -> T) -> T {
        act(self.store.lock().as_ref().expect("a store that is open"))
    }
}

impl Sabotage for Opened {
    fn wipe(&self) -> BoxFuture<'_, ()> {
        self.with_store(Store::wipe).unwrap();
        Box::pin(ready(()))
    }

    fn inject(&self, queue: &QueueName, body: &'static [u8]) -> BoxFuture<'_, ()> {
        self.with_store(|store| store.inject(queue, body));
        Box::pin(ready(()))
    }

    fn give_up(&self, _queue: &QueueName) -> BoxFuture<'_, ()> {
        panic!("the embedded broker gives nothing up: declare the case in cannot()")
    }

    fn spoil_rows(&self, _shard: u16, id: JobId, stray: bool) -> BoxFuture<'_, ()> {
        self.with_store(|store| store.spoil_rows(id, stray));
        Box::pin(ready(()))
    }

    fn delete_queue(&self, queue: &QueueName) -> BoxFuture<'_, ()> {
        self.with_store(|store| store.delete_queue(queue));
        Box::pin(ready(()))
    }
}
