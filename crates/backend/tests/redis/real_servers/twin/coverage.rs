//! The walks leave no call out.

/// Calls that no walk makes, and what holds the two stores equal there.
const ELSEWHERE: [(&str, &str); 11] = [
    ("shards", "is no request"),
    ("lease_shards", "cases of the contract: leases"),
    ("release_shards", "cases of the contract: leases"),
    ("hints", "is a stream: cases of the contract"),
    ("ended_parents", "is a stream: cases of the contract"),
    ("cron_due", "cases of the contract: cron"),
    ("cron_fire", "cases of the contract: cron"),
    ("worker_load", "cases of the contract: workers"),
    ("take_slots", "cases of the contract: workers"),
    ("next", "belongs to a stream"),
    ("from_envelope", "is no request"),
];

const WALKS: [&str; 5] = [
    include_str!("../twin.rs"),
    include_str!("compare.rs"),
    include_str!("edited.rs"),
    include_str!("notices.rs"),
    include_str!("subjects.rs"),
];

const PORTS: [&str; 3] = [
    include_str!("../../../../../core/src/port/enqueue.rs"),
    include_str!("../../../../../core/src/port/attempt.rs"),
    include_str!("../../../../../core/src/port/schedule.rs"),
];

fn methods() -> Vec<&'static str> {
    let lines = PORTS.iter().flat_map(|text| text.lines());
    let names = lines.filter_map(|line| {
        let line = line
            .trim_start()
            .strip_prefix("pub ")
            .unwrap_or(line.trim_start());
        line.strip_prefix("fn ")?.split('(').next()
    });
    names.collect()
}

#[test]
fn every_call_of_a_producer_a_worker_and_a_scheduler_is_drawn_by_the_walks() {
    let methods = methods();
    assert!(methods.len() > 40, "{methods:?}");
    let is_drawn = |name: &str| WALKS.iter().any(|text| text.contains(&format!(".{name}(")));
    let is_excused = |name: &str| ELSEWHERE.iter().any(|(other, _)| *other == name);
    let missing: Vec<_> = methods
        .iter()
        .filter(|name| !is_drawn(name) && !is_excused(name))
        .collect();
    assert!(missing.is_empty(), "no walk calls {missing:?}");
    for (name, _) in ELSEWHERE {
        assert!(methods.contains(&name), "there is no call {name}");
    }
}
