//! What every answer has: a request id, headers that a browser is bound by, and errors written as the caller reads them.

pub(crate) mod headers;
pub(crate) mod present;
