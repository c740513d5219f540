//! Sets as publishers write them.

use serde_json::json;

use super::*;

fn text(length: usize, first: u8) -> String {
    let mut bytes = vec![1; length];
    bytes[0] = first;
    URL_SAFE_NO_PAD.encode(bytes)
}

fn kept(keys: &Value) -> Option<usize> {
    JwkSet::read(json!({ "keys": keys }).to_string().as_bytes()).map(|set| set.0.len())
}

#[test]
fn only_keys_that_we_can_and_may_use_are_kept() {
    let rsa = |n: String| json!({"kty": "RSA", "n": n, "e": "AQAB"});
    let ec = |crv: &str, length: usize| json!({"kty": "EC", "crv": crv, "x": text(length, 1), "y": text(length, 1)});
    let with = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": text(32, 1)});
    for (key, is_kept) in [
        (rsa(text(256, 0x80)), true),
        (rsa(text(257, 0)), false),
        (rsa(text(256, 0x7f)), false),
        (rsa(text(128, 0x80)), false),
        (rsa(String::new()), false),
        (rsa(text(257, 1)), true),
        (rsa(text(1024, 0x80)), true),
        (rsa(text(1025, 1)), false),
        (rsa("*".to_owned()), false),
        (json!({"kty": "RSA", "n": text(256, 0x80)}), false),
        (ec("P-256", 32), true),
        (ec("P-256", 31), false),
        (ec("P-256", 33), false),
        (ec("P-384", 48), true),
        (ec("P-384", 32), false),
        (ec("P-521", 66), false),
        (ec("secp256k1", 32), false),
        (json!({"kty": "EC", "crv": "P-256", "x": text(32, 1)}), false),
        (ed.clone(), true),
        (json!({"kty": "OKP", "crv": "X25519", "x": text(32, 1)}), false),
        (json!({"kty": "oct", "k": text(32, 1)}), false),
        (json!({"kty": "oct", "k": text(32, 1), "alg": "HS256"}), false),
        (with(ed.clone(), "use", json!("sig")), true),
        (with(ed.clone(), "use", json!("enc")), false),
        (with(ed.clone(), "key_ops", json!(["verify"])), true),
        (with(ed.clone(), "key_ops", json!(["encrypt"])), false),
        (with(ed.clone(), "alg", json!("EdDSA")), true),
        (with(ed.clone(), "alg", json!("HS256")), false),
        (with(ed.clone(), "alg", json!("none")), false),
        (with(ed.clone(), "kid", json!(1)), false),
        (with(ed, "x5c", json!(["what nobody asks for"])), true),
        (json!("no key"), false),
    ] {
        assert_eq!(kept(&json!([key])), Some(usize::from(is_kept)), "{key}");
    }
}

#[test]
fn a_set_is_bounded_and_one_bad_key_does_not_spoil_it() {
    let good = json!({"kty": "OKP", "crv": "Ed25519", "x": text(32, 1)});
    assert_eq!(kept(&json!([{"kty": "oct"}, good])), Some(1));
    assert_eq!(kept(&json!(vec![good; 101])), Some(100));
    assert_eq!(kept(&json!([])), Some(0));
    assert_eq!(kept(&json!("keys")), None);
    for body in ["", "{}", "[]", "<html>"] {
        assert!(JwkSet::read(body.as_bytes()).is_none(), "{body}");
    }
}
