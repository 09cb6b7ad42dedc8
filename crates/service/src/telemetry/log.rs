//! The process's log: lines for people, or JSON for machines, on stderr. In JSON a line that is said in a trace has the
//! trace's ids.

use std::panic::PanicHookInfo;

use opentelemetry::trace::TraceContextExt as _;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::Error;
use crate::config::{Log, LogFormat};

/// The layer that writes lines to `out`: stderr, or what keeps its lines apart from what else is drawn there.
///
/// # Errors
/// When the level does not parse.
pub(super) fn layer<S, W>(log: &Log, color: bool, out: W) -> Result<Box<dyn Layer<S> + Send + Sync>, Error>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = filter(&log.level)?;
    let lines = fmt::layer().with_writer(out);
    Ok(match log.format {
        LogFormat::Text => lines
            .with_ansi(color)
            .with_target(false)
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true);
            lines.map_event_format(WithIds).with_filter(filter).boxed()
        }
    })
}

/// Lines of JSON with the ids of the trace in which they were said.
struct WithIds<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        // The tracing layer makes a span's context the thread's for as long as the span is entered.
        let current = opentelemetry::Context::current();
        let span = current.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(
                writer,
                "{{\"trace_id\":\"{}\",\"span_id\":\"{}\",{rest}",
                ids.trace_id(),
                ids.span_id()
            ),
            None => writer.write_str(&line),
        }
    }
}

/// Unless the filter says otherwise: the embedded store's engine tells every file that it makes, and the AMQP client
/// writes the bodies of returned messages into its warnings, where a job's arguments do not belong, and calls an error
/// what our own supervisor asks for (is this queue there?) or reports itself (the connection ended).
/// The exporters' own complaints repeat with every try; ours are told once.
const LIBRARIES: &str = "fjall=warn,lsm_tree=warn,lapin=off,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,opentelemetry_otlp=off";

/// Reads a filter: a level, or `target=level` pairs.
///
/// # Errors
/// When it does not parse.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(format!("{LIBRARIES},{text}")).map_err(|error| Error::Filter {
        filter: text.to_owned(),
        reason: error.to_string(),
    })
}

/// A panic is a bug: its place and backtrace belong into the log. Whoever contains it, such as a worker around its
/// handlers, chains a hook of its own before this one.
pub(super) fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::force_capture();
    tracing::error!(place, panic = message, thread = thread.name().unwrap_or("unnamed"), %backtrace, "panic");
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str, work: impl FnOnce()) -> String {
        let page = Page::default();
        let out = page.clone();
        let log = Log {
            format,
            level: level.to_owned(),
        };
        let lines = layer(&log, false, move || out.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_their_fields() {
        let text = written(LogFormat::Json, "info", || {
            tracing::info!(queue = "default", jobs = 3, "published");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "published");
        assert_eq!((&line["queue"], &line["jobs"]), (&"default".into(), &3.into()));
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_line_that_is_said_in_a_trace_carries_its_ids() {
        let page = Page::default();
        let out = page.clone();
        let log = Log {
            format: LogFormat::Json,
            level: "info".to_owned(),
        };
        let provider = SdkTracerProvider::builder().build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let lines = layer(&log, false, move || out.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(spans).with(lines), || {
            tracing::info_span!("work").in_scope(|| tracing::info!("inside"));
            tracing::info!("outside");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [inside, outside] = &lines[..] else {
            panic!("{text}")
        };
        assert_eq!(inside["message"], "inside");
        assert_eq!(inside["trace_id"].as_str().map(str::len), Some(32), "{inside}");
        assert_eq!(inside["span_id"].as_str().map(str::len), Some(16), "{inside}");
        assert!(outside.get("trace_id").is_none(), "{outside}");
    }

    #[test]
    fn the_level_filters() {
        let text = written(LogFormat::Text, "warn", || {
            tracing::info!("not seen");
            tracing::warn!("seen");
        });
        assert!(text.contains("seen") && !text.contains("not seen"), "{text}");
        assert!(
            !text.contains('\u{1b}'),
            "no colours where nobody asked: {text:?}"
        );
    }

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let error = filter("longshore=shout").unwrap_err().to_string();
        assert!(error.starts_with("log.level: \"longshore=shout\""), "{error}");
    }

    #[test]
    fn a_panic_is_logged_with_its_place() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let text = written(LogFormat::Json, "info", || {
            let caught = std::panic::catch_unwind(|| panic!("out of cheese"));
            assert!(caught.is_err());
        });
        std::panic::set_hook(before);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert!(text.contains("out of cheese"), "{text}");
        assert!(line["place"].as_str().unwrap().contains("log.rs"), "{text}");
    }
}
