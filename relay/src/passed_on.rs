//! Which of a provider's headers no delivery takes along, whatever a source names.

/// What only concerns the connection to us, what is a secret between the provider and us, and what a delivery says in its
/// own words.
const NEVER: [&str; 13] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const NEVER_PREFIXES: [&str; 2] = ["hookyard-", "proxy-"];

/// Whether a header of this name, in any case, is never passed on.
#[must_use]
pub fn is_never_passed_on(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NEVER.contains(&name.as_str()) || NEVER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset;

    #[test]
    fn what_is_ours_or_the_connections_stays_behind() {
        for (name, stays) in [
            ("authorization", true),
            ("Transfer-Encoding", true),
            ("Proxy-Connection", true),
            ("HOOKYARD-hops", true),
            ("proxyless", false),
            ("hookyard", false),
            ("x-authorization", false),
            ("tea", false),
            ("content-type", false),
            ("content-encoding", false),
            ("webhook-id", false),
        ] {
            assert_eq!(is_never_passed_on(name), stays, "{name}");
        }
    }

    #[test]
    fn no_preset_names_what_is_never_passed_on() {
        for preset in preset::all() {
            let never: Vec<_> = preset.forward_headers.iter().filter(|name| is_never_passed_on(name)).collect();
            assert!(never.is_empty(), "{}: {never:?}", preset.name);
        }
    }
}
