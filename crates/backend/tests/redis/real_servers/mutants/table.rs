//! The mistakes in what all scripts share: how records, rows and states hang together, and who may claim.

use longshore_testkit::conformance::Area;

/// What must find a mistake.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// The random walks beside the embedded store.
    Walk,
    /// The walk in which the clock goes back an hour; the others have a clock that does not.
    StepBack,
    /// The cases of this area of the contract; for what needs more than one caller, or other subjects.
    Cases(Area),
}

/// One deliberate mistake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutant {
    /// What is wrong; unique.
    pub(super) name: &'static str,
    /// The file, without its ending.
    pub(super) script: &'static str,
    /// A place that is in the file once.
    pub(super) needle: &'static str,
    /// What stands there instead.
    pub(super) replacement: &'static str,
    pub(super) by: By,
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        fn text_of(script: &str) -> &'static str {
            match script {
                $($name => include_str!(concat!("../../../../src/redis/lua/", $name, ".lua")),)*
                other => panic!("{other}.lua is not listed here"),
            }
        }
    };
}
texts! {
    "base", "record", "lib", "count", "enqueue", "step", "beat", "mark_published", "lease_outbox", "extend_outbox", "promote", "audit", "expire_leases",
    "requeue", "requeue_edited", "discard", "prune", "register", "settle_edges", "relations", "relations_told", "rebuild",
    "broker_gave_up", "cancel", "dead_copied", "dead_twins", "quarantine", "fail_blocked", "progress", "unpark",
    "edges_verified", "parents_unknown", "abort", "cron_fire", "open_edges", "removals",
}

impl Mutant {
    /// The file as it is.
    pub(super) fn text(&self) -> &'static str {
        text_of(self.script)
    }

    /// Whether every script has this text.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.script, "base" | "record" | "lib" | "count")
    }
}

pub(super) const fn mutant(
    script: &'static str,
    name: &'static str,
    needle: &'static str,
    replacement: &'static str,
) -> Mutant {
    Mutant {
        name,
        script,
        needle,
        replacement,
        by: By::Walk,
    }
}

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        "lib",
        "a queued job has no outbox row",
        "out['outbox:' .. r.P] = r.x",
        "out['outbox:' .. r.P] = nil",
    ),
    mutant("lib", "a parent that ends has no row", "    out.rel = r.R\n", ""),
    mutant(
        "lib",
        "a running job has no row",
        "out.running = r.u",
        "out.running = nil",
    ),
    mutant(
        "lib",
        "a waiting job has no due row",
        "out['due:' .. r.P] = r.r",
        "out['due:' .. r.P] = nil",
    ),
    mutant(
        "lib",
        "a blocked job has no row of edges",
        "out.edges = r.v",
        "out.edges = nil",
    ),
    mutant(
        "lib",
        "a dead letter has no row",
        "if s == FAILED and not r.D then out.dead = r.f end",
        "",
    ),
    mutant(
        "lib",
        "a copied dead letter keeps its row",
        "if s == FAILED and not r.D then",
        "if s == FAILED then",
    ),
    mutant("lib", "nothing expires", "out.expiring = gives_up_at(r)", ""),
    mutant(
        "lib",
        "a parked job has no row",
        "out['parked:' .. r.k] = parking_of(r.q)",
        "out['parked:' .. r.k] = nil",
    ),
    mutant(
        "lib",
        "a published job has no row",
        "out['ready:' .. r.q .. ':' .. r.P] = r.p",
        "",
    ),
    mutant(
        "lib",
        "an ended job has no row",
        "out['finished:' .. s .. ':' .. r.B] = r.f",
        "",
    ),
    mutant(
        "lib",
        "rows are left where a job was",
        "if after[index] == nil then row(index, id, false) end",
        "if after[index] == nil and index ~= 'running' then row(index, id, false) end",
    ),
    mutant(
        "lib",
        "a deleted job stays in the list of all",
        "  row('all', id, false)\n  tally(r, r.was, -1)",
        "  tally(r, r.was, -1)",
    ),
    mutant(
        "lib",
        "a job that moved is counted where it was",
        "      tally(r, r.was, -1)\n      wake",
        "      wake",
    ),
    mutant("lib", "a dispatch keeps its gen", "  put(r, 'g', r.g + 1)\n", ""),
    mutant(
        "lib",
        "a job that left Running keeps its owner",
        "  cut(r, 'o')\n  cut(r, 'w')\n",
        "  cut(r, 'w')\n",
    ),
    mutant(
        "lib",
        "a job that left Blocked keeps its edges",
        "    call('DEL', P .. 'o:' .. r.id)\n    cut(r, 'v')",
        "    cut(r, 'v')",
    ),
    mutant(
        "lib",
        "children of a parent that ends are not told",
        "if has_children_to_tell(r, false) then put(r, 'R', NOW) else cut(r, 'R') end",
        "cut(r, 'R')",
    ),
    mutant(
        "lib",
        "children that wait are told of a failure",
        "return children > (r.W or 0)",
        "return children > 0",
    ),
    // No mistake: that a requeued job keeps its cancel. A job with a cancel never becomes Failed, and others are not
    // requeued; nobody could see it.
    mutant(
        "lib",
        "a lost job is not cancelled",
        "  if r.c then\n    settle(r, CANCELLED)\n    return true\n  end\n",
        "",
    ),
    mutant("lib", "a loss is not counted", "  put(r, 'l', r.l + 1)\n", ""),
    mutant(
        "lib",
        "a pruned job may be enqueued again",
        "P .. 't:' .. job.id) == 0 then\n    local r = begin",
        "P .. 'j:' .. job.id) == 0 then\n    local r = begin",
    ),
    mutant(
        "lib",
        "another envelope is the same job",
        "if known.h ~= job.h then",
        "if false then",
    ),
    mutant(
        "lib",
        "a fence is a bare counter",
        "math.max((r.F or 0) + 1, NOW_US)",
        "(r.F or 0) + 1",
    ),
    mutant(
        "lib",
        "a lease is too long",
        "put(r, 'u', NOW + LEASE)\n  put(r, 'S', NOW)",
        "put(r, 'u', NOW + 2 * LEASE)\n  put(r, 'S', NOW)",
    ),
    mutant(
        "lib",
        "a start is not counted as an attempt",
        "put(r, 'a', r.a + 1)",
        "put(r, 'a', r.a)",
    ),
    mutant(
        "lib",
        "a retried claim does not renew the lease",
        "    put(r, 'u', NOW + LEASE)\n    save(r)\n    return granted",
        "    return granted",
    ),
    mutant(
        "lib",
        "a live lease is taken over",
        "if left > 0 then return busy(out, left) end",
        "",
    ),
    mutant(
        "lib",
        "a takeover does not wait for the sweep",
        "if pause then return busy(out, pause) end",
        "",
    ),
    mutant(
        "lib",
        "a takeover ignores the pause",
        "if not r.c and is_paused(r.q) then",
        "if false then",
    ),
    mutant(
        "lib",
        "a takeover ignores a newer gen",
        "  put(r, 'g', math.max(r.g, gen))\n",
        "",
    ),
    mutant("lib", "an older gen may claim", "or gen < r.g or", "or"),
    mutant(
        "lib",
        "a waiting job may be claimed",
        "(gen == r.g and r.s ~= QUEUED)",
        "false",
    ),
    mutant(
        "lib",
        "a newer gen is not adopted",
        "    put(r, 'g', gen)\n    put(r, 'p', NOW)",
        "    put(r, 'p', NOW)",
    ),
    mutant(
        "lib",
        "a job past its time may be claimed",
        "local to = r.c and CANCELLED or is_past_its_time(r) and EXPIRED",
        "local to = nil",
    ),
    mutant(
        "lib",
        "a paused queue starts jobs",
        "  if is_paused(r.q) then\n    save(r)",
        "  if false then\n    save(r)",
    ),
    mutant(
        "lib",
        "a claim of a pruned job is missing",
        "    if known then return ended(out, known.s) end\n",
        "",
    ),
    mutant(
        "lib",
        "give-backs are not counted",
        "put(r, 'b', times + 1)",
        "put(r, 'b', times)",
    ),
    mutant(
        "lib",
        "another gen may be given back",
        "if not awaits(r, gen) then return 0 end\n  local times",
        "local times",
    ),
    mutant(
        "lib",
        "a give-back of a pruned job is missing",
        "return tombstone(id) and 0 or -1",
        "return -1",
    ),
    mutant(
        "lib",
        "a sweep that was away does not wait",
        "if not last or NOW - math.max(last, pause) <= LEASE / 2 then return nil end",
        "if true then return nil end",
    ),
    mutant(
        "lib",
        "a large wait between sweeps is no reason",
        "<= LEASE / 2",
        "<= LEASE * 100000",
    ),
    mutant(
        "lib",
        "an error is not kept",
        "  call('SET', P .. 'e:' .. r.id, encoded)\n",
        "",
    ),
    mutant(
        "lib",
        "an attempt is not remembered",
        "  if call('RPUSH', key, row) > HISTORY then",
        "  if false then",
    ),
    mutant("record", "an expiry is not written", "'b', 'e', 'd'", "'b', 'd'"),
    mutant(
        "record",
        "a job with more looks as if it had nothing",
        "rest[field], mark = value, '+'",
        "rest[field] = value",
    ),
    mutant(
        "lib",
        "a happening is counted twice",
        "happened[field] = (happened[field] or 0) + 1",
        "happened[field] = (happened[field] or 0) + 2",
    ),
    mutant(
        "count",
        "waits are counted one bucket off",
        "local doublings = exponent - 4",
        "local doublings = exponent - 3",
    ),
];
