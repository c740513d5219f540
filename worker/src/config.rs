//! What `hookyard-worker` can be told. The help text is the manual.

use std::net::SocketAddr;

use relay::egress::EgressSettings;
use relay::retention::RetentionSettings;
use relay::telemetry::TelemetrySettings;
use relay::trace::TraceSettings;
use secrecy::SecretString;

/// Delivers events to destinations
#[derive(Debug, clap::Parser)]
#[command(name = "hookyard-worker", version)]
pub struct Settings {
    /// The database: `postgres://user:password@host/name` or `sqlite://path`
    #[arg(long, env = "HOOKYARD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: SecretString,

    /// The keys that seal secrets at rest, `id:base64(32 bytes)`, comma-separated: the first seals, all of them open
    #[arg(long, env = "HOOKYARD_MASTER_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub master_keys: SecretString,

    /// Where `/livez`, `/readyz` and `/metrics` are served; never reachable by tenants
    #[arg(long, env = "HOOKYARD_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub ops_listen: SocketAddr,

    /// What the API calls itself; nothing is delivered there
    #[arg(long, env = "HOOKYARD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<relay::egress::Url>,

    #[command(flatten)]
    pub egress: EgressSettings,

    #[command(flatten)]
    pub retention: RetentionSettings,

    #[command(flatten)]
    pub telemetry: TelemetrySettings,

    #[command(flatten)]
    pub trace: TraceSettings,
}
