//! Lines of a program that is a handler.

#[path = "../../crates/cli/src/adapter/command/said.rs"]
mod said;

use futures_util::FutureExt as _;
use longshore_core::value;
use said::{Heard, LINE_BYTES_LOGGED, Said};

/// Reads what a program says on stdout; each line is within its bounds, and what is kept can be stored or is refused.
pub(crate) fn check(bytes: &[u8]) {
    let mut said = Said::default();
    let mut lines = 0;
    let hear = |heard: Heard<'_>| {
        lines += 1;
        match heard {
            Heard::Log(line) => assert!(line.chars().count() <= LINE_BYTES_LOGGED),
            Heard::Progress {
                fraction,
                message,
                fields,
            } => {
                assert!(fraction.is_none_or(f64::is_finite), "{message}");
                value::encode("fields", &fields).ok();
            }
        }
    };
    let read = said::read(bytes, &mut said, hear).now_or_never();
    assert!(read.is_some(), "nothing is waited for");
    assert!(lines <= bytes.split(|byte| *byte == b'\n').count());
    value::encode("result", &said.result).ok();
    for delay in [said.retry_after, said.snooze].into_iter().flatten() {
        assert!(delay.as_secs_f64() >= 0.0);
    }
    assert!(!said.is_cut || bytes.len() > 500_000);
    assert!(said.error.is_none_or(|error| error.len() <= bytes.len()));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "{\"progress\": 0.5, \"message\": \"half\", \"fields\": {\"items\": 12, \"deep\": [[{}]]}}\n",
        "to the log\n{\"progress\": null, \"message\": \"counting\"}\n{\"result\": {\"ok\": true}}\n",
        "{\"retry_after\": 1.5, \"error\": \"the till is shut\"}\n",
        "{\"snooze\": 1e3}\n{\"error\": \"späť\"}\r\nno line break at the end",
        "{\"result\": null}\n{\"result\": 18446744073709551615}\n{}\n[]\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
