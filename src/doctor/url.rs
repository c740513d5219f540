//! One destination, step by step as an attempt would go: may it be one, where does its name lead, does it answer.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use relay::egress::{FetchError, Lookup, SendError, Url};

use super::egress::{PATIENCE, WayOut};
use super::finding::{Finding, story};

const ALLOWED: &str = "url-allowed";
const RESOLVED: &str = "url-resolved";
const ANSWERED: &str = "url-answered";

/// Later steps are not made where an earlier one fails.
pub(super) async fn examine(way: &WayOut, wanted: &str) -> Vec<Finding> {
    let url = match way.guard.check_url(wanted) {
        Ok(url) => url,
        Err(refusal) => {
            let mend = "choose another URL, or have the setting allow it that is named here";
            return vec![Finding::problem(ALLOWED, format!("it may not be a destination: {refusal}"), mend)];
        }
    };
    let mut findings = vec![Finding::ok(ALLOWED, format!("{} may be a destination", place(&url)))];
    if let (Some(name), false) = (url.domain(), way.is_proxied) {
        match resolve(way, name, url.port_or_known_default().unwrap_or_default()).await {
            Ok(finding) => findings.push(finding),
            Err(finding) => {
                findings.push(finding);
                return findings;
            }
        }
    }
    findings.push(ask(way, &url).await);
    findings
}

/// Not the path: what stands there may be a secret.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

async fn resolve(way: &WayOut, name: &str, port: u16) -> Result<Finding, Finding> {
    let unresolved = |why: String| {
        let mend = "see that the name is spelt right, and that the name servers in /etc/resolv.conf know it";
        Finding::problem(RESOLVED, format!("{name} leads nowhere: {why}"), mend)
    };
    let answer = tokio::time::timeout(PATIENCE, way.lookup.lookup(name)).await;
    let addresses = answer.map_err(|_| unresolved("no answer in time".to_owned()))?;
    let addresses = addresses.map_err(|error| unresolved(story(&error)))?;
    if addresses.is_empty() {
        return Err(unresolved("the name has no address".to_owned()));
    }
    if let Some(refusal) = addresses.iter().find_map(|address| way.guard.check_address(*address, port).err()) {
        let mend = "have the name lead to public addresses only, or allow its network by HOOKYARD_EGRESS_ALLOW";
        return Err(Finding::problem(RESOLVED, format!("{name} leads to what may not be reached: {refusal}"), mend));
    }
    Ok(Finding::ok(RESOLVED, format!("{name} leads to {}", list(&addresses))))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is read of an answer, and how long it may take: an attempt takes no longer.
const CAP: usize = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(15);

async fn ask(way: &WayOut, url: &Url) -> Finding {
    let began = Instant::now();
    let answer = way.egress.fetch(url.as_str(), "*/*", CAP, TIMEOUT).await;
    let (took, is_https) = (began.elapsed().as_millis(), url.scheme() == "https");
    let answered = |what: String| {
        let tls = if is_https { "its certificate is good, and it " } else { "it " };
        Finding::ok(ANSWERED, format!("{tls}answers {what} to a GET, after {took} ms"))
    };
    let (why, mend) = match answer {
        Ok(_) | Err(FetchError::TooLong(_)) => return answered("200".to_owned()),
        Err(FetchError::Status(status)) => return answered(status.to_string()),
        Err(FetchError::Send(error)) => (error.to_string(), mend_of(&error)),
    };
    Finding::problem(ANSWERED, format!("{} does not answer: {why}", place(url)), mend)
}

fn mend_of(error: &SendError) -> &'static str {
    match error {
        SendError::TimedOut => {
            "see whether a firewall stands between this machine and it, and whether it answers others"
        }
        SendError::NotSent(_) => "see that it runs, and that its port is the right one",
        SendError::NoWayOut(_) => "see that the proxy runs, is reached from here, and knows the user and the password",
        SendError::Exhausted => "let this process open more files (`ulimit -n`)",
        SendError::Refused(_) => "choose another URL, or have the setting allow it that is named here",
        SendError::Unreachable(_) | SendError::Fenced => {
            "if it is about a certificate: that must be of an authority that this machine trusts, or of one in the \
             destination's `tls.ca`, for this very name; if not, see that it runs and speaks TLS on this port"
        }
    }
}
