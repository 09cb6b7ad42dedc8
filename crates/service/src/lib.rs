//! Process chassis: configuration, telemetry, signals and drain.
