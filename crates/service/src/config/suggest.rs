//! "Did you mean": the known word that is nearest to an unknown one.

/// The candidate that is few edits away from `word`, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = (word.len() / 4).clamp(2, 4);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits that turn one word into the other: insertions, deletions, replacements (Levenshtein 1966).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(other.chars()) {
            let above = *cell;
            *cell = (diagonal + usize::from(left != right))
                .min(above + 1)
                .min(before + 1);
            (diagonal, before) = (above, *cell);
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (one, other, edits) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let words = ["worker.max_workers", "worker.queues"];
        assert_eq!(
            nearest("worker.max_worker", words.into_iter()),
            Some("worker.max_workers")
        );
        assert_eq!(nearest("banana", words.into_iter()), None);
    }
}
