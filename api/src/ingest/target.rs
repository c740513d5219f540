//! Where a webhook was sent: what its path names, and its query as it is kept.

use relay::stored::REDACTED;
use url::form_urlencoded;

/// Tenant, source key and what follows, of `/in/{tenant}/{source_key}…`.
#[must_use]
pub fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let (slug, rest) = path.strip_prefix("/in/")?.split_once('/')?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (key, rest) = rest.split_at(end);
    (!slug.is_empty() && !key.is_empty()).then_some((slug, key, rest))
}

/// A query as it was sent, with the values of these items struck out, however their names are written.
#[must_use]
pub fn redacted(query: &str, secret: &[&str]) -> String {
    let kept = |item: &str| {
        let raw = item.split('=').next().unwrap_or(item);
        let name = form_urlencoded::parse(raw.as_bytes()).next().map(|(name, _)| name.into_owned());
        let is_secret = name.is_some_and(|name| secret.contains(&&*name));
        if is_secret { format!("{raw}={REDACTED}") } else { item.to_owned() }
    };
    query.split('&').map(kept).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_tenant_and_key_and_keeps_what_follows() {
        for (path, expected) in [
            ("/in/acme/k7", Some(("acme", "k7", ""))),
            ("/in/acme/k7/", Some(("acme", "k7", "/"))),
            ("/in/acme/k7/a/b", Some(("acme", "k7", "/a/b"))),
            ("/in/acme/", None),
            ("/in/acme", None),
            ("/in//k7", None),
            ("/inn/acme/k7", None),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
    }

    #[test]
    fn a_secret_in_the_query_is_struck_out_however_it_is_written() {
        for (sent, kept) in [
            ("a=1&token=secret&b=%20", "a=1&token=[redacted]&b=%20"),
            ("to%6ben=secret&token", "to%6ben=[redacted]&token=[redacted]"),
            ("token=a=b&token=", "token=[redacted]&token=[redacted]"),
            ("tokens=1&Token=2&=token", "tokens=1&Token=2&=token"),
            ("", ""),
            ("&&", "&&"),
        ] {
            assert_eq!(redacted(sent, &["token"]), kept, "{sent}");
        }
        assert_eq!(redacted("token=x", &[]), "token=x");
    }
}
