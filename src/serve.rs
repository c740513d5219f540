//! Everything in one process: migrate, then api and worker side by side.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::Api;
use api::config::HttpSettings;
use entity::start::{self, Opened};
use entity::wake::Wake;
use entity::{Database, housekeeping, sealing};
use migration::Step;
use relay::egress::EgressSettings;
use relay::keyring::Keyring;
use relay::operations;
use relay::process::{self, Stopped};
use relay::retention::{Retention, RetentionSettings};
use relay::telemetry::TelemetrySettings;
use relay::trace::{Exporting, TraceSettings, Tracer};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker::{Pulse, Worker, role_file};

use crate::migrate;
use crate::place::{Place, unusable};

mod key_file;
mod operator_key;

/// Why the process ends with an error.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) place: Place,

    /// The keys that seal secrets at rest, `id:base64(32 bytes)`, comma-separated: the first seals, all of them open.
    /// Without it they are read from `./hookyard.keys`, which is made at the first start
    #[arg(long, env = "HOOKYARD_MASTER_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub(crate) master_keys: Option<SecretString>,

    #[command(flatten)]
    pub(crate) http: HttpSettings,

    /// Where `/livez`, `/readyz` and `/metrics` are served; never reachable by tenants
    #[arg(long, env = "HOOKYARD_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub(crate) ops_listen: SocketAddr,

    #[command(flatten)]
    pub(crate) egress: EgressSettings,

    #[command(flatten)]
    pub(crate) retention: RetentionSettings,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,

    #[command(flatten)]
    pub(crate) trace: TraceSettings,
}

/// Where the keys lie that were not given.
pub(crate) const KEY_FILE: &str = "hookyard.keys";

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let stopped = process::stop_on_signals()?;
    let numbers = operations::count();
    let relay = tokio::select! {
        relay = Relay::open(&settings, Path::new(KEY_FILE)) => relay?,
        () = stopped.now.cancelled() => return Ok(()),
    };
    let ops = TcpListener::bind(settings.ops_listen)
        .await
        .map_err(|error| process::bad_setting("HOOKYARD_OPS_LISTEN", error))?;
    let origin = relay.api.origin();
    process::say(&format!("listening on {origin}"));
    process::say(&format!("operations on http://{}", ops.local_addr()?));
    process::say(&format!("documentation on {origin}/docs"));
    if let Some(key) = &relay.new_operator_key {
        process::say(&format!("operator key: {} (shown only now)", key.expose_secret()));
    }
    let Stopped { now, end } = stopped;
    let moves = relay.worker.pulse.clone();
    let ready = relay.opened.readiness(now.clone(), move || moves.ready());
    tokio::spawn(operations::serve(ops, ready, numbers, end.clone()));
    process::say("ready");
    relay.run(now, end).await;
    Ok(())
}

/// Api and worker on one database.
pub(crate) struct Relay {
    pub(crate) api: Api,
    /// The key that was made because there was none.
    pub(crate) new_operator_key: Option<SecretString>,
    opened: Opened,
    worker: Worker,
    wake: Wake,
    retention: Retention,
    exporting: Exporting,
}

impl Relay {
    /// Migrates, opens, binds. Nothing is accepted or delivered before [`Relay::run`].
    pub(crate) async fn open(settings: &Settings, key_file: &Path) -> Result<Self, Error> {
        let retention = settings.retention.checked();
        let retention = retention.map_err(|error| process::malformed_setting("HOOKYARD_RETENTION_METADATA", error))?;
        let url = settings.place.url();
        migrate(url).await?;
        let db = Database::open(url).await.map_err(unusable)?;
        migration::check(&db.write).await?;
        if settings.retention.seal_payloads {
            migration::raise_floor(&db.write, migration::SEALED_PAYLOADS).await?;
        }
        let keyring = keyring(settings.master_keys.as_ref(), key_file, sealing::is_any(&db.read).await?)?;
        let opened = start::open(db.clone(), keyring, settings.retention.seal_payloads).await?;
        let new_operator_key = operator_key::ensure(&opened, settings.http.operator_key.is_some()).await?;
        let wake = Wake::default();
        let (tracer, exporting) = Tracer::start(&settings.trace, "hookyard")?;
        let api =
            Api::bind(&settings.http, &settings.egress, &opened, (retention, wake.clone(), tracer.clone())).await?;
        let worker = Worker {
            db,
            configuration: Arc::clone(&opened.configuration),
            keyring: Arc::clone(&opened.keyring),
            payload_keys: opened.payload_keys.clone(),
            egress: api.egress(),
            clock: opened.clock.clone(),
            // On PostgreSQL the worker hears of other processes' commits through the database.
            wake: if opened.db.is_sqlite() { wake.clone() } else { Wake::default() },
            beside: Some(wake.clone()),
            role: role_file(url),
            pulse: Pulse::new(opened.clock.clone()),
            tracer,
        };
        Ok(Self { api, new_operator_key, opened, worker, wake, retention, exporting })
    }

    /// Works until `now`; then the api ends first, so that what it accepted last is still delivered or kept; `end` tells
    /// the rest.
    pub(crate) async fn run(self, now: CancellationToken, end: CancellationToken) {
        let db = self.opened.db.clone();
        tokio::spawn(process::vital(housekeeping::run(self.opened, self.retention, end.clone())));
        let passing = process::vital(entity::wake::pass_on(db.clone(), self.wake, end.clone()));
        let passing = (!db.is_sqlite()).then(|| tokio::spawn(passing));
        tokio::join!(self.api.serve(now.clone()), self.worker.run(now));
        end.cancel();
        if let Some(passing) = passing {
            let _ = tokio::time::timeout(entity::wake::LAST_WORD, passing).await;
        }
        self.exporting.end().await;
        db.close().await;
    }
}

/// How long a start waits for whoever migrates already.
const PATIENCE: Duration = Duration::from_secs(3600);

async fn migrate(url: &str) -> Result<(), Error> {
    let said = |step| match step {
        Step::Waits(who) => tracing::info!(who, "waiting: the database is in use"),
        Step::Applied(migration) => tracing::info!(migration, "applied"),
    };
    migrate::up(url, PATIENCE, said).await.map(drop)
}

/// The keys that were given, or those of the key file, which is made where nothing was ever sealed.
pub(crate) fn keyring(given: Option<&SecretString>, key_file: &Path, holds_sealed: bool) -> Result<Keyring, Error> {
    let text = match given {
        Some(given) => given.clone(),
        None => key_file::read_or_make(key_file, holds_sealed)?,
    };
    Ok(Keyring::parse(text.expose_secret())
        .map_err(|error| process::malformed_setting("HOOKYARD_MASTER_KEYS", error))?)
}
