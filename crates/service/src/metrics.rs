//! Metrics of this process: names, instruments, what is read of the fleet, and the page that Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::telemetry::Error;
use crate::telemetry::otlp::Receiver;

mod bounded;
mod exemplars;
mod fleet;
mod instruments;
pub mod names;
pub(crate) mod openmetrics;
pub mod reference;

pub use fleet::read_fleet;
pub(crate) use instruments::Instruments;

/// The metrics of this process. Cheap to clone; every clone is the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
    instruments: Arc<Instruments>,
}

impl Metrics {
    /// One set of instruments, for the page and, when there is a receiver, for exports.
    pub(crate) fn new(
        resource: Resource,
        receiver: Option<&Receiver>,
        interval: Duration,
    ) -> Result<Self, Error> {
        let registry = Registry::new();
        let page = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| Error::Metrics(error.to_string()))?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(page);
        if let Some(receiver) = receiver {
            let exports = PeriodicReader::builder(receiver.metrics()?)
                .with_interval(interval)
                .build();
            provider = provider.with_reader(exports);
        }
        let provider = provider.build();
        let instruments = Arc::new(Instruments::new(&provider.meter("longshore")));
        Ok(Self {
            registry,
            provider,
            instruments,
        })
    }

    /// What events are counted by.
    pub(crate) fn instruments(&self) -> Arc<Instruments> {
        Arc::clone(&self.instruments)
    }

    /// For instruments that are read when somebody asks.
    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("longshore")
    }

    /// The page, in Prometheus' text format.
    ///
    /// # Errors
    /// When a name or value cannot be written, which is a bug.
    pub fn page(&self) -> Result<String, Error> {
        let mut page = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut page)
            .map_err(|error| Error::Metrics(error.to_string()))?;
        String::from_utf8(page).map_err(|error| Error::Metrics(error.to_string()))
    }

    /// The page in `OpenMetrics`' text format, with the traces that buckets of histograms point to.
    pub fn openmetrics(&self) -> String {
        openmetrics::write(&self.registry.gather(), self.instruments.exemplars())
    }

    /// Exports what has gathered, and ends. Waits for the receiver; call it where waiting is allowed.
    pub(crate) fn close(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::debug!(%error, "metrics were not all exported at the end");
        }
    }
}
