//! What holds of what.

use serde_json::json;

use super::*;

/// An event of which only this much is said.
#[derive(Default)]
struct Event {
    body: String,
    headers: Vec<(String, String)>,
    query: Option<String>,
    attributes: BTreeMap<String, String>,
}

impl Event {
    fn with_body(body: &str) -> Self {
        Self { body: body.to_owned(), ..Self::default() }
    }

    fn with_query(query: &str) -> Self {
        Self { query: Some(query.to_owned()), ..Self::default() }
    }

    fn with_headers(headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { headers: headers.collect(), ..Self::default() }
    }

    fn passes(&self, filter: &Value) -> bool {
        let Self { body, headers, query, attributes } = self;
        let subject = Subject { body: body.as_bytes(), headers, query: query.as_deref(), attributes };
        let filter = Filter::try_from(filter.clone()).unwrap_or_else(|error| panic!("{error}"));
        filter.check(&subject).is_ok()
    }
}

/// What can stand at a pointer, as it is written; first, nothing.
const VALUES: [&str; 20] = [
    "",
    "null",
    "true",
    "false",
    "0",
    "1",
    "1.0",
    "-1.5",
    "1e2",
    r#""""#,
    r#""1""#,
    r#""abc""#,
    r#""\u0061bc\ud83d\ude00""#,
    r#""Abc""#,
    r#""2026-05-01T10:00:00Z""#,
    "[]",
    LIST,
    TEXTS,
    "{}",
    r#"{"abc": 1, "$eq": 1}"#,
];
const LIST: &str = r#"[[1], null, 1.0, {"a": false}, "abc"]"#;
const TEXTS: &str = r#"["1", "abcd", "\u00e9", true]"#;

const ABSENT: &str = "";
const EMPTY: &str = r#""""#;
const ONE: &str = r#""1""#;
const ABC: &str = r#""abc""#;
const ESCAPED: &str = r#""\u0061bc\ud83d\ude00""#;
const UPPER: &str = r#""Abc""#;
const TIME: &str = r#""2026-05-01T10:00:00Z""#;

fn all_but(others: &[&str]) -> Vec<&'static str> {
    VALUES.into_iter().filter(|value| !others.contains(value)).collect()
}

/// Holds for these values at the pointer, and for no other.
fn holds_of(condition: &Value, values: &[&str]) {
    let filter = json!({"body": {"/a/0": condition}});
    for value in VALUES {
        let event = Event::with_body(&format!(r#"{{"b": 1, "a": [{value}]}}"#));
        assert_eq!(event.passes(&filter), values.contains(&value), "{condition} of {value}");
    }
}

#[test]
fn an_operator_holds_of_these_values_and_no_others() {
    for (condition, values) in [
        (json!(null), &["null"][..]),
        (json!(true), &["true"]),
        (json!(false), &["false"]),
        (json!(0), &["0"]),
        (json!(1), &["1", "1.0"]),
        (json!(1.0), &["1", "1.0"]),
        (json!(-1.5), &["-1.5"]),
        (json!(100), &["1e2"]),
        (json!(101), &[]),
        (json!(""), &[EMPTY]),
        (json!("1"), &[ONE]),
        (json!("abc"), &[ABC]),
        (json!("abc\u{1f600}"), &[ESCAPED]),
        (json!({"$eq": null}), &["null"]),
        (json!({"$eq": "Abc"}), &[UPPER]),
        (json!({"$in": ["abc", 1, null]}), &["null", "1", "1.0", ABC]),
        (json!({"$in": [true]}), &["true"]),
        (json!({"$gt": 0}), &["1", "1.0", "1e2"]),
        (json!({"$gt": 1.0}), &["1e2"]),
        (json!({"$gte": 1}), &["1", "1.0", "1e2"]),
        (json!({"$lt": 1}), &["0", "-1.5"]),
        (json!({"$lte": 1.0}), &["0", "1", "1.0", "-1.5"]),
        (json!({"$gt": "abc"}), &[ESCAPED]),
        (json!({"$gte": "abc"}), &[ABC, ESCAPED]),
        (json!({"$lt": "Abc"}), &[EMPTY, ONE, TIME]),
        (json!({"$lte": "Abc"}), &[EMPTY, ONE, UPPER, TIME]),
        (json!({"$gte": ""}), &[EMPTY, ONE, ABC, ESCAPED, UPPER, TIME]),
        (json!({"$gte": "2026-05-01", "$lt": "2026-05-02"}), &[TIME]),
        (json!({"$startsWith": "ab"}), &[ABC, ESCAPED]),
        (json!({"$startsWith": ""}), &[EMPTY, ONE, ABC, ESCAPED, UPPER, TIME]),
        (json!({"$startsWith": ["b", "2026-", "Abcd"]}), &[TIME]),
        (json!({"$endsWith": "bc"}), &[ABC, UPPER]),
        (json!({"$endsWith": ["Z", "\u{1f600}", "1"]}), &[ONE, ESCAPED, TIME]),
        (json!({"$contains": "bc"}), &[ABC, ESCAPED, UPPER]),
        (json!({"$contains": "abc"}), &[ABC, ESCAPED, LIST]),
        (json!({"$contains": "1"}), &[ONE, TIME, TEXTS]),
        (json!({"$contains": "\u{e9}"}), &[TEXTS]),
        (json!({"$contains": 1}), &[LIST]),
        (json!({"$contains": null}), &[LIST]),
        (json!({"$contains": true}), &[TEXTS]),
        (json!({"$contains": false}), &[]),
        (json!({"$exists": false}), &[ABSENT]),
        (json!({"$and": ["abc", {"$ne": "b"}]}), &[ABC]),
        (json!({"$or": ["abc", {"$gt": 1}, {"$exists": false}]}), &[ABSENT, "1e2", ABC]),
        (json!({"$or": ["abc"], "$gt": "abc"}), &[]),
        (json!({"$not": {"$exists": true}}), &[ABSENT]),
    ] {
        holds_of(&condition, values);
    }
}

#[test]
fn a_negative_holds_of_all_else_and_of_what_is_absent() {
    for (condition, others) in [
        (json!({"$ne": null}), &["null"][..]),
        (json!({"$ne": 1}), &["1", "1.0"]),
        (json!({"$ne": "1"}), &[ONE]),
        (json!({"$ne": false}), &["false"]),
        (json!({"$nin": ["abc", 1, null]}), &["null", "1", "1.0", ABC]),
        (json!({"$nin": [false]}), &["false"]),
        (json!({"$exists": true}), &[ABSENT]),
        (json!({"$not": "abc"}), &[ABC]),
        (json!({"$not": {"$gt": 0}}), &["1", "1.0", "1e2"]),
        (json!({"$not": {"$gt": 0, "$lt": 100}}), &["1", "1.0"]),
        (json!({"$not": {"$contains": "abc"}, "$exists": true}), &[ABSENT, ABC, ESCAPED, LIST]),
        (json!({"$not": {"$not": {"$ne": 0}}}), &["0"]),
        (json!({"$and": [{"$ne": 0}, {"$ne": "1"}]}), &["0", ONE]),
        (json!({"$or": [{"$ne": 0}, {"$ne": "1"}]}), &[]),
    ] {
        holds_of(&condition, &all_but(others));
    }
}

#[test]
fn a_pointer_leads_into_the_body() {
    for (body, pointer, condition, passes) in [
        (r#"{"a/b": {"~": 1}}"#, "/a~1b/~0", json!(1), true),
        (r#"{"": 1}"#, "/", json!(1), true),
        ("1", "", json!(1), true),
        ("[1]", "", json!({"$contains": 1}), true),
        ("{}", "", json!({"$exists": true}), true),
        (r#"{"a": 1, "a": 2}"#, "/a", json!(2), true),
        (r#"{"a": 1, "a": 2}"#, "/a", json!(1), false),
        (r#"{"a": {"b": 1}, "a": {}}"#, "/a/b", json!({"$exists": false}), true),
        (r#"{"A": 1}"#, "/a", json!({"$exists": false}), true),
        ("\u{feff}{\"a\": 1}", "/a", json!(1), true),
        (r#"{"a": "\ud83d"}"#, "/a", json!({"$exists": true, "$ne": "\u{fffd}"}), true),
        (r#"{"a": "\ud83d"}"#, "/a", json!({"$gte": ""}), false),
        (r#"{"a": ["\ud83d", "x"]}"#, "/a", json!({"$contains": "x"}), true),
        (r#"{"a": 1e400}"#, "/a", json!({"$gt": 1e15}), true),
        (r#"{"a": 9007199254740993}"#, "/a", json!(9_007_199_254_740_993_u64), true),
        (r#"{"a": 9007199254740993}"#, "/a", json!(9_007_199_254_740_992_u64), false),
        (r#"{"a": 18446744073709551616}"#, "/a", json!({"$gt": u64::MAX}), true),
        (r#"{"a": 0.30000000000000004}"#, "/a", json!(0.300_000_000_000_000_04), true),
        (r#"{"a": 0.30000000000000004}"#, "/a", json!({"$gt": 0.3}), true),
    ] {
        let filter = json!({"body": {pointer: condition}});
        assert_eq!(Event::with_body(body).passes(&filter), passes, "{filter} of {body}");
    }
}

#[test]
fn a_body_that_is_no_json_has_nothing_anywhere() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, is_absent) in [
        ("", true),
        ("a=1", true),
        (r#"{"a": 1"#, true),
        (r#"{"a": 1} 2"#, true),
        ("\u{feff}", true),
        (&deep, false),
        ("1", false),
    ] {
        let start: String = body.chars().take(10).collect();
        let event = Event::with_body(body);
        assert_eq!(event.passes(&json!({"body": {"": {"$exists": false}}})), is_absent, "{start}");
        assert!(event.passes(&json!({"body": {"/a": {"$exists": false, "$ne": 1, "$nin": [2]}}})), "{start}");
        assert!(!event.passes(&json!({"body": {"/a": null}})), "{start}");
    }
    let attributes = BTreeMap::new();
    let subject = Subject { body: b"\"\xff\"", headers: &[], query: None, attributes: &attributes };
    let filter = Filter::try_from(json!({"body": {"": {"$exists": true}}})).unwrap();
    assert!(filter.check(&subject).is_err());
}

/// Of what is no body: nothing, once, or several times.
const TEXTS_BY_NAME: [&[&str]; 12] = [
    &[],
    &[""],
    &["1"],
    &["1.0"],
    &["01"],
    &["+1"],
    &["abc"],
    &["true"],
    &["null"],
    &["1", "abc"],
    &["abc", "2", "abd"],
    &["TRUE", " 1"],
];

/// In headers, in the query and among the attributes, as far as names are repeated there.
fn holds_of_texts(condition: &Value, values: &[&[&str]]) {
    for texts in TEXTS_BY_NAME {
        let pairs: Vec<_> = texts.iter().map(|text| ("x-a", *text)).collect();
        let headers = [&[("x-b", "1")], &pairs[..], &[("x-c", "abc")]].concat();
        let items = pairs.iter().map(|(name, text)| format!("{name}={}", text.replace('+', "%2B").replace(' ', "+")));
        let query = items.collect::<Vec<_>>().join("&") + "&x-b=1&x-ab=abc";
        let attributes = pairs.iter().chain(&[("x-b", "1")]).map(|(name, text)| ((*name).into(), (*text).into()));
        for (section, event) in [
            ("headers", Event::with_headers(&headers)),
            ("query", Event::with_query(&query)),
            ("attributes", Event { attributes: attributes.collect(), ..Event::default() }),
        ] {
            if section == "attributes" && texts.len() > 1 {
                continue;
            }
            let filter = json!({section: {"x-a": condition}});
            assert_eq!(event.passes(&filter), values.contains(&texts), "{filter} of {texts:?}");
        }
    }
}

#[test]
fn a_text_is_also_the_number_that_it_spells_and_any_of_several_will_do() {
    let (one, one_float, abc) = (&["1"][..], &["1.0"][..], &["abc"][..]);
    let (one_and_abc, three, other) = (&["1", "abc"][..], &["abc", "2", "abd"][..], &["TRUE", " 1"][..]);
    for (condition, values) in [
        (json!("1"), &[one, one_and_abc][..]),
        (json!(1), &[one, one_float, one_and_abc]),
        (json!(1.0), &[one, one_float, one_and_abc]),
        (json!(""), &[&[""]]),
        (json!(true), &[&["true"]]),
        (json!("true"), &[&["true"]]),
        (json!(false), &[]),
        (json!(null), &[]),
        (json!("null"), &[&["null"]]),
        (json!({"$in": ["abc", 2]}), &[abc, one_and_abc, three]),
        (json!({"$in": ["ABC", 3]}), &[]),
        (json!({"$gt": 1}), &[three]),
        (json!({"$gte": 1, "$lt": 2}), &[one, one_float, one_and_abc]),
        (json!({"$lte": 2}), &[one, one_float, one_and_abc, three]),
        (json!({"$gt": "abc"}), &[&["true"], &["null"], three]),
        (json!({"$lt": "1"}), &[&[""], &["01"], &["+1"], other]),
        (json!({"$lt": 2, "$startsWith": "ab"}), &[one_and_abc]),
        (json!({"$startsWith": "1"}), &[one, one_float, one_and_abc]),
        (json!({"$endsWith": ["bd", "LL", "RUE"]}), &[three, other]),
        (json!({"$contains": "b"}), &[abc, one_and_abc, three]),
        (json!({"$contains": 1}), &[]),
        (json!({"$exists": false}), &[&[]]),
        (json!({"$not": {"$exists": true}}), &[&[]]),
        (json!({"$not": {"$ne": "1"}}), &[one, one_and_abc]),
        (json!({"$or": [2, {"$eq": "01"}]}), &[&["01"], three]),
    ] {
        holds_of_texts(&condition, values);
    }
}

#[test]
fn a_negative_holds_if_none_of_several_is_meant() {
    for (condition, others) in [
        (json!({"$ne": "abc"}), &[&["abc"][..], &["1", "abc"], &["abc", "2", "abd"]][..]),
        (json!({"$ne": 1}), &[&["1"], &["1.0"], &["1", "abc"]]),
        (json!({"$ne": null}), &[]),
        (json!({"$nin": ["1", "01", 2]}), &[&["1"], &["01"], &["1", "abc"], &["abc", "2", "abd"]]),
        (json!({"$not": {"$startsWith": "ab"}}), &[&["abc"], &["1", "abc"], &["abc", "2", "abd"]]),
        (json!({"$exists": true}), &[&[]]),
    ] {
        let values: Vec<_> = TEXTS_BY_NAME.into_iter().filter(|texts| !others.contains(texts)).collect();
        holds_of_texts(&condition, &values);
    }
}

#[test]
fn names_are_found_as_they_are_told_apart_in_their_sections() {
    let headers = Event::with_headers(&[("X-Env", "live"), ("x-ENV", "test")]);
    for (name, passes) in [("x-env", true), ("X-ENV", true), ("x-en", false), ("x-env2", false)] {
        assert_eq!(headers.passes(&json!({"headers": {name: "live"}})), passes, "{name}");
        assert_eq!(headers.passes(&json!({"headers": {name: "test"}})), passes, "{name}");
    }
    let query = Event::with_query("a%20b=%C3%A9&c&d=e=f&&%24top=5");
    for (name, value, passes) in [
        ("a b", "\u{e9}", true),
        ("a%20b", "\u{e9}", false),
        ("A b", "\u{e9}", false),
        ("c", "", true),
        ("d", "e=f", true),
        ("$top", "5", true),
    ] {
        assert_eq!(query.passes(&json!({"query": {name: value}})), passes, "{name}");
    }
    assert!(Event::default().passes(&json!({"query": {"a": {"$exists": false}}})));
    let attributes = Event { attributes: BTreeMap::from([("a".into(), "b".into())]), ..Event::default() };
    for (name, passes) in [("a", true), ("A", false), ("b", false)] {
        assert_eq!(attributes.passes(&json!({"attributes": {name: "b"}})), passes, "{name}");
    }
}

#[test]
fn nothing_is_learned_of_a_secret() {
    let only = [("x-key", "[redacted]")];
    let beside = [("x-key", "[redacted]"), ("x-key", "known")];
    for (headers, query, is_known) in
        [(&only[..], "x-key=[redacted]", false), (&beside, "x-key=known&x-key=%5Bredacted%5D", true)]
    {
        for event in [Event::with_headers(headers), Event::with_query(query)] {
            let section = if event.query.is_some() { "query" } else { "headers" };
            for (condition, passes) in [
                (json!({"$exists": true}), is_known),
                (json!({"$exists": false}), !is_known),
                (json!("known"), is_known),
                (json!({"$contains": "["}), false),
                (json!("[redacted]"), false),
                (json!({"$ne": "[redacted]"}), true),
                (json!({"$gt": "["}), is_known),
            ] {
                let filter = json!({section: {"x-key": condition}});
                assert_eq!(event.passes(&filter), passes, "{filter}");
            }
        }
    }
    assert!(Event::with_headers(&[("x-key", "[redacted] ")]).passes(&json!({"headers": {"x-key": {"$exists": true}}})));
}

#[test]
fn everything_that_stands_there_must_hold() {
    let event = Event {
        body: r#"{"a": 1, "b": 2}"#.to_owned(),
        query: Some("x=4".to_owned()),
        attributes: BTreeMap::from([("x".to_owned(), "5".to_owned())]),
        ..Event::with_headers(&[("x", "3")])
    };
    let wanted = |[a, b, header, item, attribute]: [u8; 5]| {
        json!({
            "body": {"/a": a, "/b": b},
            "headers": {"x": header},
            "query": {"x": item},
            "attributes": {"x": attribute},
        })
    };
    assert!(event.passes(&wanted([1, 2, 3, 4, 5])));
    for wrong in 0..5 {
        let mut values = [1, 2, 3, 4, 5];
        values[wrong] = 0;
        assert!(!event.passes(&wanted(values)), "{wrong}");
    }
    for (filter, passes) in [
        (json!({"body": {"/a": 1}, "$or": [{"query": {"x": 0}}, {"headers": {"x": 3}}]}), true),
        (json!({"body": {"/a": 1}, "$or": [{"query": {"x": 0}}, {"headers": {"x": 0}}]}), false),
        (json!({"body": {"/a": 2}, "$or": [{"query": {"x": 4}}]}), false),
        (json!({"$and": [{"body": {"/a": 1}}, {"body": {"/a": {"$ne": 2}}}]}), true),
        (json!({"$and": [{"body": {"/a": 1}}, {"body": {"/a": 2}}]}), false),
        (json!({"$not": {"body": {"/a": 1, "/b": 1}}}), true),
        (json!({"$not": {"body": {"/a": 1, "/b": 2}}}), false),
        (json!({"$not": {"$or": [{"body": {"/a": 2}}, {"$not": {"body": {"/b": 2}}}]}}), true),
        (json!({"$or": [{"body": {"/a": 0}}, {"$and": [{"body": {"/a": 1}}, {"query": {"x": 4}}]}]}), true),
        (json!({"$or": [{"body": {"/a": 0}}, {"$and": [{"body": {"/a": 1}}, {"query": {"x": 0}}]}]}), false),
    ] {
        assert_eq!(event.passes(&filter), passes, "{filter}");
    }
}

#[test]
fn a_filter_reads_back_as_it_was_written() {
    for text in [
        r#"{"body":{"/Payload/status":{"$in":["Approved",1,1.5,null,true]}},"headers":{"X-Env":"live"}}"#,
        r#"{"$not":{"query":{"a":{"$exists":false}}},"attributes":{"a":{"$or":["b",{"$gt":0.30000000000000004}]}}}"#,
        r#"{"body":{"/a":18446744073709551615,"/b":-9223372036854775808,"/c":1.0,"/d":1e15,"/e":-0.0}}"#,
    ] {
        let filter: Filter = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&filter).unwrap();
        assert_eq!(written.parse::<Value>().unwrap(), text.parse::<Value>().unwrap());
        assert_eq!(serde_json::from_str::<Filter>(&written).unwrap(), filter);
        assert_eq!(filter.clone(), filter);
        assert_ne!(filter, Filter::try_from(json!({"query": {"a": 1}})).unwrap());
    }
    let refused = serde_json::from_str::<Filter>(r#"{"body": {"/a": {"$neq": 1}}}"#).unwrap_err();
    assert_eq!(refused.to_string(), "/body/~1a/$neq is no operator; write `$ne`");
}

/// How many bytes of JSON are gone through to find that the body passes.
fn walked(body: &str, filter: &Value) -> usize {
    let before = crate::json::WALKED.get();
    assert!(Event::with_body(body).passes(filter), "{filter}");
    crate::json::WALKED.get() - before
}

#[test]
fn a_body_is_gone_through_once_for_all_operators() {
    let names: Vec<String> = (0..16).map(|number| format!("/{}/a{number}", number % 4)).collect();
    let four = json!({"$exists": true, "$ne": "x", "$gte": "a", "$not": {"$startsWith": "b"}});
    let members: String = (0..16).map(|number| format!(r#""a{number}": "a\u0061","#)).collect();
    let padding = "0,".repeat(200_000);
    let body = format!(r#"[{}{padding}0]"#, format!(r#"{{{members}"b":[{padding}0]}},"#).repeat(4));
    let filter = json!({"body": names.iter().map(|name| (name.clone(), four.clone())).collect::<BTreeMap<_, _>>()});
    assert_eq!(walked(&body, &filter), body.len());
    assert_eq!(walked(&body, &json!({"query": {"a": {"$exists": false}}})), 0);
}

#[test]
fn a_list_is_gone_through_once_more_for_all_that_is_sought_in_it() {
    let list = format!("[{}7]", "0,".repeat(200_000));
    let body = format!(r#"{{"a":{list},"b":{list}}}"#);
    let two = [json!({"$contains": 7}), json!({"$not": {"$or": [{"$contains": 8}, {"$contains": "7"}]}})];
    for (filter, lists) in [
        (json!({"body": {"/a": {"$exists": true}}}), 0),
        (json!({"body": {"/a": {"$exists": true}, "/a/0": {"$not": {"$contains": "1"}}}}), 0),
        (json!({"body": {"/a": {"$and": two}}, "$or": [{"body": {"/a": {"$contains": 0}}}]}), 1),
        (json!({"body": {"/a": {"$and": two}, "/b": {"$contains": 0}}}), 2),
    ] {
        assert_eq!(walked(&body, &filter), body.len() + lists * list.len(), "{filter}");
    }
}
