//! What `hookyard-api` can be told. The help text is the manual.

use std::net::SocketAddr;
use std::path::PathBuf;

use relay::egress::{EgressSettings, Url};
use relay::retention::RetentionSettings;
use relay::telemetry::TelemetrySettings;
use relay::trace::TraceSettings;
use secrecy::SecretString;

use crate::server::TrustedProxies;

/// Receives webhooks from providers and serves the admin API
#[derive(Debug, clap::Parser)]
#[command(name = "hookyard-api", version)]
pub struct Settings {
    /// The database: `postgres://user:password@host/name` or `sqlite://path`
    #[arg(long, env = "HOOKYARD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: SecretString,

    /// The keys that seal secrets at rest, `id:base64(32 bytes)`, comma-separated: the first seals, all of them open
    #[arg(long, env = "HOOKYARD_MASTER_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub master_keys: SecretString,

    #[command(flatten)]
    pub http: HttpSettings,

    /// Where `/livez`, `/readyz` and `/metrics` are served; never reachable by tenants
    #[arg(long, env = "HOOKYARD_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub ops_listen: SocketAddr,

    #[command(flatten)]
    pub egress: EgressSettings,

    #[command(flatten)]
    pub retention: RetentionSettings,

    #[command(flatten)]
    pub telemetry: TelemetrySettings,

    #[command(flatten)]
    pub trace: TraceSettings,
}

/// How the API is reached; the same for `hookyard` and `hookyard-api`.
#[derive(Debug, Clone, clap::Args)]
pub struct HttpSettings {
    /// Where webhooks and the admin API are served; port 0 takes a free one, which is printed
    #[arg(long, env = "HOOKYARD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// What stands before the paths in the URLs that are handed out, such as `https://hooks.example.com`; without it the
    /// listening address
    #[arg(long, env = "HOOKYARD_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,

    /// A key that may do everything: any string of at least 32 characters. Without it those in the database may: `hookyard`
    /// makes one at its first start, and `hookyard keys create --operator` makes more
    #[arg(long, env = "HOOKYARD_OPERATOR_KEY", value_name = "KEY", hide_env_values = true, value_parser = operator_key)]
    pub operator_key: Option<SecretString>,

    #[command(flatten)]
    pub listener: ListenerSettings,
}

/// What a connection passes before its first request.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ListenerSettings {
    /// Networks of proxies whose `X-Forwarded-For` says who the client is: CIDRs such as `10.1.0.0/16`, comma-separated
    #[arg(long, env = "HOOKYARD_TRUSTED_PROXIES", value_name = "CIDRS", default_value = "")]
    pub trusted_proxies: TrustedProxies,

    /// Whether every connection begins with a header of the PROXY protocol, from one of the trusted proxies; if none is
    /// named, from whoever reaches the listener
    #[arg(
        long,
        env = "HOOKYARD_PROXY_PROTOCOL",
        value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true"
    )]
    pub proxy_protocol: bool,

    /// A certificate with its chain, as a PEM file: the listener then speaks TLS. The file is read again when it changes
    #[arg(long, env = "HOOKYARD_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's private key, as a PEM file without a password
    #[arg(long, env = "HOOKYARD_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
}

/// 32 characters of whatever alphabet are beyond guessing.
const SHORTEST_KEY: usize = 32;

fn operator_key(text: &str) -> Result<SecretString, String> {
    match text.chars().count() {
        0..SHORTEST_KEY => Err(format!("an operator key has at least {SHORTEST_KEY} characters")),
        _ => Ok(text.into()),
    }
}

/// What paths are put behind: the parser itself says of a missing scheme only that a base is missing.
fn public_url(text: &str) -> Result<Url, String> {
    let is_base = |url: &Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_bare = !has_user && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
    };
    let url = Url::parse(text).ok().filter(is_base);
    url.ok_or_else(|| {
        "it must be a URL with its scheme and nothing behind the path, such as `https://hooks.example.com`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Settings, public_url};

    #[test]
    fn a_public_url_is_one_that_paths_can_follow() {
        for (text, good) in [
            ("https://hooks.example.com", true),
            ("http://127.0.0.1:8080/", true),
            ("https://example.com/hooks", true),
            ("hooks.example.com", false),
            ("hooks.example.com:8080", false),
            ("//hooks.example.com", false),
            ("ftp://hooks.example.com", false),
            ("https://", false),
            ("https://u@hooks.example.com", false),
            ("https://hooks.example.com/?a=b", false),
            ("https://hooks.example.com/#a", false),
            ("", false),
        ] {
            assert_eq!(public_url(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_show_when_settings_are_printed() {
        let arguments = ["hookyard-api", "--database-url", "postgres://u:canary1@h/d", "--master-keys", "k1:canary2"];
        let key = "canary3-canary3-canary3-canary3-canary3";
        let settings = Settings::parse_from(arguments.into_iter().chain(["--operator-key", key]));
        assert!(!format!("{settings:?}").contains("canary"), "{settings:?}");
    }
}
