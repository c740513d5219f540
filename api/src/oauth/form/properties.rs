use secrecy::ExposeSecret;
use url::form_urlencoded::byte_serialize;

use super::*;
use crate::property::{nearly, of_each};

fn presented(pair: &str) -> Vec<(String, String)> {
    let presented = basic(&format!("Basic {}", STANDARD.encode(pair))).unwrap_or_default();
    presented.into_iter().map(|(id, secret)| (id, secret.expose_secret().to_owned())).collect()
}

#[test]
fn a_client_is_known_whether_it_encodes_what_it_joins_or_not() {
    of_each(("[^:]{0,6}", nearly("[a-z%+:&=0-9]{0,6}")), |(id, secret)| {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let client = (id.clone(), secret.clone());
        assert!(presented(&format!("{id}:{secret}")).contains(&client));
        assert_eq!(presented(&format!("{}:{}", encoded(&id), encoded(&secret))).first(), Some(&client));
    });
}

#[test]
fn no_parameter_counts_that_stands_there_twice() {
    of_each("(&?(client_id|client%5Fid|client_secret|grant_type|scope|x)(=[a-z]{0,2})?){0,4}", |body| {
        let names: Vec<_> =
            parse(body.as_bytes()).map(|(name, _)| name.into_owned()).filter(|name| name != "x").collect();
        let is_clear = (1..names.len()).all(|later| !names[..later].contains(&names[later]));
        let is_known = |name: &String| ["client_id", "client_secret", "grant_type", "scope"].contains(&name.as_str());
        if names.iter().all(is_known) {
            assert_eq!(Form::of(body.as_bytes()).is_ok(), is_clear);
        }
    });
}
