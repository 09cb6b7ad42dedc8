//! The programs of the guide compile as they stand.

#[doc = include_str!("../../../docs/guide/quick-start.md")]
struct QuickStart;

#[doc = include_str!("../../../docs/guide/writing-handlers.md")]
struct WritingHandlers;

#[doc = include_str!("../../../docs/guide/retries-and-errors.md")]
struct RetriesAndErrors;

#[doc = include_str!("../../../docs/guide/workflows.md")]
struct Workflows;

#[doc = include_str!("../../../docs/guide/migrating.md")]
struct Migrating;
