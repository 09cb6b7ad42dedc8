//! What a program says on stdout, line by line. Nothing here knows jobs or processes: bytes go in, and what they mean
//! comes out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longest line that is read from the program.
pub(super) const LINE_BYTES_MAX: u64 = 512 * 1024;
/// How much of a line is handed to the log, which cuts it anyway.
pub(super) const LINE_BYTES_LOGGED: usize = 2 * longshore_core::limits::LOG_LINE_BYTES_MAX;

/// What a line of the program may say.
#[derive(Debug, Default, Deserialize)]
struct Line {
    #[serde(default, with = "present")]
    progress: Option<Value>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: BTreeMap<String, Value>,
    #[serde(default, with = "present")]
    result: Option<Value>,
    retry_after: Option<f64>,
    snooze: Option<f64>,
    error: Option<String>,
}

/// Tells `"key": null` from an absent key.
mod present {
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        T::deserialize(from).map(Some)
    }
}

/// What the program said that outlives its line.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) result: Option<Value>,
    pub(super) retry_after: Option<Duration>,
    pub(super) snooze: Option<Duration>,
    pub(super) error: Option<String>,
    /// A line that may have been one of ours was longer than is read.
    pub(super) is_cut: bool,
}

/// What a line is for, besides what [`Said`] keeps of it.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// How far the job is; no fraction while that is unknown.
    Progress {
        fraction: Option<f64>,
        message: String,
        fields: BTreeMap<String, Value>,
    },
    /// A line for the job's log.
    Log(Cow<'a, str>),
}

/// Reads to the end, and hands over what each line is for.
pub(super) async fn read(stdout: impl AsyncRead + Unpin, said: &mut Said, mut hear: impl FnMut(Heard<'_>)) {
    let mut reader = BufReader::new(stdout);
    let mut buffer = Vec::new();
    let mut is_rest = false;
    loop {
        buffer.clear();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut buffer)
            .await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let is_cut = buffer.len() as u64 == LINE_BYTES_MAX && buffer.last() != Some(&b'\n');
        if is_cut || is_rest {
            // What begins like an object may have been the result; any other line is for the log.
            said.is_cut |= is_cut && !is_rest && buffer.trim_ascii_start().starts_with(b"{");
            if !is_rest {
                hear(Heard::Log(shown(&buffer)));
            }
        } else if let Some(heard) = said.take(&buffer) {
            hear(heard);
        }
        is_rest = is_cut;
    }
}

impl Said {
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<Heard<'a>> {
        let Ok(line) = serde_json::from_slice::<Line>(bytes) else {
            return Some(Heard::Log(shown(bytes)));
        };
        let seconds = |value: f64| Duration::try_from_secs_f64(value).ok();
        let mut heard = None;
        if let Some(fraction) = line.progress {
            heard = Some(Heard::Progress {
                fraction: fraction.as_f64(),
                message: line.message,
                fields: line.fields,
            });
        } else if let Some(result) = line.result {
            self.result = Some(result);
        } else if line.retry_after.is_none() && line.snooze.is_none() && line.error.is_none() {
            return Some(Heard::Log(shown(bytes)));
        }
        self.retry_after = line.retry_after.and_then(seconds).or(self.retry_after);
        self.snooze = line.snooze.and_then(seconds).or(self.snooze);
        self.error = line.error.or(self.error.take());
        heard
    }
}

/// A line as it is logged.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..LINE_BYTES_LOGGED).unwrap_or(bytes))
}
