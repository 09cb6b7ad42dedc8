//! Exports to an OTLP receiver, by gRPC or HTTP.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData,
};

use super::Error;
use super::idle::Busy;
use super::ids::Ids;
use crate::config::{OtlpProtocol, Telemetry};

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Spans that wait for their export; what comes beyond them is dropped.
const SPANS_MAX: usize = 8_192;
/// Spans of one export.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);

/// Where exports go.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    endpoint: String,
    shown: String,
    protocol: OtlpProtocol,
    headers: HashMap<String, String>,
}

impl Receiver {
    /// The receiver of the configuration, or that of the environment's `OTEL_EXPORTER_OTLP_ENDPOINT`; `None` when
    /// neither names one.
    ///
    /// # Errors
    /// When a header is none.
    pub(super) fn of(config: &Telemetry) -> Result<Option<Self>, Error> {
        let from_env = || {
            let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok();
            let is_off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|off| off.eq_ignore_ascii_case("true"));
            endpoint
                .filter(|endpoint| !endpoint.is_empty() && !is_off)
                .map(crate::config::Secret::endpoint)
        };
        let Some(endpoint) = config.endpoint.clone().or_else(from_env) else {
            return Ok(None);
        };
        let bad = |name: &str| Error::Exporter {
            field: "headers",
            reason: format!("\"{name}\" is no header, or its value is none"),
        };
        let mut headers = HashMap::new();
        for (name, value) in &config.headers {
            header(name, value.expose()).ok_or_else(|| bad(name))?;
            headers.insert(name.clone(), value.expose().to_owned());
        }
        // The exporters take the process's default, and a second one in the tree would be one too many.
        rustls::crypto::ring::default_provider().install_default().ok();
        Ok(Some(Self {
            shown: endpoint.shown().to_owned(),
            endpoint: endpoint.expose().trim_end_matches('/').to_owned(),
            protocol: config.protocol,
            headers,
        }))
    }

    fn error(&self, error: &impl std::fmt::Display) -> Error {
        // The exporter may repeat the endpoint, whose path may be a secret.
        let reason = error.to_string().replace(&self.endpoint, &self.shown);
        Error::Exporter {
            field: "endpoint",
            reason: format!("{reason}; use for example http://collector:4317"),
        }
    }

    fn metadata(&self) -> MetadataMap {
        let headers = self.headers.iter();
        let headers: HeaderMap = headers.filter_map(|(name, value)| header(name, value)).collect();
        MetadataMap::from_headers(headers)
    }

    fn is_tls(&self) -> bool {
        self.endpoint.starts_with("https:")
    }

    fn spans(&self) -> Result<SpanExporter, Error> {
        let built = match self.protocol {
            OtlpProtocol::Grpc => self.grpc(SpanExporter::builder().with_tonic()).build(),
            OtlpProtocol::Http => self.http(SpanExporter::builder().with_http(), "traces").build(),
        };
        built.map_err(|error| self.error(&error))
    }

    /// The exporter of metrics.
    ///
    /// # Errors
    /// When the endpoint cannot be used.
    pub(crate) fn metrics(&self) -> Result<Told<MetricExporter>, Error> {
        let built = match self.protocol {
            OtlpProtocol::Grpc => self.grpc(MetricExporter::builder().with_tonic()).build(),
            OtlpProtocol::Http => self
                .http(MetricExporter::builder().with_http(), "metrics")
                .build(),
        };
        let exporter = built.map_err(|error| self.error(&error))?;
        Ok(Told::new(exporter, "metrics", &self.shown))
    }

    fn grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> B {
        let builder = builder
            .with_endpoint(&self.endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .with_metadata(self.metadata());
        if self.is_tls() {
            builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots())
        } else {
            builder
        }
    }

    fn http<B: WithExportConfig + WithHttpConfig>(&self, builder: B, signal: &str) -> B {
        builder
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/{signal}", self.endpoint))
            .with_timeout(EXPORT_TIMEOUT)
            .with_headers(self.headers.clone())
    }
}

/// A header; `None` when it is none.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

/// Who tells: the name, the version, the process, and what the configuration and the environment add.
pub(super) fn resource(config: &Telemetry, role: &str) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.namespace", "longshore"),
        KeyValue::new("service.instance.id", instance()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    let name = std::env::var("OTEL_SERVICE_NAME")
        .ok()
        .filter(|name| !name.is_empty());
    let name = config
        .service_name
        .clone()
        .or(name)
        .unwrap_or_else(|| format!("longshore-{role}"));
    attributes.extend(
        config
            .resource
            .iter()
            .map(|(name, value)| KeyValue::new(name.clone(), value.expose().to_owned())),
    );
    // The builder reads OTEL_RESOURCE_ATTRIBUTES.
    Resource::builder()
        .with_attributes(attributes)
        .with_service_name(name)
        .build()
}

/// One process of many: its host and its id.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "unknown",
        host => host,
    };
    format!("{host}-{}", std::process::id())
}

/// Spans to the receiver, the kept share of them.
///
/// # Errors
/// When the endpoint cannot be used.
pub(super) fn tracer(
    receiver: &Receiver,
    resource: Resource,
    ratio: f64,
) -> Result<SdkTracerProvider, Error> {
    let exporter = Told::new(receiver.spans()?, "traces", &receiver.shown);
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPANS_MAX)
        .with_max_export_batch_size(BATCH_MAX)
        .with_scheduled_delay(GATHER)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(Busy(processor))
        .with_id_generator(Ids::default())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build())
}

/// An exporter that says once that the receiver is away, and once that it is back.
#[derive(Debug)]
pub(crate) struct Told<E> {
    exporter: E,
    what: &'static str,
    receiver: String,
    away: AtomicBool,
}

impl<E> Told<E> {
    fn new(exporter: E, what: &'static str, receiver: &str) -> Self {
        Self {
            exporter,
            what,
            receiver: receiver.to_owned(),
            away: AtomicBool::new(false),
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        let is_away = result.is_err();
        let was_away = self.away.swap(is_away, Ordering::Relaxed);
        let (what, receiver) = (self.what, self.receiver.as_str());
        match (was_away, is_away) {
            (false, true) => tracing::warn!(
                receiver,
                what,
                "the telemetry receiver does not take exports; jobs go on"
            ),
            (true, false) => tracing::info!(receiver, what, "the telemetry receiver takes exports again"),
            _ => {}
        }
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Told<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let exporting = self.exporter.export(batch);
        async move {
            let result = exporting.await;
            self.tell(&result);
            result
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let exporting = self.exporter.export(metrics);
        async move {
            let result = exporting.await;
            self.tell(&result);
            result
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
