//! What every handler works with.

use std::sync::Arc;
use std::time::Duration;

use longshore::{Client, DeadGroup};
use longshore_core::port::{self, Ports};
use longshore_core::random::Random;
use longshore_core::{Clock, Timestamp};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::acts;
use crate::auth::hide::Hide;
use crate::auth::oidc::Provider;
use crate::auth::rate::Caller;
use crate::auth::rate::Rate;
use crate::auth::signer::{Signer, random_bytes};
use crate::auth::streams::{Place, Streams};
use crate::auth::tokens::Tokens;
use crate::error::Error;
use crate::events::hub::Hub;
use crate::events::open::OpenStreams;
use crate::kept::Kept;
use crate::pages::Family;
use crate::settings::Settings;

/// Groups are read anew when the number of dead letters has changed; one may have gone when another came.
const GROUPS_GOOD_FOR: Duration = Duration::from_secs(15);
/// How long the others of a graph may stand as they were; the job of the page itself is always as it is.
const FAMILY_GOOD_FOR: Duration = Duration::from_secs(3);
/// How long the key that replicas share is believed to be the one.
const KEY_KEPT: Duration = Duration::from_secs(10);

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
    tokens: Tokens,
    rate: Rate,
    streams: Streams,
    /// Signs with the key that all replicas share, and when that was asked for.
    signer: Mutex<Option<(Signer, Timestamp)>>,
    provider: Option<Arc<Provider>>,
    hub: Hub,
    open_streams: OpenStreams,
    bulks: Arc<Semaphore>,
    groups: Kept<Vec<DeadGroup>>,
    families: Kept<Family>,
}

impl AppState {
    pub(crate) fn new(
        client: Client,
        ports: Ports,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
        provider: Option<Provider>,
    ) -> Self {
        let tokens = Tokens::new(ports.access.clone(), clock.clone(), random.clone());
        let hub = Hub::new(client.clone(), ports.clone());
        let open_streams = OpenStreams::new(ports.telemetry.clone());
        Self(Arc::new(Inner {
            client,
            ports,
            clock,
            random,
            settings,
            tokens,
            rate: Rate::default(),
            streams: Streams::default(),
            signer: Mutex::default(),
            provider: provider.map(Arc::new),
            hub,
            open_streams,
            bulks: acts::bulks(),
            groups: Kept::new(GROUPS_GOOD_FOR),
            families: Kept::new(FAMILY_GOOD_FOR),
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

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn rate(&self) -> &Rate {
        &self.0.rate
    }

    /// Takes a place for a stream or a long poll of each of these callers.
    ///
    /// # Errors
    /// When one of them has no place left.
    pub(crate) fn enter(&self, callers: Vec<Caller>) -> Result<Place, Error> {
        self.0.streams.enter(callers, self.settings().streams_max)
    }

    /// Fields of jobs that not everybody sees.
    pub(crate) fn hide(&self) -> &Hide {
        &self.0.settings.hide
    }

    /// Room for operations on many dead letters.
    pub(crate) fn bulks(&self) -> &Arc<Semaphore> {
        &self.0.bulks
    }

    /// Groups of dead letters, by filter.
    pub(crate) fn groups(&self) -> &Kept<Vec<DeadGroup>> {
        &self.0.groups
    }

    /// Jobs and those that they depend on, by job.
    pub(crate) fn families(&self) -> &Kept<Family> {
        &self.0.families
    }

    /// Who tells streams what has changed.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Counts the streams that are open.
    pub(crate) fn open_streams(&self) -> &OpenStreams {
        &self.0.open_streams
    }

    /// The OpenID provider, when there is one.
    pub(crate) fn provider(&self) -> Option<Arc<Provider>> {
        self.0.provider.clone()
    }

    /// Signs with the key that every replica has. A key that was replaced is known [`KEY_KEPT`] later at the latest.
    ///
    /// # Errors
    /// When it is not known yet, and the store does not answer.
    pub(crate) async fn signer(&self) -> Result<Signer, port::Error> {
        let now = self.now();
        let known = *self.0.signer.lock();
        if let Some((signer, at)) = known
            && now.since(at) < KEY_KEPT
            && at <= now
        {
            return Ok(signer);
        }
        let offered = random_bytes(self.random());
        match self.0.ports.access.gateway_key(offered).await {
            Ok(key) => {
                let signer = Signer::new(key);
                *self.0.signer.lock() = Some((signer, now));
                Ok(signer)
            }
            // A store that is away for a while ends no session.
            Err(error) => known.map(|(signer, _)| signer).ok_or(error),
        }
    }

    /// Whether this is still the key; a store that is away says nothing against it.
    pub(crate) async fn signs_with(&self, signer: &Signer) -> bool {
        self.signer().await.map_or(true, |now| now == *signer)
    }

    /// The link to a path of ours: `path` starts with a slash; the base path is put before it.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.0.settings.base_path)
    }
}
