//! HTTP API, live dashboard and the job-progress element.
