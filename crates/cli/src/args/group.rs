//! A command without its group: `longshore why` is `longshore job why`.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;

/// The error; with a tip when the command that is not there is one of a group.
pub(crate) fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let tip = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => tip(word),
        _ => None,
    };
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn tip(word: &str) -> Option<String> {
    let cli = Cli::command();
    let groups = cli
        .get_subcommands()
        .filter(|group| group.find_subcommand(word).is_some());
    let calls: Vec<String> = groups
        .map(|group| format!("`longshore {} {word}`", group.get_name()))
        .collect();
    match calls.as_slice() {
        [] => None,
        [call] => Some(format!("did you mean {call}?")),
        calls => Some(format!("did you mean one of {}?", calls.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_a_group_is_found_and_another_word_is_not() {
        assert_eq!(tip("why").unwrap(), "did you mean `longshore job why`?");
        let listed = tip("ls").unwrap();
        assert!(
            listed.contains("`longshore job ls`, ") && listed.contains("`longshore queue ls`, "),
            "{listed}"
        );
        assert_eq!(tip("frobnicate"), None);
    }
}
