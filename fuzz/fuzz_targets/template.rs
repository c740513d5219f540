//! Reads, checks and fills templates as their documentation has it.
//!
//! Input: a template; a request. `{header:x-time}` is when it was signed.

#![no_main]

use fuzz::expected;
use fuzz::scheme::{Letters, Scheme};
use fuzz::sender::{SECRETS, keys, sign};
use fuzz::sent::{NOW, Sent, line};
use fuzz::verdict::verdict;
use libfuzzer_sys::fuzz_target;
use relay::verification::Template;
use serde_json::json;

fuzz_target!(|input: &[u8]| {
    let (text, request) = line(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (template, parts) = (text.parse::<Template>(), expected::parts(text));
    assert_eq!(template.is_ok(), parts.is_some(), "{text}");
    assert_eq!(serde_json::from_value::<Template>(text.into()).ok(), template.as_ref().ok().cloned());
    let (Ok(template), Some(parts)) = (template, parts) else { return };
    assert_eq!(template.to_string().parse(), Ok(template.clone()), "{text}");

    let scheme = scheme(&template, parts.contains(&expected::Part::Time));
    let verification = scheme.verification();
    assert_eq!(verification.check().is_ok(), expected::is_fit(text, &parts), "{text}");
    let sent = Sent::read(request, NOW);
    let keys = keys(&scheme, &mut Letters(b""));
    match sign(&scheme, sent.clone(), &mut Letters(b"")) {
        Some(signed) => {
            let said = verdict(&verification, &signed.sent, &keys).ok();
            assert_eq!(said, signed.message.is_complete.then_some(Some(SECRETS.ours)), "{text} {signed:?}");
        }
        None => assert!(verdict(&verification, &sent, &keys).is_err(), "{text} {sent:?}"),
    }
});

fn scheme(template: &Template, has_time: bool) -> Scheme {
    let mut verification = json!({
        "kind": "hmac", "algorithm": "hmac-sha256", "signed": template,
        "signature": {"from": "header", "name": "x-sig", "parse": {"kind": "raw"}, "encoding": "hex"},
    });
    if has_time {
        verification["timestamp"] = json!({"from": "header:x-time", "unit": "s", "tolerance_s": 1});
    }
    let verification = serde_json::from_value(verification).expect("it is a verification");
    Scheme::of(verification).expect("it is a MAC")
}
