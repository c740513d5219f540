//! What the machine gives: descriptors, and authorities to trust.

use relay::egress::system_roots;
use relay::process::descriptors;

use super::finding::Finding;

/// The most connections that an api takes; half of all descriptors are for them.
const CONNECTIONS: usize = 10_000;

pub(super) fn examine() -> Vec<Finding> {
    vec![files(descriptors()), roots(system_roots())]
}

fn files(allowed: usize) -> Finding {
    const CHECK: &str = "descriptors";
    let connections = (allowed / 2).min(CONNECTIONS);
    if connections == CONNECTIONS {
        return Finding::ok(CHECK, format!("enough for {CONNECTIONS} connections at a time"));
    }
    Finding::warning(
        CHECK,
        format!(
            "a process started from here may open {allowed} files, so an api takes {connections} connections at a time"
        ),
        "raise the limit: LimitNOFILE=65536 in a systemd unit, `ulimit -Hn 65536` in a shell",
    )
}

fn roots(count: usize) -> Finding {
    const CHECK: &str = "authorities";
    match count {
        0 => Finding::problem(
            CHECK,
            "this machine trusts no certificate authority: no https destination can be reached",
            "install ca-certificates, or set SSL_CERT_FILE to a PEM file of authorities",
        ),
        count => Finding::ok(CHECK, format!("this machine trusts {count} certificate authorities")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_connections() {
        for (allowed, verdict) in [(1_024, "warning"), (19_999, "warning"), (20_000, "ok"), (usize::MAX, "ok")] {
            assert_eq!(files(allowed).told(), ("descriptors", verdict), "{allowed}");
        }
        assert_eq!([roots(0).told().1, roots(1).told().1], ["problem", "ok"]);
    }
}
