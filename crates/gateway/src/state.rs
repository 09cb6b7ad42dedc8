//! What every handler works with.

use std::sync::Arc;

use longshore::Client;
use longshore_core::port::Ports;
use longshore_core::random::Random;
use longshore_core::{Clock, Timestamp};

use crate::auth::csrf::Signer;
use crate::settings::Settings;

/// What every handler works with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    ports: Ports,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
    /// Signs what only this process needs to recognise.
    signer: Signer,
}

impl AppState {
    pub(crate) fn new(
        client: Client,
        ports: Ports,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Self {
        let signer = Signer::generate(&*random);
        Self(Arc::new(Inner {
            client,
            ports,
            clock,
            random,
            settings,
            signer,
        }))
    }

    /// Where jobs, queues and workers are asked for.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// What the client does not offer.
    pub(crate) fn ports(&self) -> &Ports {
        &self.0.ports
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Random bits.
    pub(crate) fn random(&self) -> &dyn Random {
        &*self.0.random
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.0.signer
    }

    /// The link to a path of ours: `path` starts with a slash; the base path is put before it.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.0.settings.base_path)
    }
}
