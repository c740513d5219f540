use proptest::collection::btree_map;
use proptest::option;

use super::*;
use crate::property::{nearly, of_each};

const TEMPLATES: &str = r"([a-z ]|\{\{|\}\}|\{event_id\}|\{event_type\}|\{attribute:[ab]\}){0,6}";

#[test]
fn whatever_is_read_as_a_template_is_written_as_it_was() {
    of_each(nearly(TEMPLATES), |text| {
        if let Ok(template) = text.parse::<Template>() {
            assert_eq!(template.to_string(), text);
        }
    });
}

/// One gap after the other, with a letter for a brace that no event says.
#[test]
fn a_template_is_filled_gap_by_gap_or_not_at_all() {
    let said = (option::of("[a-z{}]{0,4}"), btree_map("[ab]", "[ -~]{0,4}", 0..3));
    of_each((TEMPLATES, said), |(text, (event_type, attributes))| {
        let Ok(template) = text.parse::<Template>() else { return };
        let filled = template.fill(&Said {
            event_id: "evt_1",
            event_type: event_type.as_deref(),
            derived_type: None,
            external_id: None,
            request_id: None,
            source_id: None,
            attributes: &attributes,
        });
        let attribute = |name: &str| attributes.get(name).map(String::as_str);
        let gaps = [
            ("{event_id}", Some("evt_1")),
            ("{event_type}", event_type.as_deref()),
            ("{attribute:a}", attribute("a")),
            ("{attribute:b}", attribute("b")),
        ];
        let mut expected = Some(String::new());
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let gap = gaps.iter().find(|(gap, _)| rest.starts_with(gap));
            let (taken, piece) = match gap {
                _ if rest.starts_with("{{") || rest.starts_with("}}") => (2, Some(&rest[..1])),
                Some((gap, value)) => (gap.len(), *value),
                None => (first.len_utf8(), Some(&rest[..first.len_utf8()])),
            };
            expected = expected.zip(piece).map(|(filled, piece)| filled + piece);
            rest = &rest[taken..];
        }
        let filled = filled.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap());
        assert_eq!(filled.as_deref(), expected.as_deref().map(str::trim));
    });
}
