//! The scripts, as Redis gets them: the first line of the file, the bounds, the shared parts, the rest of the file.

use std::fmt::Write as _;
use std::sync::LazyLock;

use longshore_core::clock::duration_millis;
use longshore_core::limits;

/// Ended jobs in one bucket of their index. Redis keeps sorted sets of up to 128 small, unless configured, and looks through
/// a small one for each row.
const FINISHED_BUCKET: u64 = 40;

/// Bytes of a result up to which it stands in the record; the record stays small in Redis up to 64.
const RESULT_IN_RECORD: u64 = 48;

const COUNT: &str = include_str!("lua/count.lua");
const BASE: &str = include_str!("lua/base.lua");
const RECORD: &str = include_str!("lua/record.lua");
const LIB: &str = include_str!("lua/lib.lua");
const DIRECT: &str = include_str!("lua/direct.lua");
const DUE: &str = include_str!("lua/due.lua");

/// Bytes of payloads after which an answer takes no more jobs.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    name: &'static str,
    source: String,
    sha: String,
}

impl Script {
    fn new(name: &'static str, source: String) -> Self {
        let sha = redis::Script::new(&source).get_hash().to_owned();
        Self { name, source, sha }
    }

    /// A script of a shard, which has the shared part.
    fn shared(name: &'static str, own: &str) -> Self {
        let (flags, body) = own.split_once('\n').unwrap_or((own, ""));
        Self::new(
            name,
            format!("{flags}\n{}{COUNT}\n{BASE}\n{RECORD}\n{LIB}\n{body}", *BOUNDS),
        )
    }

    /// A script of a shard that runs for every job: what stands before the line `---- direct` is the way of the jobs
    /// that take a turn, and is made, with the shared part, when the first of them comes.
    fn direct(name: &'static str, own: &str) -> Self {
        Self::by_hand(name, own, "")
    }

    /// The same, of a script that reads records whole all the same.
    fn whole(name: &'static str, own: &str) -> Self {
        Self::by_hand(name, own, RECORD)
    }

    /// The same, of a script that takes what is due.
    fn due(name: &'static str, own: &str) -> Self {
        Self::by_hand(name, own, DUE)
    }

    fn by_hand(name: &'static str, own: &str, more: &str) -> Self {
        let (flags, body) = own.split_once('\n').unwrap_or((own, ""));
        let (rare, direct) = body.split_once("---- direct\n").unwrap_or(("", body));
        let bounds = &*BOUNDS;
        // A function of Lua may use 60 names of those around it: the bounds are its own. And one that takes `...` has an
        // `arg` of its own, which would hide ours.
        let rare = format!(
            "local rare\nlocal function make()\n{bounds}{RECORD}\n{LIB}\n{rare}\nend\n\
             rare = function(...)\nrare = make()\nreturn rare(...)\nend\n"
        );
        Self::new(
            name,
            format!("{flags}\n{bounds}{COUNT}\n{BASE}\n{rare}\n{DIRECT}\n{more}\n{direct}"),
        )
    }

    /// A script that has not.
    fn alone(name: &'static str, own: &str) -> Self {
        Self::new(name, own.to_owned())
    }

    /// What it is called here: its file.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The text, for a server that does not know it yet.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Its name on the server.
    pub(super) fn sha(&self) -> &str {
        &self.sha
    }
}

/// The bounds that the scripts need, from the one place that has them; times in milliseconds.
static BOUNDS: LazyLock<String> = LazyLock::new(|| {
    let times = [
        ("LEASE", limits::LEASE),
        ("OUTBOX_GRACE", limits::OUTBOX_GRACE),
        ("OUTBOX_LEASE", limits::OUTBOX_LEASE),
        ("OUTBOX_AHEAD", limits::OUTBOX_AHEAD_MAX),
        ("EDGES_GRACE", limits::EDGES_GRACE),
        ("EDGES_VERIFY", limits::EDGES_VERIFY),
        ("EDGES_VERIFY_MAX", limits::EDGES_VERIFY_MAX),
        ("RETENTION", limits::RETENTION_DEFAULT),
        ("MINUTES_KEPT", limits::STATISTICS_MINUTES_KEPT),
        ("HOURS_KEPT", limits::STATISTICS_HOURS_KEPT),
        ("CRON_GRACE", limits::CRON_GRACE),
    ];
    let numbers = [
        ("EDGES_LOOK", limits::EDGES_LOOK_MAX as u64),
        ("HISTORY", limits::HISTORY_ATTEMPTS as u64),
        ("LOSTS", u64::from(limits::LOSTS_MAX)),
        ("PAGE", limits::CHILDREN_PAGE as u64),
        ("PULL", limits::SCRIPT_JOBS_MAX as u64),
        ("CHILDREN", limits::CHILDREN_MAX as u64),
        ("PARENT_RESULTS", limits::PARENT_RESULTS_BYTES_MAX as u64),
        ("WEIGHT", ANSWER_BYTES_MAX),
        ("BUCKET", FINISHED_BUCKET),
        ("NOTICES", limits::NOTICES_MAX as u64),
        ("STREAM", limits::PROGRESS_STREAM_ENTRIES as u64),
        ("LOG_LINES", limits::LOG_LINES_MAX as u64),
        ("PARENT_RESULT", limits::PARENT_RESULT_BYTES_MAX as u64),
        ("ROWS", limits::STATISTICS_ROWS_MAX as u64),
        ("LOOK", limits::STATISTICS_LOOK as u64),
        ("RESULT_IN_RECORD", RESULT_IN_RECORD),
    ];
    let times = times.map(|(name, time)| (name, duration_millis(time)));
    times
        .iter()
        .chain(&numbers)
        .fold(String::new(), |mut text, (name, value)| {
            // Writing to a string cannot fail.
            writeln!(text, "local {name} = {value}").ok();
            text
        })
});

macro_rules! scripts {
    ($make:path: $($name:ident = $file:literal),* $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| $make($file, include_str!(concat!("lua/", $file, ".lua"))));)*
    };
}

scripts! { Script::direct:
    ENQUEUE = "enqueue", MARK_PUBLISHED = "mark_published", STEP = "step",
}
scripts! { Script::whole: SETTLE_EDGES = "settle_edges" }
scripts! { Script::due: PROMOTE = "promote", LEASE_OUTBOX = "lease_outbox" }
scripts! { Script::shared:
    STATUSES = "statuses", REGISTER = "register",
    EDGES_VERIFIED = "edges_verified", FAIL_BLOCKED = "fail_blocked",
    ABORT = "abort", CANCEL = "cancel", REBUILD = "rebuild", BEAT = "beat",
    GIVE_BACK = "give_back", PROGRESS = "progress", QUARANTINE = "quarantine",
    EXTEND_OUTBOX = "extend_outbox", AUDIT = "audit", EXPIRE_LEASES = "expire_leases",
    EXPIRE_WAITING = "expire_waiting", RELATIONS = "relations", RELATIONS_TOLD = "relations_told",
    OPEN_EDGES = "open_edges", PARENTS_UNKNOWN = "parents_unknown", DEAD_UNCOPIED = "dead_uncopied", DEAD_COPIED = "dead_copied",
    DEAD_TWINS = "dead_twins", BROKER_GAVE_UP = "broker_gave_up", REQUEUE = "requeue", REQUEUE_EDITED = "requeue_edited", DISCARD = "discard",
    REMOVALS = "removals", PRUNE = "prune", UNPARK = "unpark", CRON_PUT = "cron_put", CRON_REMOVE = "cron_remove",
    CRON_PAUSE = "cron_pause", CRON_ENTRIES = "cron_entries", CRON_RUN = "cron_run", CRON_DUE = "cron_due",
    CRON_FIRE = "cron_fire", LEASE_SHARD = "lease_shard", LOOK = "look", LIST = "list", PAUSE = "pause",
    STANDING = "standing",
    WANT_NOTICES = "want_notices", NOTICES = "notices", NOTICES_TAKEN = "notices_taken", MAILBOX = "mailbox",
    CHANGE_MAILBOX = "change_mailbox",
    COMPARE_RECORDS = "compare_records", COMPARE_ROWS = "compare_rows", SHARD_STATE = "shard_state", IN_LINE = "in_line",
}
scripts! { Script::alone:
    WORKER_BEAT = "worker_beat", WORKERS = "workers", KEEP_SHARDS = "keep_shards", PUT_ASIDE = "put_aside",
    KEEP_OPERATION = "keep_operation", QUARANTINE_FILL = "quarantine_fill", PUT_TOKEN = "put_token",
    TAKE_SLOTS = "take_slots", APPEND_AUDIT = "append_audit", AUDIT_LOG = "audit_log", WATCHED = "watched",
}
