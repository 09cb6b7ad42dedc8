//! Tests that see the whole system.
