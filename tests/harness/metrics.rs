//! What a process counts, as Prometheus reads it.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// What each metric is: `counter`, `gauge` or `histogram`.
    pub kinds: BTreeMap<String, String>,
    /// What each is for.
    pub helps: BTreeMap<String, String>,
    /// Values by name and labels, as they stand there.
    pub samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text format, and insists that it is that.
    #[must_use]
    pub fn read(page: &str) -> Self {
        let mut metrics = Self::default();
        for line in page.lines().filter(|line| !line.is_empty()) {
            let (rest, into) = match (line.strip_prefix("# TYPE "), line.strip_prefix("# HELP ")) {
                (Some(rest), _) => (rest, &mut metrics.kinds),
                (_, Some(rest)) => (rest, &mut metrics.helps),
                _ => {
                    let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
                    metrics
                        .samples
                        .insert(name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")));
                    continue;
                }
            };
            let (name, text) = rest.split_once(' ').unwrap_or_else(|| panic!("nothing is said: {line}"));
            let before = into.insert(name.to_owned(), text.to_owned());
            assert_eq!(before, None, "{name} stands there twice");
        }
        metrics
    }

    /// The same, together with what another process counts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.kinds.extend(other.kinds);
        self.helps.extend(other.helps);
        self.samples.extend(other.samples);
        self
    }

    /// The value of this sample, which must be there: `name` or `name{label="value"}`.
    #[track_caller]
    #[must_use]
    pub fn one(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }

    /// What a name in an expression is part of, and the kind of that: a histogram is asked for by its parts.
    #[must_use]
    pub fn kind_of(&self, name: &str) -> Option<(&str, &str)> {
        let whole = self.kinds.get_key_value(name);
        let part = || {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part))?;
            self.kinds.get_key_value(base).filter(|(_, kind)| *kind == "histogram")
        };
        whole.or_else(part).map(|(name, kind)| (name.as_str(), kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let metrics = Metrics::read(
            "# HELP a_seconds how long\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"+Inf\"} 2\na_seconds_count 2\n\n\
             # TYPE b_total counter\nb_total{why=\"no reason\"} 1.5\n",
        );
        assert_eq!(metrics.kind_of("a_seconds_bucket"), Some(("a_seconds", "histogram")));
        assert_eq!(metrics.kind_of("b_total"), Some(("b_total", "counter")));
        assert_eq!((metrics.kind_of("b_total_count"), metrics.kind_of("c")), (None, None));
        assert!((metrics.one("b_total{why=\"no reason\"}") - 1.5).abs() < f64::EPSILON);
        assert_eq!(metrics.helps["a_seconds"], "how long");
    }
}
