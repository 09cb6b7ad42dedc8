//! The channels against real peers: a mail server and an HTTP receiver.
#![cfg(test)]

mod email;
mod webhook;

use longshore_core::dead::Fingerprint;
use longshore_core::notice::{Letter, Sample, State, Subject};
use longshore_core::{JobId, Timestamp};

/// Ten dead letters with one error.
fn letter() -> Letter {
    let at = Timestamp(1_700_000_000_000);
    Letter {
        id: "00112233445566778899aabbccddeeff".to_owned(),
        channel: "ops".to_owned(),
        subject: Subject::DeadLetters {
            fingerprint: Fingerprint::of(None),
            error_type: "io".to_owned(),
            message: "größer als <erlaubt>\r\n& mehr".to_owned(),
        },
        count: 10,
        first_at: at,
        last_at: at.after(std::time::Duration::from_secs(60)),
        samples: vec![Sample {
            at,
            job: Some("018bcfe5-6800-7000-8000-000000000001".parse::<JobId>().unwrap()),
            text: "resize in queue default, attempt 3: io: disk full".to_owned(),
        }],
        state: State::Closed {
            next: at,
            attempts: 1,
            closed_at: at,
        },
    }
}
