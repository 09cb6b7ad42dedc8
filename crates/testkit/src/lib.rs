//! Conformance suite, private servers and fault injection for the tests.
