//! `hookyard keys`: API keys for operators and tenants; made and shown once, listed without their secret, revoked.

use entity::change::{self, Changed};
use entity::{Database, DbErr, api_key, audit, tenant};
use relay::clock::Clock;
use relay::id::{ApiKeyId, AuditId, Id, TenantId};
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
    /// List the operators' keys: id, name, when made and last used
    List(Place),
    /// Revoke a key, an operator's or a tenant's; it opens nothing from then on, in any process within a second
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's id, `key_…`, as lists show it
    id: ApiKeyId,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Place {
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

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    whose: Whose,

    /// What the key is for, shown in lists
    #[arg(long, default_value = "command line")]
    name: String,

    #[command(flatten)]
    place: Place,
}

/// One of them is to be said.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A key that reaches every tenant
    #[arg(long)]
    operator: bool,

    /// A key for the tenant of this slug, with all scopes
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
}

/// Whose key it is.
pub(crate) enum Owner {
    Operator,
    Tenant(TenantId),
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    match settings.command {
        Command::Create(asked) => create(&asked).await,
        Command::List(place) => list(&place).await,
        Command::Revoke(asked) => revoke(&asked).await,
    }
}

impl Place {
    async fn open(&self) -> Result<(Database, Clock), Error> {
        let db = Database::open(self.database_url.expose_secret())
            .await
            .map_err(|error| process::bad_setting("HOOKYARD_DATABASE_URL", error))?;
        migration::check(&db.write).await?;
        let clock = Clock::start();
        db.set_clock(&clock).await?;
        Ok((db, clock))
    }
}

async fn create(asked: &Create) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let owner = match &asked.whose.tenant {
        None => Owner::Operator,
        Some(slug) => {
            let found = tenant::find_by_slug(&db.read, slug).await?;
            Owner::Tenant(found.ok_or_else(|| format!("there is no tenant with the slug {slug}"))?.id())
        }
    };
    let key = make(&db, clock.now(), &owner, &asked.name).await?;
    println!("{}", key.expose_secret());
    db.close().await;
    Ok(())
}

async fn list(place: &Place) -> Result<(), Error> {
    let (db, _) = place.open().await?;
    for key in api_key::of_operators(&db.read).await? {
        let used = key.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", time(at)));
        println!("{}  {}  made {}  {used}", key.id(), key.name, time(key.created_at));
    }
    db.close().await;
    Ok(())
}

fn time(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).map_or_else(String::new, |at| at.format("%F %T UTC").to_string())
}

async fn revoke(asked: &Revoke) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let found = api_key::find_for_operator(&db.read, asked.id).await?;
    let row = found.ok_or_else(|| format!("there is no key {}", asked.id))?;
    let hash = row.hash.as_slice().try_into()?;
    let txn = db.begin().await?;
    api_key::delete_for_operator(&txn, asked.id).await?;
    audit::insert(&txn, entry("delete", &row, clock.now())).await?;
    change::record(&txn, &[Changed::ApiKey(hash)], clock.now()).await?;
    txn.commit().await?;
    println!("{} is revoked", asked.id);
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
    let txn = db.begin().await?;
    audit::insert(&txn, entry("create", &row, now)).await?;
    api_key::insert(&txn, row).await?;
    change::record(&txn, &[Changed::ApiKey(hash)], now).await?;
    txn.commit().await?;
    Ok(key)
}

/// What the audit log says of a key that was made or revoked here.
fn entry(action: &str, key: &api_key::Model, now: i64) -> audit::Model {
    audit::Model {
        id: AuditId::at(now).uuid(),
        tenant_id: key.tenant_id,
        at: now,
        actor: None,
        action: action.to_owned(),
        object: "api-key".to_owned(),
        object_id: key.id,
        before: None,
        after: None,
        request_id: Id::<api::request::Asked>::at(now).to_string(),
        remote_address: None,
    }
}
