use std::net::Ipv4Addr;

use poem::http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use super::*;
use crate::property::{nearly, of_each};

fn stranger() -> impl Strategy<Value = IpAddr> {
    let address = (11_u8..=255, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d));
    (address, any::<bool>()).prop_map(|(v4, is_mapped)| if is_mapped { v4.to_ipv6_mapped().into() } else { v4.into() })
}

fn headers<'a>(lines: impl IntoIterator<Item = &'a String>) -> HeaderMap {
    let values = lines.into_iter().filter_map(|line| HeaderValue::from_bytes(line.as_bytes()).ok());
    values.map(|value| (poem::http::header::HeaderName::from_static("x-forwarded-for"), value)).collect()
}

/// What it says of itself stands on the left, in lines of its own or in the same.
#[test]
fn nobody_is_taken_for_another_whatever_they_say_of_themselves() {
    let ours: TrustedProxies = "10.0.0.0/8".parse().unwrap();
    let invented = vec(nearly("((1[0-2])(\\.[0-9]{1,3}){3}(:[0-9]{2})?, ?){0,2}"), 0..3);
    let hops = vec(any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(10, b, c, d)), 1..4);
    of_each(
        (invented, stranger(), hops, any::<[bool; 3]>()),
        |(mut lines, client, hops, [is_apart, has_port, is_spaced])| {
            let said = match client {
                address if !has_port => address.to_string(),
                address => SocketAddr::new(address, 4711).to_string(),
            };
            let (peer, between) = hops.split_last().unwrap();
            let told: Vec<String> = [said].into_iter().chain(between.iter().map(ToString::to_string)).collect();
            match is_apart {
                true => lines.extend(told),
                false => lines.push(told.join(if is_spaced { ", " } else { "," })),
            }
            assert_eq!(ours.client((*peer).into(), &headers(&lines)), client.to_canonical());
        },
    );
}

#[test]
fn a_stranger_who_comes_without_a_proxy_is_who_he_is() {
    let ours: TrustedProxies = "10.0.0.0/8".parse().unwrap();
    of_each((stranger(), vec(nearly("([0-9]{1,3}\\.){3}[0-9]{1,3}"), 0..3)), |(peer, lines)| {
        assert_eq!(ours.client(peer, &headers(&lines)), peer.to_canonical());
    });
}
