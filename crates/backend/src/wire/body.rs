//! The body: a MessagePack array of `bin` elements, one envelope each.

use bytes::Bytes;
use longshore_core::limits::{BUNDLE_BYTES_MAX, BUNDLE_JOBS_MAX, ENVELOPE_BYTES_MAX};
use longshore_core::message::MessageJob;

use super::Malformed;

/// Array and `bin` markers around one envelope: at most ten bytes; a few more do no harm.
const FRAMING_BYTES_MAX: usize = 64;

/// The largest body of a message with this many jobs, in bytes.
fn bytes_max(jobs: usize) -> usize {
    if jobs == 1 {
        ENVELOPE_BYTES_MAX + FRAMING_BYTES_MAX
    } else {
        BUNDLE_BYTES_MAX + FRAMING_BYTES_MAX * BUNDLE_JOBS_MAX
    }
}

pub(super) fn encode(jobs: &[MessageJob]) -> Result<Vec<u8>, Malformed> {
    if jobs.is_empty() || jobs.len() > BUNDLE_JOBS_MAX {
        return Err(Malformed::new(format!(
            "a message carries 1 to {BUNDLE_JOBS_MAX} jobs, not {}",
            jobs.len()
        )));
    }
    let envelopes: usize = jobs.iter().map(|job| job.envelope.len()).sum();
    let max = if jobs.len() == 1 {
        ENVELOPE_BYTES_MAX
    } else {
        BUNDLE_BYTES_MAX
    };
    if envelopes > max {
        return Err(Malformed::new(format!(
            "a message of {} jobs carries at most {max} bytes of envelopes, not {envelopes}",
            jobs.len()
        )));
    }
    let mut out = rmp::encode::buffer::ByteBuf::with_capacity(envelopes + 8 + 5 * jobs.len());
    // Writing to memory cannot fail.
    let Ok(_) = rmp::encode::write_array_len(&mut out, u32::try_from(jobs.len()).unwrap_or(u32::MAX));
    for job in jobs {
        let Ok(()) = rmp::encode::write_bin(&mut out, &job.envelope);
    }
    Ok(out.into_vec())
}

/// Slices the envelopes out. There must be exactly `jobs`, and nothing after them.
pub(super) fn decode(body: &Bytes, jobs: usize) -> Result<Vec<Bytes>, Malformed> {
    if body.len() > bytes_max(jobs) {
        return Err(Malformed::new(format!(
            "the body has {} bytes, over the limit of {} for {jobs} jobs",
            body.len(),
            bytes_max(jobs)
        )));
    }
    let malformed = |error: &dyn std::fmt::Display| Malformed::new(format!("body: {error}"));
    let mut rest: &[u8] = body;
    let count = rmp::decode::read_array_len(&mut rest).map_err(|error| malformed(&error))?;
    if usize::try_from(count) != Ok(jobs) {
        return Err(Malformed::new(format!(
            "the body has {count} envelopes, the header {jobs} jobs"
        )));
    }
    let mut envelopes = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let length = rmp::decode::read_bin_len(&mut rest).map_err(|error| malformed(&error))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (envelope, after) = rest
            .split_at_checked(length)
            .ok_or_else(|| Malformed::new("body: an envelope is cut short"))?;
        envelopes.push(body.slice_ref(envelope));
        rest = after;
    }
    if rest.is_empty() {
        Ok(envelopes)
    } else {
        Err(Malformed::new("body: bytes after the last envelope"))
    }
}
