//! The process's log: lines for people, or JSON for machines, on stderr.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A filter that does not parse.
    #[error(
        "log.level: \"{filter}\" is not a filter ({reason}); use a level such as info, or target=level pairs"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody installed a subscriber before.
    #[error("the log is set up already")]
    Installed,
}

/// Installs the log of this process, and a panic hook that writes to it. Call it once, in `main`. Every line goes to a
/// writer that `out` gives: stderr, or what keeps its lines apart from what else is drawn there.
///
/// # Errors
/// When the level does not parse, or the log is set up already.
pub fn install<W: io::Write + 'static>(
    log: &Log,
    out: impl Fn() -> W + Send + Sync + 'static,
) -> Result<(), Error> {
    let color = io::stderr().is_terminal();
    subscriber(log, color, out)?
        .try_init()
        .map_err(|_| Error::Installed)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A subscriber that writes to `out`.
fn subscriber<W>(log: &Log, color: bool, out: W) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, Error>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt().with_env_filter(filter(&log.level)?).with_writer(out);
    Ok(match log.format {
        LogFormat::Text => Box::new(lines.with_ansi(color).with_target(false).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_current_span(true).finish()),
    })
}

/// Unless the filter says otherwise: the embedded store's engine tells every file that it makes, and the AMQP client
/// writes the bodies of returned messages into its warnings, where a job's arguments do not belong, and calls an error
/// what our own supervisor asks for (is this queue there?) or reports itself (the connection ended).
const LIBRARIES: &str = "fjall=warn,lsm_tree=warn,lapin=off";

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
fn log_panic(panic: &PanicHookInfo<'_>) {
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
    use std::sync::{Arc, Mutex};

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
        tracing::subscriber::with_default(subscriber(&log, false, move || out.clone()).unwrap(), work);
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
        assert!(line["place"].as_str().unwrap().contains("telemetry.rs"), "{text}");
    }
}
