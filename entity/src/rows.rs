//! Statements over many rows on SQLite, where each statement costs a hop to the connection's thread and back, which is
//! more than most rows cost. A statement is prepared for a few numbers of rows only.

use std::sync::OnceLock;

/// Rows in one statement: the largest that fits is taken first.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// One statement for any number of rows.
pub(crate) struct Rows {
    before: &'static str,
    columns: usize,
    after: &'static str,
    texts: OnceLock<[String; SIZES.len()]>,
}

impl Rows {
    /// `before (?, …), (?, …) after`, with a parameter for each of the columns.
    pub(crate) const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        Self { before, columns, after, texts: OnceLock::new() }
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
        let row = format!("({})", vec!["?"; self.columns].join(", "));
        format!("{} {} {}", self.before, vec![row; rows].join(", "), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_served_whole_and_in_order() {
        static ROWS: Rows = Rows::new("INSERT INTO t VALUES", 2, "");
        for count in [0, 1, 3, 4, 5, 16, 63, 64, 150, 256] {
            let rows: Vec<usize> = (0..count).collect();
            let parts = ROWS.parts(&rows);
            assert_eq!(parts.iter().flat_map(|(_, part)| part.to_vec()).collect::<Vec<_>>(), rows);
            for (text, part) in parts {
                assert_eq!(text.matches("(?, ?)").count(), part.len());
            }
        }
    }
}
