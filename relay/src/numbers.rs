//! What is counted. Each number is described where it is made, begins at nought, and is then a handle: looking one up by
//! its name costs more than counting.

use metrics::{Counter, Gauge, Histogram, Unit};

/// How often something happened. The name ends with `_total`.
pub fn counter(name: &'static str, help: &'static str) -> Counter {
    metrics::describe_counter!(name, Unit::Count, help);
    metrics::counter!(name)
}

/// The same, apart by the values of a label, in their order. They are few and known beforehand: nothing that a tenant
/// makes is one.
pub fn counters<const N: usize>(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: [&'static str; N],
) -> [Counter; N] {
    metrics::describe_counter!(name, Unit::Count, help);
    values.map(|value| metrics::counter!(name, label => value))
}

/// How much there is now. The name ends with the unit, unless things are counted.
pub fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Gauge {
    metrics::describe_gauge!(name, unit, help);
    metrics::gauge!(name)
}

/// The same, apart by the values of a label, in their order.
pub fn gauges<const N: usize>(
    name: &'static str,
    unit: Unit,
    help: &'static str,
    (label, values): (&'static str, [&'static str; N]),
) -> [Gauge; N] {
    metrics::describe_gauge!(name, unit, help);
    values.map(|value| metrics::gauge!(name, label => value))
}

/// How often it was how much. The name ends with the unit, which says how fine it is: see [`crate::operations::count`].
pub fn histogram(name: &'static str, unit: Unit, help: &'static str) -> Histogram {
    metrics::describe_histogram!(name, unit, help);
    metrics::histogram!(name)
}

/// The same, apart by the values of a label, in their order.
pub fn histograms<const N: usize>(
    name: &'static str,
    unit: Unit,
    help: &'static str,
    (label, values): (&'static str, [&'static str; N]),
) -> [Histogram; N] {
    metrics::describe_histogram!(name, unit, help);
    values.map(|value| metrics::histogram!(name, label => value))
}
