//! `hookyard keys create`: an API key for an operator or a tenant, shown once.

use entity::change::{self, Changed};
use entity::{Database, DbErr, api_key, audit, tenant};
use relay::clock::Clock;
use relay::id::{ApiKeyId, Id, TenantId};
use relay::process;
use relay::secret::{self, KeyKind};
use relay::telemetry::TelemetrySettings;
use secrecy::{ExposeSecret, SecretString};

use crate::serve::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it; it is shown only now
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// A key that reaches every tenant
    #[arg(long, required_unless_present = "tenant", conflicts_with = "tenant")]
    operator: bool,

    /// A key for the tenant of this slug, with all scopes
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,

    /// What the key is for, shown in lists
    #[arg(long, default_value = "command line")]
    name: String,

    /// The database: `postgres://user:password@host/name` or `sqlite://path`
    #[arg(
        long,
        env = "HOOKYARD_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite://hookyard.db"
    )]
    database_url: SecretString,
}

/// Whose key it is.
pub(crate) enum Owner {
    Operator,
    Tenant(TenantId),
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let Command::Create(create) = settings.command;
    let db = Database::open(create.database_url.expose_secret())
        .await
        .map_err(|error| process::bad_setting("HOOKYARD_DATABASE_URL", error))?;
    if let Some(pending) = migration::pending(&db.write).await? {
        return Err(pending.into());
    }
    let clock = Clock::start();
    db.set_clock(&clock).await?;
    let owner = match &create.tenant {
        None => Owner::Operator,
        Some(slug) => {
            let found = tenant::find_by_slug(&db.read, slug).await?;
            Owner::Tenant(found.ok_or_else(|| format!("there is no tenant with the slug {slug}"))?.id())
        }
    };
    let key = make(&db, clock.now(), &owner, &create.name).await?;
    println!("{}", key.expose_secret());
    db.close().await;
    Ok(())
}

/// Every scope there is, as the column has them.
const ALL_SCOPES: &str = "read write payloads replay secrets keys audit";

/// Makes a key, with its audit row; returns it to be shown once.
pub(crate) async fn make(db: &Database, now: i64, owner: &Owner, name: &str) -> Result<SecretString, DbErr> {
    let (kind, tenant) = match owner {
        Owner::Operator => (KeyKind::Operator, None),
        Owner::Tenant(id) => (KeyKind::Tenant, Some(id.uuid())),
    };
    let (key, id) = (secret::api_key(kind), ApiKeyId::at(now));
    let hash = secret::fingerprint(key.expose_secret().as_bytes());
    let row = api_key::Model {
        id: id.uuid(),
        tenant_id: tenant,
        name: name.to_owned(),
        hash: hash.to_vec(),
        scopes: ALL_SCOPES.to_owned(),
        expires_at: None,
        last_used_at: None,
        version: 1,
        created_at: now,
    };
    let entry = audit::Model {
        id: audit::AuditId::at(now).uuid(),
        tenant_id: tenant,
        at: now,
        actor: None,
        action: "create".to_owned(),
        object: "api_key".to_owned(),
        object_id: id.uuid(),
        before: None,
        after: None,
        request_id: Id::<api::request::Asked>::at(now).to_string(),
        remote_address: None,
    };
    let txn = db.begin().await?;
    api_key::insert(&txn, row).await?;
    audit::insert(&txn, entry).await?;
    change::record(&txn, &[Changed::ApiKey(hash)], now).await?;
    txn.commit().await?;
    Ok(key)
}
