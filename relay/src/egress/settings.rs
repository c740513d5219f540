//! What the operator lets destinations be.

use ipnet::IpNet;
use secrecy::SecretString;

/// What may be reached.
#[derive(Debug, Clone, clap::Args)]
pub struct EgressSettings {
    /// Networks that destinations may reach although they are not public, on any port: CIDRs such as `10.1.0.0/16`,
    /// comma-separated
    // The full path of `Vec` has clap take the list as one value, which may be empty.
    #[arg(
        id = "egress_allow",
        long = "egress-allow",
        env = "HOOKYARD_EGRESS_ALLOW",
        value_name = "CIDRS",
        value_parser = networks,
        default_value = ""
    )]
    pub allow: std::vec::Vec<IpNet>,

    /// Ports that destinations may have, comma-separated; 80 is added by `HOOKYARD_EGRESS_HTTP`
    #[arg(
        id = "egress_ports",
        long = "egress-ports",
        env = "HOOKYARD_EGRESS_PORTS",
        value_name = "PORTS",
        value_parser = ports,
        default_value = "443,8443"
    )]
    pub ports: std::vec::Vec<u16>,

    /// Whether destinations may be plain http: for development, or inside a network of your own
    #[arg(
        id = "egress_http",
        long = "egress-http",
        env = "HOOKYARD_EGRESS_HTTP",
        value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true"
    )]
    pub http: bool,

    /// A forward proxy that every request to a destination goes through, as `http://user:password@host:port`: in a tunnel
    /// (CONNECT), so with https destinations only. It looks the names up, so it is the one that must refuse what leads
    /// inside
    #[arg(
        id = "egress_proxy",
        long = "egress-proxy",
        env = "HOOKYARD_EGRESS_PROXY",
        value_name = "URL",
        hide_env_values = true
    )]
    pub proxy: Option<SecretString>,

    /// The addresses that requests leave from, as the world sees them, comma-separated: shown to everybody at
    /// `/v1/egress-addresses`, so that receivers can let them in; no destination may have one
    #[arg(
        id = "egress_addresses",
        long = "egress-addresses",
        env = "HOOKYARD_EGRESS_ADDRESSES",
        value_name = "ADDRESSES",
        value_parser = addresses,
        default_value = ""
    )]
    pub addresses: std::vec::Vec<IpNet>,
}

/// A value that clap shows together with the flag; the variable is named here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("HOOKYARD_EGRESS_ALLOW takes networks such as 10.1.0.0/16, and `{0}` is none")]
    Network(String),
    #[error("HOOKYARD_EGRESS_PORTS takes ports from 1 to 65535, and `{0}` is none")]
    Port(String),
    #[error("HOOKYARD_EGRESS_ADDRESSES takes addresses such as 203.0.113.7, or networks, and `{0}` is neither")]
    Address(String),
}

fn networks(text: &str) -> Result<Vec<IpNet>, Unusable> {
    blocks(text, Unusable::Network)
}

fn ports(text: &str) -> Result<Vec<u16>, Unusable> {
    let port = |item: &str| item.parse().ok().filter(|port| *port > 0).ok_or_else(|| Unusable::Port(item.to_owned()));
    items(text).map(port).collect()
}

fn addresses(text: &str) -> Result<Vec<IpNet>, Unusable> {
    blocks(text, Unusable::Address)
}

/// Networks, or addresses for networks of one.
fn blocks(text: &str, unusable: fn(String) -> Unusable) -> Result<Vec<IpNet>, Unusable> {
    let one = |item: &str| item.parse::<std::net::IpAddr>().map(IpNet::from);
    let block = |item: &str| item.parse().or_else(|_| one(item)).map_err(|_| unusable(item.to_owned()));
    items(text).map(block).collect()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self { allow: Vec::new(), ports: vec![443, 8443], http: false, proxy: None, addresses: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        egress: EgressSettings,
    }

    fn read(flags: &[&str]) -> Result<EgressSettings, String> {
        let flags = ["program"].iter().chain(flags);
        Program::try_parse_from(flags).map(|program| program.egress).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_and_have_their_defaults() {
        for (flags, allow, ports, http) in [
            (&[][..], &[][..], &[443, 8443][..], false),
            (&["--egress-allow", ""], &[], &[443, 8443], false),
            (&["--egress-allow", "10.0.0.0/8, fd00::/8,"], &["10.0.0.0/8", "fd00::/8"], &[443, 8443], false),
            (&["--egress-ports", "9443"], &[], &[9443], false),
            (&["--egress-http"], &[], &[443, 8443], true),
            (&["--egress-http", "1"], &[], &[443, 8443], true),
            (&["--egress-http=false"], &[], &[443, 8443], false),
        ] {
            let settings = read(flags).unwrap();
            assert_eq!(settings.allow.iter().map(ToString::to_string).collect::<Vec<_>>(), allow, "{flags:?}");
            assert_eq!((&settings.ports[..], settings.http), (ports, http), "{flags:?}");
        }
        let proxied = read(&[
            "--egress-proxy",
            "http://u:canary@10.0.0.1:3128",
            "--egress-addresses",
            "192.0.2.1, 2001:db8::/64",
        ]);
        let proxied = proxied.unwrap();
        assert_eq!(
            proxied.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["192.0.2.1/32", "2001:db8::/64"]
        );
        assert!(proxied.proxy.is_some() && !format!("{proxied:?}").contains("canary"), "{proxied:?}");
        let default = EgressSettings::default();
        assert_eq!((default.ports, default.http), (read(&[]).unwrap().ports, false));
    }

    #[test]
    fn an_unusable_setting_is_named() {
        for (flags, name) in [
            (["--egress-allow", "10.0.0.0/33"], "HOOKYARD_EGRESS_ALLOW"),
            (["--egress-allow", "10.0.0"], "HOOKYARD_EGRESS_ALLOW"),
            (["--egress-ports", "0"], "HOOKYARD_EGRESS_PORTS"),
            (["--egress-ports", "65536"], "HOOKYARD_EGRESS_PORTS"),
            (["--egress-http", "perhaps"], "--egress-http"),
            (["--egress-addresses", "192.0.2"], "HOOKYARD_EGRESS_ADDRESSES"),
        ] {
            let error = read(&flags).unwrap_err();
            assert!(error.contains(name), "{flags:?}: {error}");
        }
    }
}
