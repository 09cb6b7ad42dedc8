//! Tables that fit: on a narrow terminal names are cut and the least important columns go, and ids stay whole.

use super::plain;
use crate::board::short;

/// Characters between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    head: &'a str,
    give: Give,
}

/// What a column gives where the terminal is too narrow for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Give {
    /// Nothing: it must stay whole, as an id that is copied.
    Nothing,
    /// Its cells are cut, the cut shown, at the narrowest to so many characters.
    DownTo(usize),
    /// It is left out, the lowest number first.
    All(u8),
}

impl<'a> Column<'a> {
    pub(crate) const fn new(head: &'a str, give: Give) -> Self {
        Self { head, give }
    }

    /// The width that it cannot do without.
    fn least(&self, full: usize) -> usize {
        match self.give {
            Give::DownTo(least) => full.min(least),
            Give::Nothing | Give::All(_) => full,
        }
    }
}

/// The lines of a table, its heads first; no line is wider than `width` as long as giving helps. Text from a job cannot
/// move the cursor or change colours.
pub(super) fn lines(columns: &[Column<'_>], rows: Vec<Vec<String>>, width: Option<usize>) -> Vec<String> {
    let heads = columns.iter().map(|column| column.head.to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heads)
        .chain(rows)
        .map(|line| line.iter().map(|cell| plain(cell)).collect())
        .collect();
    let full: Vec<usize> = (0..columns.len()).map(|column| widest(&lines, column)).collect();
    let widths = fit(columns, &full, width);
    let padded = |line: &Vec<String>| {
        let shown = line
            .iter()
            .zip(&widths)
            .filter_map(|(cell, width)| width.map(|width| format!("{:<width$}", short(cell, width))));
        let shown: Vec<String> = shown.collect();
        shown.join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    lines.iter().map(padded).collect()
}

fn widest(lines: &[Vec<String>], column: usize) -> usize {
    let cells = lines.iter().filter_map(|line| line.get(column));
    cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
}

/// The width of each column; `None` for one that is left out.
fn fit(columns: &[Column<'_>], full: &[usize], width: Option<usize>) -> Vec<Option<usize>> {
    let Some(width) = width else {
        return full.iter().copied().map(Some).collect();
    };
    let mut widths: Vec<Option<usize>> = columns
        .iter()
        .zip(full)
        .map(|(column, &full)| Some(column.least(full)))
        .collect();
    while total(&widths) > width {
        let shown = columns
            .iter()
            .zip(&mut widths)
            .filter(|(_, width)| width.is_some());
        let next = shown
            .filter_map(|(column, width)| match column.give {
                Give::All(rank) => Some((rank, width)),
                Give::Nothing | Give::DownTo(_) => None,
            })
            .min_by_key(|(rank, _)| *rank);
        match next {
            Some((_, width)) => *width = None,
            None => break,
        }
    }
    widen(&mut widths, full, width);
    widths
}

/// Shares out what is left, a character to each column in turn, so that none starves.
fn widen(widths: &mut [Option<usize>], full: &[usize], width: usize) {
    let mut left = width.saturating_sub(total(widths));
    loop {
        let before = left;
        for (width, &full) in widths.iter_mut().zip(full) {
            if let Some(width) = width.as_mut().filter(|width| **width < full && left > 0) {
                *width += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown: Vec<usize> = widths.iter().flatten().copied().collect();
    shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column<'static>; 4] = [
        Column::new("ID", Give::Nothing),
        Column::new("AGE", Give::All(1)),
        Column::new("TRIES", Give::All(0)),
        Column::new("NAME", Give::DownTo(6)),
    ];

    fn drawn(width: Option<usize>) -> String {
        let cells = ["0193f0a1", "12s", "1", "Count the words"];
        let row = cells.map(str::to_owned).to_vec();
        lines(&COLUMNS, vec![row], width).pop().unwrap()
    }

    #[test]
    fn control_characters_are_gone_and_nothing_is_cut_without_a_width() {
        let cells = ["wide\u{1b}[31m", "x", "", ""].map(str::to_owned).to_vec();
        assert_eq!(
            lines(&COLUMNS, vec![cells], None),
            ["ID         AGE  TRIES  NAME", "wide [31m  x"]
        );
        assert_eq!(drawn(None), "0193f0a1  12s  1      Count the words");
    }

    #[test]
    fn names_are_cut_columns_go_and_ids_stay_whole() {
        assert_eq!(drawn(Some(80)), "0193f0a1  12s  1      Count the words");
        assert_eq!(drawn(Some(32)), "0193f0a1  12s  1      Count the…");
        assert_eq!(drawn(Some(24)), "0193f0a1  12s  Count th…");
        assert_eq!(drawn(Some(18)), "0193f0a1  Count t…");
        assert_eq!(drawn(Some(4)), "0193f0a1  Count…", "an id is never cut");
    }
}
