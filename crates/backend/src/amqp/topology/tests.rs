use std::fmt::Write as _;

use super::*;

/// One line an exchange, queue and argument.
fn drawn(profile: Profile) -> String {
    let mut text = String::new();
    let arguments = |text: &mut String, arguments: &Arguments| {
        for (name, value) in arguments {
            match value {
                Argument::Text(value) => writeln!(text, "    {name} = {value}").unwrap(),
                Argument::Number(value) => writeln!(text, "    {name} = {value}").unwrap(),
            }
        }
    };
    for exchange in exchanges(Shards::STANDALONE) {
        writeln!(text, "exchange {}", exchange.name).unwrap();
        arguments(&mut text, &exchange.arguments);
    }
    let of_jobs = queues(profile, &QueueName::default());
    for queue in dead_letter_queues(profile).iter().chain(&of_jobs) {
        writeln!(text, "queue {} <- {} {}", queue.name, queue.exchange, queue.key).unwrap();
        arguments(&mut text, &queue.arguments);
    }
    text
}

const EXCHANGES: &str = "\
exchange longshore.jobs
exchange longshore.dlx
exchange longshore.shards
    alternate-exchange = longshore.shards.4
";

#[test]
fn the_quorum_profile_has_a_queue_for_each_priority() {
    let mut expected = EXCHANGES.to_owned();
    expected.push_str(
        "\
queue longshore.dlx.inbox <- longshore.dlx inbox
    x-queue-type = quorum
    x-delivery-limit = 2000000000
queue longshore.dead <- longshore.dlx dead
    x-queue-type = quorum
    x-delivery-limit = 2000000000
",
    );
    for priority in ["critical", "high", "normal", "low"] {
        write!(
            expected,
            "\
queue jobs.default.{priority} <- longshore.jobs default.{priority}
    x-queue-type = quorum
    x-dead-letter-exchange = longshore.dlx
    x-dead-letter-routing-key = inbox
    x-dead-letter-strategy = at-least-once
    x-overflow = reject-publish
    x-delivery-limit = 10000
"
        )
        .unwrap();
    }
    assert_eq!(drawn(Profile::Quorum), expected);
}

#[test]
fn the_classic_profile_has_one_queue_with_priorities() {
    let mut expected = EXCHANGES.to_owned();
    expected.push_str(
        "\
queue longshore.dlx.inbox <- longshore.dlx inbox
    x-queue-type = classic
queue longshore.dead <- longshore.dlx dead
    x-queue-type = classic
queue jobs.default <- longshore.jobs default
    x-queue-type = classic
    x-max-priority = 3
    x-dead-letter-exchange = longshore.dlx
    x-dead-letter-routing-key = inbox
",
    );
    assert_eq!(drawn(Profile::Classic), expected);
}

#[test]
fn the_mark_of_the_shards_reads_back() {
    let [_, _, marked] = exchanges(Shards::CLUSTER);
    let [(_, Argument::Text(mark))] = marked.arguments.as_slice() else {
        panic!("{marked:?}")
    };
    assert_eq!(shards_of_mark(mark), Some(64));
    assert_eq!(shards_of_mark("none"), None);
}
