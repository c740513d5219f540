//! How providers and operators reach the relay, as the settings have it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use api::server::Door;
use relay::egress::{Url, forbidden_range};
use tokio::net::TcpSocket;

use super::finding::{Finding, story};
use crate::serve::Settings;

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![
        address("listener", "HOOKYARD_LISTEN", settings.http.listen),
        public_url(settings),
        proxies(settings),
        tls(settings).await,
        operations(settings),
    ];
    // Beside what is said of it anyway.
    let operations = address("operations", "HOOKYARD_OPS_LISTEN", settings.ops_listen);
    if !operations.is_well() {
        findings.push(operations);
    }
    findings.extend(one_address(settings));
    findings
}

/// Whether the relay is meant for others than this machine.
pub(super) fn is_public(settings: &Settings) -> bool {
    !settings.http.listen.ip().is_loopback() || settings.http.public_url.as_ref().is_some_and(|url| !is_local(url))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Bound, and never listened at: a relay that runs there, or starts there meanwhile, is not in the way and not kept away.
fn address(check: &'static str, setting: &str, listen: SocketAddr) -> Finding {
    match bind(listen) {
        Ok(()) => Finding::ok(check, format!("{listen} is an address of this machine")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::problem(
            check,
            format!("this user may not listen on port {}", listen.port()),
            format!(
                "set {setting} to a port from 1024 on, or let the service bind it: AmbientCapabilities=CAP_NET_BIND_SERVICE"
            ),
        ),
        Err(error) => Finding::problem(
            check,
            format!("nothing can listen on {listen}: {error}"),
            format!("set {setting} to an address of this machine, or to 0.0.0.0 or [::] for all of them"),
        ),
    }
}

/// Whether it can be, unless somebody is there already.
fn bind(listen: SocketAddr) -> std::io::Result<()> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    match socket.bind(listen) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

fn one_address(settings: &Settings) -> Option<Finding> {
    let (listen, operations) = (settings.http.listen, settings.ops_listen);
    let is_one = listen.port() == operations.port()
        && listen.port() != 0
        && (listen.ip() == operations.ip() || listen.ip().is_unspecified() || operations.ip().is_unspecified());
    is_one.then(|| {
        Finding::problem(
            "operations",
            format!("both listeners are to be on port {}", listen.port()),
            "give HOOKYARD_LISTEN and HOOKYARD_OPS_LISTEN ports of their own",
        )
    })
}

fn public_url(settings: &Settings) -> Finding {
    const CHECK: &str = "public-url";
    let (listen, scheme) = (settings.http.listen, if ends_tls(settings) { "https" } else { "http" });
    match &settings.http.public_url {
        None if listen.ip().is_unspecified() => Finding::problem(
            CHECK,
            format!("the URLs that are handed out would begin with {scheme}://{listen}, which nobody can call"),
            "set HOOKYARD_PUBLIC_URL to what providers call this relay, such as https://hooks.example.com",
        ),
        Some(url) if url.scheme() != "https" && !is_local(url) => Finding::warning(
            CHECK,
            format!("{url} is plain http: what providers send, and how they prove themselves, can be read on the way"),
            "have a proxy end TLS, or set HOOKYARD_TLS_CERTIFICATE and HOOKYARD_TLS_KEY, and begin it with https://",
        ),
        Some(url) => Finding::ok(CHECK, format!("URLs are handed out as {url}")),
        None => Finding::ok(CHECK, "not set: URLs are handed out with the address of the listener"),
    }
}

/// The rules of the client's address: whoever is believed may take any.
fn proxies(settings: &Settings) -> Finding {
    const CHECK: &str = "trusted-proxies";
    let listener = &settings.http.listener;
    let networks = listener.trusted_proxies.networks();
    let is_https = settings.http.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    if networks.iter().any(|network| network.prefix_len() == 0) {
        let found = "every network is trusted: any client may say in X-Forwarded-For that it is another";
        return Finding::problem(
            CHECK,
            found,
            "name only the networks of your own proxies in HOOKYARD_TRUSTED_PROXIES",
        );
    }
    if networks.is_empty() && listener.proxy_protocol && !settings.http.listen.ip().is_loopback() {
        let found = "whoever reaches the listener is believed what its PROXY header says of its address";
        return Finding::warning(CHECK, found, "name the networks of your proxies in HOOKYARD_TRUSTED_PROXIES");
    }
    if is_https && !ends_tls(settings) && networks.is_empty() && !listener.proxy_protocol {
        let found = "the public URL is https and no TLS ends here, so a proxy stands before the listener, and none is named: \
            all clients share its address, its 200 connections and what IP lists say of it";
        let mend = "name its network in HOOKYARD_TRUSTED_PROXIES, or have it speak the PROXY protocol (HOOKYARD_PROXY_PROTOCOL)";
        return Finding::warning(CHECK, found, mend);
    }
    let found = match (networks.len(), listener.proxy_protocol) {
        (0, false) => "none: a client's address is its connection's".to_owned(),
        (0, true) => "none is named, and every connection begins with a PROXY header".to_owned(),
        (count, _) => format!("{count} networks"),
    };
    Finding::ok(CHECK, found)
}

async fn tls(settings: &Settings) -> Finding {
    const CHECK: &str = "tls";
    let Some(key) = &settings.http.listener.tls_key else {
        return without_tls(CHECK, settings);
    };
    if let Err(error) = Door::open(&settings.http.listener).await {
        let mend =
            "name a certificate with its chain and the key that belongs to it, both PEM files that this user can read";
        return Finding::problem(CHECK, story(&error), mend);
    }
    let mode = std::fs::metadata(key).map_or(0, |file| file.permissions().mode());
    if mode & 0o007 != 0 {
        let found = format!("everybody on this machine can open the certificate's key, {}", key.display());
        return Finding::warning(CHECK, found, format!("chmod o= {}", key.display()));
    }
    Finding::ok(CHECK, "the certificate and its key can be used")
}

fn without_tls(check: &'static str, settings: &Settings) -> Finding {
    let (http, listen) = (&settings.http, settings.http.listen);
    let has_proxy = !http.listener.trusted_proxies.is_empty() || http.listener.proxy_protocol;
    if listen.ip().is_loopback() || has_proxy || http.public_url.is_some() {
        return Finding::ok(check, "the listener speaks plain http");
    }
    Finding::warning(
        check,
        format!("others than this machine reach {listen}, in plain http, and no proxy is named that ends TLS"),
        "set HOOKYARD_TLS_CERTIFICATE and HOOKYARD_TLS_KEY, or have a proxy end TLS and listen on an address that only it reaches",
    )
}

fn ends_tls(settings: &Settings) -> bool {
    settings.http.listener.tls_certificate.is_some()
}

fn operations(settings: &Settings) -> Finding {
    const CHECK: &str = "operations";
    let address = settings.ops_listen;
    if address.ip().is_unspecified() {
        return Finding::ok(CHECK, format!("on {address}, all addresses of this machine: keep tenants away from it"));
    }
    if forbidden_range(address.ip()).is_none() {
        return Finding::warning(
            CHECK,
            format!("on {address}, a public address: the relay's numbers are there for everybody to read"),
            "set HOOKYARD_OPS_LISTEN to an address that only operators reach",
        );
    }
    Finding::ok(CHECK, format!("on {address}, which is not public"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Relay {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn what_others_reach_is_looked_at() {
        let private = &["--listen=10.1.2.3:8080"][..];
        let behind = "--trusted-proxies=10.1.0.0/16";
        let ok: &[(&str, &str)] = &[];
        for (flags, ill) in [
            (&[][..], ok),
            (private, &[("tls", "warning")]),
            (&[private[0], behind], ok),
            (&[private[0], "--proxy-protocol"], &[("trusted-proxies", "warning")]),
            (&[private[0], "--proxy-protocol", behind], ok),
            (&["--listen=0.0.0.0:80"], &[("public-url", "problem"), ("tls", "warning")]),
            (&["--listen=0.0.0.0:80", behind, "--public-url=https://hooks.example.com"], ok),
            (&["--public-url=https://hooks.example.com"], &[("trusted-proxies", "warning")]),
            (&["--public-url=http://hooks.example.com"], &[("public-url", "warning")]),
            (&["--public-url=http://127.0.0.1:9000"], ok),
            (&["--trusted-proxies=::/0"], &[("trusted-proxies", "problem")]),
            (&["--ops-listen=0.0.0.0:8081"], ok),
            (&["--ops-listen=10.1.2.3:8081"], ok),
            (&["--ops-listen=8.8.8.8:8081"], &[("operations", "warning")]),
        ] {
            let settings = Relay::parse_from(["hookyard"].iter().chain(flags)).settings;
            let tls = without_tls("tls", &settings);
            let all = [public_url(&settings), proxies(&settings), tls, operations(&settings)];
            let told: Vec<_> = all.iter().map(Finding::told).filter(|(_, verdict)| *verdict != "ok").collect();
            assert_eq!(told, ill, "{flags:?}");
        }
    }
}
