//! Tests that see the whole system. The targets are folders beside this one: `tidy`, `conformance`, `properties`, `it`.
