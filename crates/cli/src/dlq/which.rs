//! From options to a filter.

use longshore_core::dead::DeadFilter;
use longshore_core::{Clock, SystemClock, Timestamp};

use crate::args::dlq::DeadOptions;
use crate::failure::Failure;
use crate::request::parse_moment;

/// The keys of `--filter`.
const KNOWN: &str = "function, queue, tag, fingerprint, older-than, newer-than";

/// The dead letters that are meant.
///
/// # Errors
/// Every key that is unknown, with the known ones, and every value that is none; nothing is done then.
pub(super) fn filter(options: &DeadOptions) -> Result<DeadFilter, Failure> {
    let mut filter = DeadFilter {
        function_name: options.of.function.clone(),
        queue: options.of.queue.clone(),
        tags: options.of.tag.clone(),
        fingerprint: options.fingerprint,
        died_from: None,
        died_until: None,
    };
    let mut problems = Vec::new();
    let named = [
        ("older-than", &options.older_than),
        ("newer-than", &options.newer_than),
    ];
    for (key, value) in named {
        if let Some(value) = value
            && let Err(problem) = set(&mut filter, key, value)
        {
            problems.push(format!("--{key}: {problem}"));
        }
    }
    for pair in &options.filter {
        let set = pair
            .split_once('=')
            .ok_or_else(|| format!("is not KEY=VALUE; known filters: {KNOWN}"))
            .and_then(|(key, value)| set(&mut filter, key.trim(), value));
        if let Err(problem) = set {
            problems.push(format!("--filter {pair}: {problem}"));
        }
    }
    if problems.is_empty() {
        return Ok(filter);
    }
    Err(Failure::usage(problems.join("\n")))
}

fn set(filter: &mut DeadFilter, key: &str, value: &str) -> Result<(), String> {
    match key {
        "function" => filter.function_name = Some(read(value)?),
        "queue" => filter.queue = Some(read(value)?),
        "tag" => filter.tags.push(value.to_owned()),
        "fingerprint" => filter.fingerprint = Some(read(value)?),
        "older-than" => filter.died_until = Some(moment(value)?),
        "newer-than" => filter.died_from = Some(moment(value)?),
        other => return Err(format!("there is no filter `{other}`; known filters: {KNOWN}")),
    }
    Ok(())
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error: T::Err| error.to_string())
}

fn moment(value: &str) -> Result<Timestamp, String> {
    let now = SystemClock.now();
    parse_moment(value, |ago| now.before(ago))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::job::JobsOf;

    #[test]
    fn every_slip_is_named_with_the_known_filters() {
        let options = DeadOptions {
            filter: vec![
                "fuction=x".to_owned(),
                "queue".to_owned(),
                "fingerprint=7".to_owned(),
            ],
            newer_than: Some("soon".to_owned()),
            ..DeadOptions::default()
        };
        let said = filter(&options).unwrap_err().message;
        for part in [
            "no filter `fuction`",
            KNOWN,
            "not KEY=VALUE",
            "not a fingerprint",
            "--newer-than",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn keys_and_options_say_the_same() {
        let pairs = ["function=f", "queue=mail", "tag=a", "older-than=1700000000"].map(str::to_owned);
        let by_key = DeadOptions {
            filter: pairs.into(),
            ..DeadOptions::default()
        };
        let by_option = DeadOptions {
            of: JobsOf {
                function: Some("f".parse().unwrap()),
                queue: Some("mail".parse().unwrap()),
                tag: vec!["a".to_owned()],
            },
            older_than: Some("1700000000".to_owned()),
            ..DeadOptions::default()
        };
        assert_eq!(filter(&by_key).unwrap(), filter(&by_option).unwrap());
    }
}
