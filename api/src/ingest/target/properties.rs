use form_urlencoded::parse;

use super::*;
use crate::property::{nearly, of_each};

#[test]
fn a_path_is_split_without_loss_or_not_at_all() {
    of_each(nearly("/in(/[a-z]{0,2}){0,4}"), |path| {
        let segments: Vec<&str> = path.splitn(5, '/').collect();
        let is_ours = matches!(segments[..], ["", "in", slug, key, ..] if !slug.is_empty() && !key.is_empty());
        let whole = parts(&path).map(|(slug, key, rest)| format!("/in/{slug}/{key}{rest}"));
        assert_eq!(whole, is_ours.then_some(path));
    });
}

#[test]
fn a_query_is_kept_as_it_was_sent_but_for_what_is_secret() {
    let item = "(token|t%6fken|%74oken|to\\+ken|a|%zz)?(=(x|%20|=)?)?";
    of_each(nearly(format!("({item}&){{0,3}}{item}").as_str()), |query| {
        let kept = redacted(&query, &["token"]);
        assert_eq!(query.split('&').count(), kept.split('&').count());
        for (before, after) in query.split('&').zip(kept.split('&')) {
            let is_secret = parse(before.as_bytes()).any(|(name, _)| name == "token");
            assert!(before == after || is_secret, "{before} is {after}");
            assert!(!is_secret || parse(after.as_bytes()).all(|(_, value)| value == REDACTED), "{before} is {after}");
        }
        assert_eq!(redacted(&kept, &["token"]), kept);
    });
}
