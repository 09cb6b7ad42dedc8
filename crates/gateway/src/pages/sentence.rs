//! Sentences of `why`: the jobs in them are links, and what stands in backticks is a command.

use longshore_core::JobId;

/// A piece of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// What it says.
    pub(super) text: String,
    /// The way to the job that it names.
    pub(super) href: Option<String>,
    /// Whether it belongs to a command.
    pub(super) is_code: bool,
}

/// The pieces of a sentence. What a terminal is told to ask is a click here.
pub(super) fn pieces(sentence: &str, href: impl Fn(&str) -> String) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (place, part) in sentence.split('`').enumerate() {
        // Between the first and the second, the third and the fourth, …
        cut(part, place % 2 == 1, &href, &mut pieces);
    }
    pieces
}

/// Cuts a text at the ids in it.
fn cut(text: &str, is_code: bool, href: &impl Fn(&str) -> String, pieces: &mut Vec<Piece>) {
    let mut add = |from: usize, to: usize, href: Option<String>| {
        let text = text.get(from..to).unwrap_or_default().to_owned();
        if !text.is_empty() {
            pieces.push(Piece { text, href, is_code });
        }
    };
    let bounds = text.match_indices(|letter: char| !letter.is_ascii_hexdigit() && letter != '-');
    let ends = bounds.map(|(at, letter)| (at, at + letter.len()));
    let (mut plain, mut from) = (0, 0);
    for (end, next) in ends.chain([(text.len(), text.len())]) {
        let word = text.get(from..end).unwrap_or_default();
        if word.len() == 36 && word.parse::<JobId>().is_ok() {
            add(plain, from, None);
            add(from, end, Some(href(&format!("/jobs/{word}"))));
            plain = end;
        }
        from = next;
    }
    add(plain, text.len(), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_in_a_sentence_are_links_and_commands_are_code() {
        let id = "0193f0a1-7c5e-8001-9313-0242ac120002";
        let piece = |text: &str, is_link: bool, is_code: bool| Piece {
            text: text.to_owned(),
            href: is_link.then(|| format!("/base/jobs/{text}")),
            is_code,
        };
        for (sentence, wanted) in [
            (
                format!("ask `longshore job why {id}`; it knows"),
                vec![
                    piece("ask ", false, false),
                    piece("longshore job why ", false, true),
                    piece(id, true, true),
                    piece("; it knows", false, false),
                ],
            ),
            (id.to_owned(), vec![piece(id, true, false)]),
            (
                "wait — or not".to_owned(),
                vec![piece("wait — or not", false, false)],
            ),
        ] {
            assert_eq!(pieces(&sentence, |path| format!("/base{path}")), wanted);
        }
    }
}
