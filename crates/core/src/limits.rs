//! Every bound in one place. A bound that is reached gives an error that names the field and the bound.

use std::time::Duration;

/// Largest envelope, all fields together, in bytes (1 MiB).
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;
/// Largest result that is kept, in bytes (256 KiB).
pub const RESULT_BYTES_MAX: usize = 256 * 1024;
/// Largest error text with traceback that is kept, in bytes (16 KiB); longer ones are cut in the middle.
pub const ERROR_BYTES_MAX: usize = 16 * 1024;
/// Largest parent result that is copied to a child, in bytes (64 KiB).
pub const PARENT_RESULT_BYTES_MAX: usize = 64 * 1024;
/// Results of all parents that are kept for a child, in bytes (4 MiB); of what comes after only the outcome is.
pub const PARENT_RESULTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest body that goes into quarantine whole, in bytes (1 MiB and 64 KiB): every message of ours does; of a larger
/// one the beginning is kept.
pub const QUARANTINE_BODY_BYTES_MAX: usize = ENVELOPE_BYTES_MAX + 64 * 1024;
/// Most messages in quarantine; until a person makes room, further ones stay in the broker.
pub const QUARANTINE_MESSAGES_MAX: usize = 2_000;
/// Most bytes of all messages in quarantine (64 MiB).
pub const QUARANTINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most messages of the quarantine in one answer.
pub const QUARANTINE_PAGE_MAX: usize = 8;
/// Operations on many dead letters that are remembered; the oldest that has ended goes first.
pub const OPERATIONS_MAX: usize = 100;
/// Most tokens of the gateway.
pub const TOKENS_MAX: usize = 1_000;
/// Longest name of a token, in bytes.
pub const TOKEN_NAME_BYTES_MAX: usize = 128;
/// Lines of the audit log that are kept; the oldest go first.
pub const AUDIT_ENTRIES_MAX: usize = 10_000;
/// Longest text in a line of the audit log, in bytes; longer ones are cut.
pub const AUDIT_TEXT_BYTES_MAX: usize = 1024;
/// Most lines of the audit log in one answer.
pub const AUDIT_PAGE_MAX: usize = 500;
/// Deepest nesting of arguments and results.
pub const DEPTH_MAX: usize = 100;
/// Most jobs in one broker message.
pub const BUNDLE_JOBS_MAX: usize = 64;
/// Largest body of a bundle of more than one job, in bytes (256 KiB).
pub const BUNDLE_BYTES_MAX: usize = 256 * 1024;
/// Most parents of one job.
pub const PARENTS_MAX: usize = 10_000;
/// Most children of one parent.
pub const CHILDREN_MAX: usize = 100_000;
/// Children told in one step.
pub const CHILDREN_PAGE: usize = 500;
/// Most jobs in one call of `enqueue_many`.
pub const BATCH_JOBS_MAX: usize = 100_000;
/// Most jobs in one script call.
pub const SCRIPT_JOBS_MAX: usize = 256;
/// Open edges that one look of the sweep over them takes; a child is never cut, so one with more comes alone.
pub const EDGES_LOOK_MAX: usize = 5_000;
/// Longest display name of a job, in bytes.
pub const JOB_NAME_BYTES_MAX: usize = 256;
/// Longest function name, in bytes.
pub const FUNCTION_NAME_BYTES_MAX: usize = 128;
/// Longest queue name, in bytes.
pub const QUEUE_NAME_BYTES_MAX: usize = 64;
/// Longest name of a cron entry, in bytes: with `cron:` before it, it is a tag.
pub const CRON_NAME_BYTES_MAX: usize = 64;
/// Longest cron expression, in bytes.
pub const CRON_EXPRESSION_BYTES_MAX: usize = 256;
/// Largest definition of a cron entry, arguments included, in bytes (64 KiB).
pub const CRON_DEFINITION_BYTES_MAX: usize = 64 * 1024;
/// Cron entries in one page of a listing.
pub const CRON_PAGE: usize = 100;
/// Most notices that wait in one shard; of further ones only the number is kept.
pub const NOTICES_MAX: usize = 500;
/// How long notices are written after a scheduler with channels was last seen.
pub const NOTICES_WANTED_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Most missed ticks of a cron entry that are caught up.
pub const CRON_CATCH_UP_MAX: u32 = 1_000;
/// Most tags of a job.
pub const TAGS_MAX: usize = 32;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;
/// Most metadata entries of a job.
pub const METADATA_MAX: usize = 64;
/// Longest metadata key plus value, in bytes.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Deepest nesting of a metadata value: the envelope around it must stay readable.
pub const METADATA_DEPTH_MAX: usize = 32;
/// Most retries a job may ask for.
pub const RETRIES_MAX: u32 = 10_000;
/// Attempts kept in a record.
pub const HISTORY_ATTEMPTS: usize = 20;
/// How often a job may lose its worker before it is given up.
pub const LOSTS_MAX: u32 = 3;
/// Longest delay, timeout or retention: ten years.
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Longest progress message, in bytes.
pub const PROGRESS_MESSAGE_BYTES_MAX: usize = 1024;
/// Most extra fields of a progress update.
pub const PROGRESS_FIELDS_MAX: usize = 16;
/// Most bytes of an extra field of a progress update, as JSON with its name.
pub const PROGRESS_FIELD_BYTES_MAX: usize = 4 * 1024;
/// Deepest nesting of an extra field of a progress update: records are read with a bound of their own, far above.
pub const PROGRESS_FIELD_DEPTH_MAX: usize = 32;
/// Entries of a job's progress stream.
pub const PROGRESS_STREAM_ENTRIES: usize = 10;
/// Lines of a job's log, of all its attempts together: the last ones are kept.
pub const LOG_LINES_MAX: usize = 200;
/// Longest line of a log, in bytes; with the number above at most 200 KiB a job.
pub const LOG_LINE_BYTES_MAX: usize = 1024;
/// Lines of an attempt that wait for the next write of its progress, a tenth of a second; what comes on top takes the
/// place of the oldest of them.
pub const LOG_LINES_UNWRITTEN_MAX: usize = 50;
/// Largest page of a listing.
pub const LIST_PAGE_MAX: usize = 1_000;

/// How long a claim holds without a beat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a free slot that one worker has sent jobs to is offered to no other.
pub const SLOT_TAKEN: Duration = Duration::from_secs(1);
/// How often a worker beats.
pub const BEAT: Duration = Duration::from_secs(10);
/// How long before the end of its lease a worker stops itself under `fencing = strict`.
pub const FENCE_MARGIN: Duration = Duration::from_secs(5);
/// When the sweep publishes a job whose producer did not say that it did.
pub const OUTBOX_GRACE: Duration = Duration::from_secs(5);
/// How long a leased outbox row stays with the scheduler that leased it.
pub const OUTBOX_LEASE: Duration = Duration::from_secs(30);
/// The furthest ahead that an outbox row can be due: the longest give-back. What is further is a clock that went back.
pub const OUTBOX_AHEAD_MAX: Duration = Duration::from_secs(60);
/// A message younger than this whose record is missing is rebuilt rather than quarantined.
pub const REBUILD_AGE: Duration = Duration::from_secs(600);
/// First look at a job's unregistered parents.
pub const EDGES_GRACE: Duration = Duration::from_secs(5);
/// When edges are verified again once every parent is registered; doubles up to [`EDGES_VERIFY_MAX`].
pub const EDGES_VERIFY: Duration = Duration::from_secs(600);
/// The longest time between two verifications of a job's edges.
pub const EDGES_VERIFY_MAX: Duration = Duration::from_secs(6 * 3600);
/// A parent that stays unknown for this long fails its child.
pub const UNKNOWN_PARENT_AGE: Duration = Duration::from_secs(15 * 60);
/// A cron tick that is later than this was missed: the entry's misfire policy decides.
pub const CRON_GRACE: Duration = Duration::from_secs(60);
/// Largest jitter of a cron entry: one day.
pub const CRON_JITTER_MAX: Duration = Duration::from_secs(86_400);
/// A worker's default run time limit of an attempt whose job sets none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);
/// Default retention of finished jobs.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// How long statistics are kept by the minute; then they are added to their hour.
pub const STATISTICS_MINUTES_KEPT: Duration = Duration::from_secs(3 * 3600);
/// How long statistics are kept by the hour.
pub const STATISTICS_HOURS_KEPT: Duration = Duration::from_secs(8 * 86_400);
/// Longest window of statistics.
pub const STATISTICS_WINDOW_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Pairs of a queue and a function that a minute, or an hour, has rows of their own for; further ones share one.
pub const STATISTICS_ROWS_MAX: usize = 200;
/// Rows of an index that are looked at for the oldest job that waits.
pub const STATISTICS_LOOK: usize = 64;
/// Most points of a series of statistics.
pub const STATISTICS_STEPS_MAX: u64 = 240;
