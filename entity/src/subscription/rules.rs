//! A tenant's subscriptions as they are looked through for each event: by its type first, since a tenant may have thousands
//! that want other ones, and each that is looked at comes out of memory that nobody touched for a while.

use std::collections::HashMap;
use std::ops::Deref;

use relay::event_type::Pattern;
use relay::id::SubscriptionId;

use super::{About, Rule};

/// Rules in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    all: Vec<Rule>,
    /// Where those stand that want events of this very type.
    by_type: HashMap<String, Vec<usize>>,
    /// And those that want more than a number of types.
    by_pattern: Vec<usize>,
}

impl Rules {
    #[must_use]
    pub fn of(mut all: Vec<Rule>) -> Self {
        all.sort_unstable_by_key(|rule| rule.id);
        let (mut by_type, mut by_pattern) = (HashMap::<String, Vec<usize>>::new(), Vec::new());
        for (place, rule) in all.iter().enumerate() {
            let exact = |pattern: &Pattern| match pattern {
                Pattern::Exact(event_type) => Some(event_type.clone()),
                Pattern::All | Pattern::Under(_) => None,
            };
            match rule.event_types.iter().map(exact).collect::<Option<Vec<_>>>() {
                Some(types) => types.into_iter().for_each(|it| by_type.entry(it).or_default().push(place)),
                None => by_pattern.push(place),
            }
        }
        Self { all, by_type, by_pattern }
    }

    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> Option<&Rule> {
        self.all.binary_search_by_key(&id, |rule| rule.id).ok().map(|place| &self.all[place])
    }

    /// Those that an event [matches](Rule::matches), in their order.
    pub fn matching(&self, about: &About<'_>) -> impl Iterator<Item = &Rule> {
        let exactly =
            |event_type: Option<&str>| event_type.and_then(|it| self.by_type.get(it)).map_or(&[][..], Vec::as_slice);
        let mut places = [exactly(about.event_type), exactly(about.derived_type), &self.by_pattern].concat();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| &self.all[place]).filter(|rule| rule.matches(about))
    }
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use relay::id::DestinationId;
    use relay::order::Order;

    use super::super::Origin;
    use super::*;

    fn rule(number: i64, types: &[&str], enabled: bool) -> Rule {
        Rule {
            id: SubscriptionId::at(number),
            destination_id: DestinationId::at(number),
            source_ids: None,
            event_types: types.iter().map(|text| text.parse().unwrap()).collect(),
            origin: Origin::Any,
            filter: Ok(None),
            enabled,
            order: Order::None,
            operational: false,
        }
    }

    /// Every pair of patterns, among them twice the same, on and off.
    fn rules() -> Rules {
        const PATTERNS: [&str; 6] = ["*", "a.*", "a.b", "a", "a.b.c", "d"];
        let mut rules = vec![rule(0, &[], true)];
        for (one, other) in PATTERNS.iter().flat_map(|one| PATTERNS.iter().map(move |other| (*one, *other))) {
            let number = i64::try_from(rules.len()).unwrap();
            rules.push(rule(number, &[one, other], number % 5 > 0));
        }
        rules.reverse();
        Rules::of(rules)
    }

    #[test]
    fn who_is_found_by_type_are_all_that_match_each_once_and_in_order() {
        let rules = rules();
        let types = [None, Some("a"), Some("a.b"), Some("a.b.c"), Some("d"), Some("e"), Some("")];
        for (event_type, derived_type) in types.iter().flat_map(|one| types.iter().map(move |other| (*one, *other))) {
            let about = About { event_type, derived_type, ..About::default() };
            let found: Vec<_> = rules.matching(&about).map(|rule| rule.id).collect();
            let wanted: Vec<_> = rules.iter().filter(|rule| rule.matches(&about)).map(|rule| rule.id).collect();
            assert_eq!(found, wanted, "{about:?}");
        }
    }

    #[test]
    fn each_is_found_by_its_id() {
        let rules = rules();
        assert!(rules.iter().all(|rule| rules.get(rule.id) == Some(rule)));
        assert!(rules.is_sorted_by_key(|rule| rule.id));
        assert_eq!(rules.get(SubscriptionId::at(1_000)), None);
    }
}
