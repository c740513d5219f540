use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::place::Place;
use crate::verification::Verification;

mod vectors;

static NO_HEADERS: std::sync::LazyLock<http::HeaderMap> = std::sync::LazyLock::new(http::HeaderMap::new);

/// A request that is nothing but a body.
pub(super) fn inbound(body: &[u8]) -> Inbound<'_> {
    Inbound { method: "POST", headers: &NO_HEADERS, path: "", query: None, body }
}

#[test]
fn a_preset_is_found_by_its_name_only() {
    let names: Vec<_> = all().map(|preset| preset.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for preset in all() {
        assert_eq!(find(preset.name).map(|found| found.title), Some(preset.title));
    }
    assert!(find("hookyard").is_some() && !names.contains(&"hookyard"), "it is built in, and not to be had");
    for name in ["", "Ondato", "ondato "] {
        assert!(find(name).is_none(), "{name}");
    }
}

/// `design/api.md` has this list.
const NAMES: &str = "ondato, waldo, stripe, github, gitlab, bitbucket, shopify, slack, twilio, square, paddle, paypal, \
    zoom, linear, intercom, mailgun, sendgrid, twitch, discord, meta, onfido, sumsub, veriff, persona, hookdeck, vercel, \
    woocommerce, webflow, x, svix, standard-webhooks, ms-graph, event-grid, cloudevents, okta, generic";

#[test]
fn every_promised_preset_is_there() {
    let promised: BTreeSet<_> = NAMES.split(", ").collect();
    assert_eq!(all().map(|preset| preset.name).collect::<BTreeSet<_>>(), promised);
}

#[test]
fn every_place_is_one() {
    for preset in all() {
        let places = &preset.extract;
        let named = [places.event_type, places.external_id, places.occurred_at, places.request_id];
        for place in named.into_iter().flatten().chain(places.attributes.iter().map(|(_, place)| *place)) {
            let read = place.parse::<Find>().unwrap_or_else(|_| panic!("{}: {place}", preset.name));
            assert_eq!(read.to_string(), place, "{}", preset.name);
        }
    }
}

#[test]
fn forwarded_headers_are_headers_in_lower_case() {
    for preset in all() {
        let mut seen = BTreeSet::new();
        for name in preset.forward_headers {
            let read: HeaderName = name.parse().unwrap();
            assert!(read.as_str() == *name && seen.insert(name), "{}: {name}", preset.name);
        }
    }
}

/// The first sample of a preset, with something in the headers that are the only places of a type or id.
#[test]
fn a_sample_has_a_type_and_an_id() {
    for preset in all() {
        let extract = Extract::of(preset, &Extract::default());
        let own = preset.event_types.first().and_then(|event_type| event_type.samples.first().copied());
        let sample = own.unwrap_or(preset.sample).as_bytes();
        let mut headers = HeaderMap::new();
        for find in [&extract.event_type, &extract.external_id].into_iter().flatten() {
            headers.extend(only_headers(find));
        }
        let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body: sample };
        let read = extract.read(preset, &inbound);
        assert!(read.event_type.is_some() || extract.event_type.is_none(), "{}", preset.name);
        assert!(read.external_id.is_some() || extract.external_id.is_none(), "{}", preset.name);
        let known =
            |name: &String| name == "said" || preset.event_types.is_empty() || preset.event_type(name).is_some();
        assert!(read.event_type.is_none_or(|name| known(&name)), "{}", preset.name);
    }
}

fn only_headers(find: &Find) -> Vec<(HeaderName, HeaderValue)> {
    let header = |place: &Place| match place {
        Place::Header(name) => Some((name.parse().unwrap(), HeaderValue::from_static("said"))),
        _ => None,
    };
    find.ways().iter().flatten().map(header).collect::<Option<_>>().unwrap_or_default()
}

#[test]
fn a_repeat_can_be_told() {
    for preset in all().filter(|preset| preset.name != "generic") {
        let by_id = preset.dedupe.by == DedupeBy::ExternalId;
        assert!(!by_id || preset.extract.external_id.is_some(), "{}", preset.name);
        assert!(preset.dedupe.by == DedupeBy::None || preset.dedupe.window_s >= 86_400, "{}", preset.name);
    }
}

#[test]
fn a_catalogue_names_each_type_once_and_explains_it() {
    for preset in all() {
        let mut seen = BTreeSet::new();
        for EventType { name, description, .. } in preset.event_types {
            assert!(seen.insert(name) && !name.is_empty(), "{}: {name}", preset.name);
            assert!(description.ends_with('.'), "{}: {name}: {description}", preset.name);
        }
    }
}

#[test]
fn there_are_credentials_for_every_scheme() {
    for preset in all() {
        let mut names = BTreeSet::new();
        for scheme in preset.schemes {
            assert!(names.insert(scheme.name), "{}: {}", preset.name, scheme.name);
            let fit: &[Authentication] = match &scheme.verification {
                Verification::Hmac(_) | Verification::Twilio(_) => &[Authentication::Hmac],
                Verification::Ed25519(_) | Verification::Ecdsa(_) => &[Authentication::PublicKey],
                Verification::Paypal {} => &[Authentication::External],
                Verification::Token(_) => &[Authentication::VerifyToken],
                Verification::Credentials {} => &[Authentication::ApiKey, Authentication::Basic],
                other => panic!("{}: {other:?}", preset.name),
            };
            assert!(fit.iter().any(|kind| preset.authentication.contains(kind)), "{}: {}", preset.name, scheme.name);
        }
    }
}

#[test]
fn every_scheme_reads_back_as_the_api_has_it() {
    for preset in all() {
        for scheme in preset.schemes {
            let text = serde_json::to_string(&scheme.verification).unwrap();
            let read: Verification = serde_json::from_str(&text).unwrap();
            assert_eq!(read, scheme.verification, "{} {}", preset.name, scheme.name);
        }
    }
}

#[test]
fn source_addresses_are_addresses() {
    for address in all().flat_map(|preset| preset.source_addresses) {
        let is_network = address.parse::<ipnet::IpNet>().is_ok();
        assert!(is_network || address.parse::<std::net::IpAddr>().is_ok(), "{address}");
    }
}

#[test]
fn a_preset_that_proves_nothing_asks_the_source_to_say_so() {
    for preset in all() {
        let proves_nothing = ["generic", "waldo"].contains(&preset.name);
        assert_eq!(preset.default_verification().is_none(), proves_nothing, "{}", preset.name);
    }
}
