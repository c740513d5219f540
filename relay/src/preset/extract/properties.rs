use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use proptest::sample::select;

use super::super::{GENERIC, all, tests::inbound};
use super::*;
use crate::property::{nearly, of_each};

#[test]
fn a_time_that_is_taken_can_be_shown() {
    let extract = Extract { occurred_at: Some("json:/at".parse().unwrap()), ..Extract::default() };
    let date = "([0-9]{4}|0000|9999)-(01|12)-(01|31)T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](Z|[+-]0[0-9]:00)";
    let time = prop_oneof![nearly("[0-9]{9,15}(\\.[0-9]{0,3})?"), nearly(date)];
    of_each(time, |time| {
        let read = extract.read(GENERIC, &inbound(serde_json::json!({ "at": time }).to_string().as_bytes()));
        assert!(read.occurred_at.is_none_or(|at| WRITABLE.contains(&at)), "{read:?}");
    });
}

#[test]
fn whatever_a_provider_sends_only_what_can_be_stored_is_taken() {
    let samples: Vec<_> = all().map(|preset| (preset, Extract::of(preset, &Extract::default()))).collect();
    let made_up = select(samples)
        .prop_flat_map(|known| nearly(Just(known.0.sample.to_owned())).prop_map(move |body| (known.clone(), body)));
    of_each(made_up, |((preset, extract), body)| {
        let read = extract.read(preset, &inbound(body.as_bytes()));
        let texts = [read.event_type, read.derived_type, read.external_id, read.request_id].into_iter().flatten();
        for text in texts.chain(read.attributes.into_iter().map(|(_, text)| text)) {
            let is_fit = (1..=512).contains(&text.len()) && !text.chars().any(char::is_control);
            assert!(is_fit, "{}: {text:?}", preset.name);
        }
        assert!(read.occurred_at.is_none_or(|at| WRITABLE.contains(&at)), "{}", preset.name);
    });
}

#[test]
fn a_text_is_taken_whole_if_it_can_be_stored_and_else_not_at_all() {
    let extract = Extract { event_type: Some("json:/type".parse().unwrap()), ..Extract::default() };
    of_each(nearly("[a-z]{0,2}|x{510,514}|é{254,258}"), |text| {
        let read = extract.read(GENERIC, &inbound(serde_json::json!({ "type": text }).to_string().as_bytes()));
        let is_fit = (1..=512).contains(&text.len()) && !text.chars().any(char::is_control);
        assert_eq!(read.event_type, is_fit.then_some(text));
    });
}

#[test]
fn whatever_is_read_as_places_is_written_as_it_was() {
    of_each(nearly("json:/a(( or | \\+ )(json:/[ab]|header:x|query:[a-z])){0,3}"), |text| {
        if let Ok(find) = text.parse::<Find>() {
            assert_eq!(find.to_string().parse(), Ok(find));
        }
    });
}
