//! Every case of `tests/data/ssrf-cases.json`, each at its layer: what the text of a URL says, what a name server answers,
//! what a listener says after its connection stands. (What a tenant may set as a header is judged in `crate::header`.)

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::{EgressSettings, Guard, OwnAddress, Url};

mod dns;
pub(super) mod listener;

#[derive(Debug, Clone, Deserialize)]
struct Case {
    id: String,
    url: String,
    verdict: String,
    layer: String,
    /// What each look-up in turn is answered.
    #[serde(default)]
    dns: Vec<Vec<IpAddr>>,
    #[serde(default)]
    cname: Vec<String>,
    rcode: Option<String>,
    response: Option<Answer>,
    tls: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Answer {
    status: u16,
    location: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn all() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/data/ssrf-cases.json")).unwrap()
}

fn of_layer(layer: &str) -> Vec<Case> {
    all().into_iter().filter(|case| case.layer == layer).collect()
}

/// Judges as an operator's does who set nothing but where the relay itself is.
fn guard() -> Guard {
    let own = OwnAddress::of(&Url::parse("https://ingest.our-relay.net/").unwrap()).unwrap();
    let addresses = vec!["203.0.113.10/32".parse().unwrap()];
    Guard::new(&EgressSettings { addresses, ..EgressSettings::default() }, vec![own])
}

#[test]
fn every_case_has_its_layer() {
    let mut layers: BTreeMap<String, usize> = BTreeMap::new();
    all().into_iter().for_each(|case| *layers.entry(case.layer).or_default() += 1);
    let layers: Vec<_> = layers.iter().map(|(layer, cases)| (layer.as_str(), *cases)).collect();
    let known = [
        ("dns", 18),
        ("header", 6),
        ("ip", 79),
        ("name", 22),
        ("port", 10),
        ("redirect", 5),
        ("response", 1),
        ("tls", 2),
        ("url", 30),
    ];
    assert_eq!(layers, known);
}

#[test]
fn the_text_of_a_url_is_judged_as_the_case_says() {
    let guard = guard();
    for case in ["url", "ip", "name", "port"].into_iter().flat_map(of_layer) {
        let verdict = guard.check_url(&case.url);
        assert_eq!(verdict.is_ok(), case.verdict == "allow", "{}: {} {verdict:?}", case.id, case.url);
    }
    // What the other layers are about does not show in the URL.
    for case in ["dns", "header", "redirect", "response", "tls"].into_iter().flat_map(of_layer) {
        assert!(guard.check_url(&case.url).is_ok(), "{}: {}", case.id, case.url);
    }
}
