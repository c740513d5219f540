//! Verifies what was signed and nothing else, whatever the scheme.
//!
//! Input: a preset's name or a verification in JSON; letters that bend it; a request, which an honest sender signs; after a
//! line `=====` another, which a stranger sends who saw the first: in it, `$S` and `$T` are its signature and time, and `$H`
//! is half of the signature.

#![no_main]

use fuzz::expected;
use fuzz::scheme::{Letters, Scheme};
use fuzz::sender::{EXTERNAL, SECRETS, Signed, keys, sign, strangers};
use fuzz::sent::{NOW, Sent, filled, halves, line};
use fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;
use relay::verification::{From, Keys, Verification};

fuzz_target!(|input: &[u8]| {
    let (scheme, rest) = line(input);
    let (letters, requests) = line(rest);
    let mut letters = Letters(letters);
    let Some(mut scheme) = Scheme::read(scheme) else { return };
    scheme.bend(&mut letters);
    let verification = scheme.verification();
    reads_back(&verification);
    let keys = keys(&scheme, &mut letters);
    let (first, second) = halves(requests, b"\n=====\n");
    let unsigned = Sent::read(first, NOW);
    assert!(verdict(&verification, &unsigned, &keys).is_err(), "nobody signed this: {unsigned:?}");
    let signed = sign(&scheme, unsigned, &mut letters);
    if let Some(signed) = &signed {
        is_taken_if_good(&verification, signed, &keys);
    }
    let Some(second) = second else { return };
    let tolerance = 1000 * scheme.hmac.timestamp.as_ref().map_or(0, |timestamp| i64::from(timestamp.tolerance_s));
    let later = letters.pick(&[0, 1000, -1000, tolerance, tolerance + 1, -tolerance, -tolerance - 1]).unwrap_or(0);
    let stranger = Sent::read(&informed(second, signed.as_ref()), NOW + later);
    if verdict(&verification, &stranger, &keys).is_ok() {
        assert!(second.windows(2).any(|mark| mark == b"$S"), "no signature: {verification:?} {stranger:?}");
        let signed = signed.expect("nobody signed anything");
        is_what_was_signed(&scheme, &signed, &stranger);
        let is_recent = scheme.hmac.timestamp.is_none() || later.abs() <= tolerance;
        assert!(verification.check().is_err() || is_recent, "stale: {verification:?} {signed:?} {stranger:?}");
    }
});

fn is_taken_if_good(verification: &Verification, signed: &Signed, keys: &Keys) {
    let said = verdict(verification, &signed.sent, keys);
    if !signed.message.is_complete {
        assert!(said.is_err(), "incomplete: {verification:?} {signed:?}");
    } else if verification.check().is_ok() {
        assert_eq!(said, Ok(Some(SECRETS.ours)), "{verification:?} {signed:?}");
    }
    assert!(verdict(verification, &signed.sent, &strangers()).is_err(), "under nobody's key: {signed:?}");
}

fn reads_back(verification: &Verification) {
    let written = serde_json::to_value(verification).expect("it is data");
    assert_eq!(serde_json::from_value::<Verification>(written).ok().as_ref(), Some(verification));
}

/// What the stranger makes of having seen the first request.
fn informed(request: &[u8], seen: Option<&Signed>) -> Vec<u8> {
    let Some(seen) = seen else { return request.to_vec() };
    filled(request, &[(b"$S", &seen.signature), (b"$H", &seen.half), (b"$T", &seen.time)])
}

fn is_what_was_signed(scheme: &Scheme, signed: &Signed, stranger: &Sent) {
    let parts = expected::parts(&scheme.hmac.signed.to_string()).unwrap_or_default();
    let message = expected::message(&parts, stranger, scheme.hmac.public_url.as_deref(), &signed.time);
    assert_eq!(message, signed.message, "{scheme:?} {signed:?} {stranger:?}");
    let signature = &scheme.hmac.signature;
    assert!(signature.from != From::Header || stranger.header(&signature.name).is_some(), "{scheme:?} {stranger:?}");
    for equal in scheme.hmac.also_equal.iter() {
        let value = equal.value.as_deref().unwrap_or(EXTERNAL).as_bytes();
        assert_eq!(stranger.header(&equal.header), Some(value), "{scheme:?} {stranger:?}");
    }
}
