//! The way out: what destinations may be, and whether names and the proxy answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use relay::egress::{Egress, Guard, Lookup, OwnAddress, SystemLookup};

use super::finding::{Finding, story};
use super::{listener, url};
use crate::serve::Settings;

/// What is needed to go out as the relay does.
pub(super) struct WayOut {
    pub(super) guard: Arc<Guard>,
    pub(super) lookup: Arc<SystemLookup>,
    pub(super) egress: Egress,
    /// A proxy looks names up.
    pub(super) is_proxied: bool,
}

pub(super) async fn examine(settings: &Settings, wanted: Option<&str>) -> Vec<Finding> {
    let mut findings = vec![networks(settings), plain(settings)];
    let way = match open(settings) {
        Ok(way) => way,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    findings.push(if way.is_proxied { proxy(&way).await } else { resolver(&way).await });
    if let Some(wanted) = wanted {
        findings.extend(url::examine(&way, wanted).await);
    }
    findings
}

/// Where an instance of a cloud is told its secrets.
const METADATA: &str = "169.254.169.254";

fn networks(settings: &Settings) -> Finding {
    const CHECK: &str = "egress-allow";
    let allow = &settings.egress.allow;
    let inside = [METADATA, "127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().expect("it is an address"));
    if allow.iter().any(|network| network.prefix_len() == 0) {
        return Finding::problem(
            CHECK,
            "destinations may be anywhere, this machine and your cloud's metadata included: nothing is guarded",
            "name only networks where destinations really are in HOOKYARD_EGRESS_ALLOW",
        );
    }
    let reached = inside.iter().find(|address| allow.iter().any(|network| network.contains(*address)));
    match (reached, allow.len()) {
        (Some(address), _) if listener::is_public(settings) => Finding::warning(
            CHECK,
            format!("tenants' destinations may be at {address}, in a relay that others reach"),
            "take that network out of HOOKYARD_EGRESS_ALLOW",
        ),
        (_, 0) => Finding::ok(CHECK, "only public addresses may be destinations"),
        (_, count) => Finding::ok(CHECK, format!("public addresses may be destinations, and {count} networks besides")),
    }
}

fn plain(settings: &Settings) -> Finding {
    const CHECK: &str = "egress-http";
    match settings.egress.http {
        false => Finding::ok(CHECK, "destinations are https"),
        true if listener::is_public(settings) => Finding::warning(
            CHECK,
            "destinations may be plain http, in a relay that others reach: events can be read and changed on the way",
            "take HOOKYARD_EGRESS_HTTP away, unless all such destinations are inside a network of your own",
        ),
        true => Finding::ok(CHECK, "destinations may be plain http, in a relay of this machine only"),
    }
}

fn open(settings: &Settings) -> Result<WayOut, Finding> {
    let own = settings.http.public_url.as_ref().and_then(OwnAddress::of);
    let guard = Arc::new(Guard::new(&settings.egress, own.into_iter().collect()));
    let lookup = SystemLookup::new().map_err(|error| {
        let mend = "see that /etc/resolv.conf can be read and names a name server";
        Finding::problem(RESOLVER, format!("names cannot be looked up: {}", story(&error)), mend)
    })?;
    let lookup = Arc::new(lookup);
    let egress = Egress::new(&settings.egress, Arc::clone(&guard), Arc::<SystemLookup>::clone(&lookup));
    let egress = egress.map_err(|error| {
        let mend = "set HOOKYARD_EGRESS_PROXY as http://user:password@host:port, and no HOOKYARD_EGRESS_HTTP beside it";
        Finding::problem(PROXY, story(&error), mend)
    })?;
    Ok(WayOut { guard, lookup, egress, is_proxied: settings.egress.proxy.is_some() })
}

const RESOLVER: &str = "resolver";
const PROXY: &str = "egress-proxy";
/// Any name that is there; what matters is that somebody answers.
const SOME_NAME: &str = "example.com";
/// As an attempt gives a name.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

async fn resolver(way: &WayOut) -> Finding {
    let why = match tokio::time::timeout(PATIENCE, way.lookup.lookup(SOME_NAME)).await {
        Ok(Ok(_)) => return Finding::ok(RESOLVER, "the system's name servers answer"),
        Ok(Err(error)) => story(&error),
        Err(_) => "no answer in time".to_owned(),
    };
    Finding::warning(
        RESOLVER,
        format!("the system's name servers do not answer for {SOME_NAME}: {why}"),
        "see that those in /etc/resolv.conf are reached from here; destinations with a name are unreachable else",
    )
}

async fn proxy(way: &WayOut) -> Finding {
    match way.egress.check_proxy().await {
        Some(Err(error)) => Finding::problem(
            PROXY,
            error.to_string(),
            "see that it runs, is reached from here, and knows the user and the password in HOOKYARD_EGRESS_PROXY",
        ),
        _ => Finding::ok(PROXY, "the proxy answers"),
    }
}
