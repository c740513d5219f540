//! Splits the paths of webhooks without loss, and keeps no secret of their queries.
//!
//! Input: the names of secret items, between commas; `/path?query`.

#![no_main]

use api::ingest::target::{parts, redacted};
use fuzz::sent::line;
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded::parse;

fuzz_target!(|input: &[u8]| {
    let (names, target) = line(input);
    let (Ok(names), Ok(target)) = (std::str::from_utf8(names), std::str::from_utf8(target)) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    split(path);
    strike_out(query, &names.split(',').filter(|name| !name.is_empty()).collect::<Vec<_>>());
});

fn split(path: &str) {
    let pieces: Vec<_> = path.splitn(5, '/').collect();
    let expected = match pieces[..] {
        ["", "in", slug, key] if !slug.is_empty() && !key.is_empty() => Some((slug, key, String::new())),
        ["", "in", slug, key, rest] if !slug.is_empty() && !key.is_empty() => Some((slug, key, format!("/{rest}"))),
        _ => None,
    };
    let expected = expected.as_ref().map(|(slug, key, rest)| (*slug, *key, rest.as_str()));
    assert_eq!(parts(path), expected, "{path}");
}

fn strike_out(query: &str, secret: &[&str]) {
    let kept = redacted(query, secret);
    let is_secret = |name: &str| secret.contains(&name);
    for (before, after) in parse(query.as_bytes()).zip(parse(kept.as_bytes())) {
        assert_eq!(before.0, after.0, "{query} {kept}");
        let expected = if is_secret(&before.0) { "[redacted]" } else { &before.1 };
        assert_eq!(after.1, expected, "{query} {kept}");
    }
    assert_eq!(parse(query.as_bytes()).count(), parse(kept.as_bytes()).count(), "{query} {kept}");
    assert!(query.split('&').count() == kept.split('&').count(), "{query} {kept}");
    for (before, after) in query.split('&').zip(kept.split('&')) {
        let is_struck_out = parse(before.as_bytes()).any(|(name, _)| is_secret(&name));
        assert!(is_struck_out || before == after, "{query} {kept}");
    }
    assert_eq!(redacted(&kept, secret), kept, "{query}");
}
