use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;

use super::*;
use crate::property::{nearly, of_each};

fn filter() -> impl Strategy<Value = String> {
    let value = r#"("[a-z]{0,3}"|-?[0-9]{1,4}(\.5)?(e[0-9])?|null|true|\["[a-z]{0,2}",1\])"#;
    let operator = r#"\$(eq|ne|neq|in|nin|gt|gte|lt|lte|exists|exist|startsWith|endsWith|contains|ref|not)"#;
    let condition = format!(r#"({value}|\{{"{operator}":{value}\}})"#);
    let section = format!(
        r#"("body":\{{"(/[ab]){{0,2}}":{condition}\}}|"headers":\{{"x-[ab]":{condition}\}}|"query":\{{"[ab]":{condition}\}}|"attributes":\{{"[ab]":{condition}\}})"#
    );
    let simple = proptest::string::string_regex(&format!(r"\{{({section}(,{section})?)?\}}")).unwrap();
    let nested = proptest::string::string_regex(&format!(
        r#"\{{"(\$and|\$or)":\[\{{{section}\}},\{{{section}\}}\]\}}|\{{"\$not":\{{{section}\}}\}}"#
    ));
    nearly(prop_oneof![simple, nested.unwrap()])
}

#[test]
fn a_filter_reads_back_as_itself_and_its_opposite_says_the_opposite() {
    let body = prop_oneof![
        proptest::string::string_regex(r#"\{"a":("[a-z]{0,3}"|-?[0-9]{1,4}|null|\{"b":"[a-z]{0,2}"\})\}"#)
            .unwrap()
            .prop_map(String::into_bytes),
        vec(any::<u8>(), 0..12),
    ];
    let read = std::cell::Cell::new(0);
    of_each((filter(), body, "[ab]=[a-z]{0,3}", "[a-z]{0,3}"), |(text, body, query, word)| {
        let Ok(json) = serde_json::from_str::<Value>(&text) else { return };
        let filter = match Filter::try_from(json.clone()) {
            Ok(filter) => filter,
            Err(error) => {
                assert!(json.pointer(&error.pointer).is_some(), "{error} is not in {json}");
                return;
            }
        };
        read.set(read.get() + 1);
        let written = serde_json::to_value(&filter).unwrap();
        assert_eq!((&written, Filter::try_from(written.clone()).unwrap()), (&json, filter.clone()));
        let headers = [("X-A".to_owned(), word.clone())];
        let attributes = BTreeMap::from([("a".to_owned(), word)]);
        let subject = Subject { body: &body, headers: &headers, query: Some(&query), attributes: &attributes };
        if let Ok(opposite) = Filter::try_from(serde_json::json!({ "$not": json })) {
            assert_ne!(filter.check(&subject).is_ok(), opposite.check(&subject).is_ok(), "{json}");
        }
    });
    assert!(read.get() > 20, "only {} of them were filters", read.get());
}
