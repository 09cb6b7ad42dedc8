//! Runs Longshore jobs: registry, extractors, slots, progress, drain.
