//! The mistakes that random walks hardly come by, or not within sixty: a case of the contract, or a walk made for it, finds
//! each.

use longshore_testkit::conformance::Area;

use super::table::{By, Mutant, mutant};

const fn in_cases(mutant: Mutant, area: Area) -> Mutant {
    Mutant {
        by: By::Cases(area),
        ..mutant
    }
}

pub(super) const MUTANTS: &[Mutant] = &[
    in_cases(
        mutant(
            "parents_unknown",
            "the last look counts",
            "and not r.U then",
            "then",
        ),
        Area::Edges,
    ),
    in_cases(
        mutant(
            "edges_verified",
            "edges are verified as often as ever",
            "EDGES_VERIFY * 2 ^ math.min(times, 16)",
            "EDGES_VERIFY",
        ),
        Area::Edges,
    ),
    in_cases(
        mutant(
            "dead_twins",
            "an older twin is kept",
            "return r.g < twin.gen and 'keep' or 'stale'",
            "return 'keep'",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "dead_twins",
            "a twin of this history is revived",
            "if twin.epoch == epoch() then return 'dropped' end",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "dead_twins",
            "the twin of a pruned job revives it",
            "if call('EXISTS', P .. 't:' .. twin.id) == 1 then return 'stale' end",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "dead_copied",
            "a copy of another death counts",
            "r.s == FAILED and r.g == gen",
            "r.s == FAILED",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "dead_copied",
            "a twin that comes late leaves no removal",
            "if late > 0 then call('HINCRBY', KEYS[1], 'removals', late) end\n",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "lib",
            "the last reason stays",
            "if not r.c then put(r, 'c', reason) end",
            "put(r, 'c', reason)",
        ),
        Area::Cancel,
    ),
    // No mistake: that a report of the broker writes a publish time and a next try into the record of a parked job. Neither is
    // read before the job is released, which writes both anew; nobody could see it.
    in_cases(
        mutant(
            "broker_gave_up",
            "one report counts each time",
            "  if r.L == r.g then return end\n",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "rebuild",
            "a later dispatch is rebuilt with its expiry",
            "    if gen > 1 then cut(r, 'e') end\n",
            "",
        ),
        Area::Rebuild,
    ),
    in_cases(
        mutant(
            "relations_told",
            "told children stay in the set",
            "told = told + call('SREM', P .. 'kt:' .. r.id, child)",
            "told = told + 1",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "relations",
            "a parent that is gone tells how it ended",
            "if not r.G then letter",
            "if true then letter",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "relations",
            "a row is not leased",
            "    put(r, 'R', NOW + OUTBOX_LEASE)\n",
            "",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "relations",
            "children that wait are told",
            "if letter ~= 'F' and #page < PAGE then",
            "if #page < PAGE then",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "settle_edges",
            "a child does not wait for its time",
            "if r.r and r.r > NOW then",
            "if false then",
        ),
        Area::Edges,
    ),
    // No mistake: that a child that has left Blocked is told of a parent. Its open edges went when it left, and there is nothing
    // to be told of.
    in_cases(
        mutant(
            "register",
            "a child is counted twice",
            "if added == 1 and moved == 0 then",
            "if moved == 0 then",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "prune",
            "children of a pruned parent are not told",
            "      tell_gone(r)\n",
            "",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "discard",
            "a parent is discarded before its children are told",
            "elseif (r.K or 0) > 0 then",
            "elseif false then",
        ),
        Area::Relations,
    ),
    in_cases(
        mutant(
            "discard",
            "a discarded letter leaves no tombstone",
            "bury(r, RETENTION)",
            "forget(r)",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "requeue",
            "a requeue leaves no removal",
            "if changed > 0 then call('HINCRBY', KEYS[1], 'removals', changed) end\n",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "removals",
            "a lap takes back what came while it ran",
            "swept = over\n",
            "swept = counted\n",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "requeue",
            "a letter past its deadline is requeued",
            "elseif r.d and r.d <= NOW then",
            "elseif false then",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "promote",
            "a job past its time is promoted",
            "or is_past_its_time(r) and EXPIRED",
            "",
        ),
        Area::Outbox,
    ),
    in_cases(
        mutant(
            "requeue",
            "a letter that died later is requeued",
            "or r.f >= before then",
            "then",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "extend_outbox",
            "a published row comes back",
            "r.g == gen and r.x then",
            "r.g == gen then",
        ),
        Area::Outbox,
    ),
    in_cases(
        mutant(
            "extend_outbox",
            "a row of another gen is put off",
            "r.g == gen and r.x",
            "r.x",
        ),
        Area::Outbox,
    ),
    in_cases(
        mutant(
            "lib",
            "a start keeps the give-backs",
            "  cut(r, 'b')\n  note(r, 'w'",
            "  note(r, 'w'",
        ),
        Area::GiveBack,
    ),
    in_cases(
        mutant(
            "unpark",
            "a job is released for a worker of another queue",
            "left = left - each(index, place, left, release, place)",
            "left = left - each(index, '+inf', left, release)",
        ),
        Area::GiveBack,
    ),
    in_cases(
        mutant(
            "quarantine",
            "a copy of another dispatch gives the job up",
            " and r.g == gen",
            "",
        ),
        Area::GiveBack,
    ),
    in_cases(
        mutant(
            "lib",
            "a cancelled job of a paused queue is not taken over",
            "if not r.c and is_paused(r.q) then",
            "if is_paused(r.q) then",
        ),
        Area::Pause,
    ),
    in_cases(
        mutant(
            "step",
            "a repeated finish of a pruned job is refused",
            "return known.n == nonce and known.s or -1",
            "return -1",
        ),
        Area::Finish,
    ),
    in_cases(
        mutant(
            "lib",
            "a fence does not rise in one microsecond",
            "math.max((r.F or 0) + 1, NOW_US)",
            "NOW_US",
        ),
        Area::Claim,
    ),
    in_cases(
        mutant(
            "lib",
            "a tombstone forgets who finished",
            "if r.n and r.N == r.s then",
            "if false then",
        ),
        Area::Finish,
    ),
    in_cases(
        mutant(
            "lib",
            "one loss too many is allowed",
            "if r.l >= LOSTS then",
            "if r.l > LOSTS then",
        ),
        Area::Expire,
    ),
    in_cases(
        mutant(
            "lib",
            "a requeued job keeps its attempts",
            "  put(r, 'a', 0)\n",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant("lib", "a requeued job keeps its losts", "  put(r, 'l', 0)\n", ""),
        Area::DeadLetters,
    ),
    // No mistake: that a requeued job keeps its twin's mark. Whatever ends the job takes it away, and nothing reads it before.
    in_cases(
        mutant(
            "lib",
            "a requeued job keeps its expiry",
            "'R', 'G', 'D', 'e' })",
            "'R', 'G', 'D' })",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "requeue_edited",
            "an edit of another death counts",
            "or r.s ~= FAILED or r.g ~= gen then",
            "or r.s ~= FAILED then",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "requeue_edited",
            "an edit keeps the old envelope",
            "    call('SET', P .. 'p:' .. r.id, envelope)\n",
            "",
        ),
        Area::DeadLetters,
    ),
    in_cases(
        mutant(
            "abort",
            "an acknowledged child is taken back",
            "and not r.V then",
            "then",
        ),
        Area::Edges,
    ),
    in_cases(
        mutant(
            "cron_fire",
            "a changed entry fires as it was",
            "if call('HGET', P .. 'cron:version', name) ~= version then return 0 end\n",
            "",
        ),
        Area::Cron,
    ),
    in_cases(
        mutant(
            "cron_fire",
            "a tick fires twice",
            "call('HGET', P .. 'cron:next', name) ~= expected or",
            "",
        ),
        Area::Cron,
    ),
    in_cases(
        mutant(
            "cron_fire",
            "a tick fires early",
            "or tonumber(expected) > NOW then return 0 end",
            "then return 0 end",
        ),
        Area::Cron,
    ),
    Mutant {
        by: By::StepBack,
        ..mutant(
            "expire_leases",
            "a time that cannot be true stays",
            "pull_back('running', 'u', LEASE)\n",
            "",
        )
    },
];
