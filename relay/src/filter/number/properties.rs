use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;

use super::*;
use crate::property::{nearly, of_each};

/// A number below 10⁹ with five digits behind the point at most, in one of the ways to write it.
fn written() -> impl Strategy<Value = (i64, String)> {
    (-1_000_000_000_000_i64..1_000_000_000_000, 0..4).prop_map(|(value, way)| {
        let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
        let text = match way {
            0 => format!("{sign}{digits}e-5"),
            1 => format!("{sign}{}.{:05}", digits / 100_000, digits % 100_000),
            2 => format!("{sign}{}.{:05}00E+0", digits / 100_000, digits % 100_000),
            _ if digits % 100_000 == 0 => format!("{sign}{}", digits / 100_000),
            _ => format!("{sign}{digits}0.0E-06"),
        };
        (value, text)
    })
}

/// RFC 8259, 6.
fn is_json(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(text, rest)| (text, Some(rest)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(text, rest)| (text, Some(rest)));
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && [fraction, exponent].into_iter().flatten().all(is_digits)
}

#[test]
fn numbers_compare_by_value_however_they_are_written() {
    let near = (written(), -2_i64..3).prop_map(|((value, text), apart)| {
        let other = (value + apart * 100_000, format!("{}e-5", value + apart * 100_000));
        ((value, text), other)
    });
    of_each(prop_oneof![near, (written(), written())], |((one, one_text), (other, other_text))| {
        let [read, other_read] = [&one_text, &other_text].map(|text| Number::read(text).unwrap());
        assert_eq!(read.cmp(&other_read), one.cmp(&other), "{one_text} {other_text}");
        assert_eq!(read == other_read, one == other, "{one_text} {other_text}");
    });
}

#[test]
fn a_whole_number_is_exact_as_far_as_there_are_any() {
    of_each((any::<i128>(), -2_i128..3), |(one, apart)| {
        let other = one.saturating_add(apart);
        let [read, other_read] = [one, other].map(|whole| Number::read(&whole.to_string()).unwrap());
        assert_eq!(read.cmp(&other_read), one.cmp(&other));
    });
}

#[test]
fn numbers_have_one_order_whatever_they_are() {
    let number = || {
        let float =
            any::<f64>().prop_filter_map("JSON has no other", |float| float.is_finite().then(|| format!("{float:e}")));
        prop_oneof![any::<i128>().prop_map(|whole| whole.to_string()), float, written().prop_map(|(_, text)| text)]
    };
    of_each([number(), number(), number()], |texts| {
        let [one, two, three] = texts.map(|text| Number::read(&text).unwrap());
        assert_eq!(one.cmp(&two), two.cmp(&one).reverse());
        assert!(one > two || two > three || one <= three, "{one:?} {two:?} {three:?}");
        assert_eq!(one == two, one.cmp(&two).is_eq());
    });
}

#[test]
fn only_what_json_calls_a_number_is_one() {
    of_each(nearly("-?[0-9]{0,2}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?"), |text| {
        assert_eq!(Number::read(&text).is_some(), is_json(&text));
    });
}
