//! Statements over many rows on SQLite, where each one costs a hop to the connection's thread and back, which on a busy
//! machine is more than all of its rows cost. They are prepared for a few numbers of rows only.

use std::sync::OnceLock;

/// Rows at a time: the largest number that fits is taken first.
const SIZES: [usize; 12] = [64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// One or several statements for any number of rows, sent together.
pub(crate) struct Rows {
    /// Each with its number of columns: `before (?, …), (?, …) after`.
    statements: &'static [(&'static str, usize, &'static str)],
    texts: OnceLock<[String; SIZES.len()]>,
}

impl Rows {
    /// `before (?, …), (?, …) after`, with a parameter for each of the columns; one statement after the other, each for the
    /// same rows.
    pub(crate) const fn new(statements: &'static [(&'static str, usize, &'static str)]) -> Self {
        Self { statements, texts: OnceLock::new() }
    }

    /// The texts that together serve these rows, each with its part of them, in their order.
    pub(crate) fn parts<'r, T>(&'static self, mut rows: &'r [T]) -> Vec<(&'static str, &'r [T])> {
        let texts = self.texts.get_or_init(|| SIZES.map(|size| self.text(size)));
        let mut parts = Vec::new();
        for (size, text) in SIZES.iter().zip(texts) {
            while rows.len() >= *size {
                let (part, rest) = rows.split_at(*size);
                parts.push((text.as_str(), part));
                rows = rest;
            }
        }
        parts
    }

    fn text(&self, rows: usize) -> String {
        let statement = |(before, columns, after): &(&str, usize, &str)| {
            let row = format!("({})", vec!["?"; *columns].join(", "));
            format!("{before} {} {after}", vec![row; rows].join(", "))
        };
        self.statements.iter().map(statement).collect::<Vec<_>>().join(";\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_served_whole_and_in_order() {
        static ROWS: Rows = Rows::new(&[("INSERT INTO t VALUES", 2, ""), ("INSERT INTO u VALUES", 1, "")]);
        for count in [0, 1, 3, 4, 5, 16, 63, 64, 150, 256] {
            let rows: Vec<usize> = (0..count).collect();
            let parts = ROWS.parts(&rows);
            assert_eq!(parts.iter().flat_map(|(_, part)| part.to_vec()).collect::<Vec<_>>(), rows);
            for (text, part) in parts {
                assert_eq!((text.matches("(?, ?)").count(), text.matches("(?)").count()), (part.len(), part.len()));
            }
        }
    }
}
