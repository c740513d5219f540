use proptest::prelude::{Strategy, any};

use super::*;
use crate::property::{nearly, of_each};

fn id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|bits| Uuid::from_u128(bits).into())
}

#[test]
fn every_id_reads_back_as_itself_and_as_no_other_kind() {
    of_each(id(), |id| {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().parse::<SourceId>(), Err(NotAnId("a source")));
        assert_eq!(serde_json::from_str::<EventId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    });
}

#[test]
fn whatever_is_read_as_an_id_is_the_one_way_to_write_it() {
    of_each(nearly(id().prop_map(|id| id.to_string())), |text| {
        if let Ok(id) = text.parse::<EventId>() {
            assert_eq!(id.to_string(), text);
        }
    });
}

/// By the grammar that the API's document publishes.
#[test]
fn an_id_is_a_prefix_and_26_digits_of_which_the_first_is_small() {
    of_each(nearly("evt_[0-9][0-9a-hjkmnp-tv-z]{25}"), |text| {
        let is_digit = |digit: char| digit.is_ascii_digit() || digit.is_ascii_lowercase() && !"ilou".contains(digit);
        let digits = text.strip_prefix("evt_").unwrap_or_default();
        let is_id = digits.len() == 26 && digits.chars().all(is_digit) && digits.starts_with(|first| first < '8');
        assert_eq!(text.parse::<EventId>().is_ok(), is_id);
    });
}

#[test]
fn ids_stand_in_the_order_of_their_texts() {
    let near = (any::<u128>(), 0..126, 0..32_u128).prop_map(|(bits, at, apart)| [bits, bits ^ (apart << at)]);
    of_each(near, |bits| {
        let [one, other] = bits.map(|bits| EventId::from(Uuid::from_u128(bits)));
        assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    });
}

#[test]
fn an_id_says_when_it_was_made() {
    of_each(0_i64..1 << 48, |millis| {
        let id = EventId::at(millis);
        assert_eq!((id.millis(), id.uuid().get_version_num()), (millis, 7));
        assert!(first_of(millis) <= id.uuid() && millis_of(first_of(millis)) == millis);
    });
}
