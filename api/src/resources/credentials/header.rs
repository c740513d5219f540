//! Which headers can hold a key.

use poem::http::HeaderName;

use crate::error::Error;

/// They say how the request is framed, sent on or read, or hold many values: none of them can be a key.
const TAKEN: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
];

/// The header's name in lower case, if a key can stand there. `authorization` is one: some providers send their secret
/// there as it is.
pub(super) fn checked(name: &str) -> Result<String, Error> {
    let refused = |why| Error::field("/header", why);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("is not the name of a header"))?;
    if TAKEN.contains(&name.as_str()) {
        return Err(refused("has a meaning of its own in HTTP: a key cannot stand there"));
    }
    Ok(name.as_str().to_owned())
}

/// Refuses what no header can hold, or would lose on the way.
pub(super) fn check_value(value: &str, pointer: &str) -> Result<(), Error> {
    let is_fit = value.trim() == value && !value.chars().any(char::is_control);
    if is_fit {
        return Ok(());
    }
    Err(Error::field(
        pointer,
        "must not begin or end with a space, nor contain a control character: it stands in a header",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_a_header_that_means_nothing_else() {
        for (name, checked_as) in [
            ("X-Api-Key", Some("x-api-key")),
            ("Authorization", Some("authorization")),
            ("x_key", Some("x_key")),
            ("", None),
            ("x key", None),
            ("x-schlüssel", None),
            ("x:y", None),
            ("Host", None),
            ("content-length", None),
            ("Transfer-Encoding", None),
            ("Connection", None),
            ("cookie", None),
        ] {
            assert_eq!(checked(name).ok().as_deref(), checked_as, "{name}");
        }
    }

    #[test]
    fn what_a_header_cannot_hold_is_refused() {
        for (value, is_fit) in [("a", true), ("a b", true), ("ä", true), (" a", false), ("a ", false), ("a\nb", false)]
        {
            assert_eq!(check_value(value, "/key").is_ok(), is_fit, "{value:?}");
        }
    }
}
