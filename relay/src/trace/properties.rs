use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;

use super::*;
use crate::property::{nearly, of_each};
use crate::stored;

fn header() -> impl Strategy<Value = String> {
    "0[0-1]-[0-1]{2}[0-9a-f]{30}-[0-1]{2}[0-9a-f]{14}-[0-9a-f]{2}(-.{0,3})?|00-0{32}-0{16}-01|ff-1{32}-1{16}-01"
}

/// What stands at its places (W3C Trace Context, 3.2), whatever stands elsewhere.
fn meant(text: &str) -> Option<TraceParent> {
    let is_hex = |text: &str| text.chars().all(|digit| "0123456789abcdef".contains(digit));
    let hex = |from: usize, to: usize| text.get(from..to).filter(|text| is_hex(text));
    let is_dash = |at: usize| text.get(at..=at) == Some("-");
    let (version, flags) = (hex(0, 2)?, hex(53, 55)?);
    let (trace, span) = (u128::from_str_radix(hex(3, 35)?, 16).ok()?, u64::from_str_radix(hex(36, 52)?, 16).ok()?);
    let ends = text.len() == 55 || version != "00" && is_dash(55);
    let is_whole = version != "ff" && [2, 35, 52].into_iter().all(is_dash) && ends && trace != 0 && span != 0;
    is_whole.then(|| TraceParent { trace, span, sampled: u8::from_str_radix(flags, 16).unwrap() % 2 == 1 })
}

#[test]
fn a_traceparent_is_what_stands_at_its_places_or_nothing() {
    of_each(nearly(header()), |text| assert_eq!(TraceParent::read(&text), meant(&text)));
}

#[test]
fn what_we_say_is_read_as_we_mean_it() {
    of_each((1..=u128::MAX, 1..=u64::MAX, any::<bool>()), |(trace, span, sampled)| {
        let said = TraceParent { trace, span, sampled };
        assert_eq!(TraceParent::read(&said.to_string()), Some(said));
    });
}

#[test]
fn who_delivers_finds_the_trace_that_who_received_said() {
    let value = prop_oneof![3 => nearly(header()).prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..60)];
    let name = proptest::sample::select(vec!["traceparent", "Traceparent", "tracestate"]);
    of_each((any::<u128>(), vec((name, value), 0..3)), |(event, headers)| {
        let event = EventId::from(uuid::Uuid::from_u128(event));
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER)).map(|(_, value)| &**value);
        let received = Trace::of(event, TraceParent::of(values));
        assert_eq!(Trace::of_stored(event, &Headers::read(&stored::column(&headers))), received);
    });
}
