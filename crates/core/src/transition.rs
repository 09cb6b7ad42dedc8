//! How jobs move between statuses: pure functions from a record and a request to a record and effects.
