//! `hookyard keys`: API keys for operators and tenants; made and shown once, listed without their secret, revoked.

use api::auth::{Scope, Scopes};
use api::resources::api_keys::ApiKey;
use entity::change::{self, Changed};
use entity::{Database, DbErr, api_key, audit, tenant};
use relay::id::{ApiKeyId, TenantId};
use relay::telemetry::TelemetrySettings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::audit::row;
use crate::name::Name;
use crate::place::Place;
use crate::serve::Error;
use crate::shown;

mod new;
mod term;

pub(crate) use new::NewKey;
use term::Term;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Settings {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it; it is shown only now
    #[command(after_help = "Examples:
  hookyard keys create --operator --name 'on call'
  hookyard keys create --tenant acme --scopes read,payloads --expires-in 90d")]
    Create(Create),
    /// List the operators' keys, or a tenant's: id, name, scopes, when made, last used and when they end; never the key
    #[command(after_help = "Examples:
  hookyard keys list
  hookyard keys list --tenant acme --json")]
    List(List),
    /// Revoke a key, an operator's or a tenant's; it opens nothing from then on, in any process within a second
    #[command(after_help = "Example:
  hookyard keys revoke key_01kb2wdq6pe2v8h2c4z8x1m3nf")]
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    whose: Whose,

    /// What the key is for, shown in lists
    #[arg(long, default_value = "command line")]
    name: Name,

    /// What the key may do, comma-separated: read, write, payloads, replay, secrets, keys, audit. Without it all of them
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', value_parser = scope, conflicts_with = "operator")]
    scopes: Vec<Scope>,

    /// How long the key is good for: `30m`, `12h`, `90d`. Without it until it is revoked
    #[arg(long, value_name = "TERM")]
    expires_in: Option<Term>,

    /// Print an object with the key in JSON, as the admin API does, not the bare key
    #[arg(long)]
    json: bool,

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

    /// A key for the tenant of this slug
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The keys of the tenant of this slug, not the operators'
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,

    /// Print JSON, in the shape of the admin API
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's id, `key_…`, as lists show it
    id: ApiKeyId,

    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    match settings.command {
        Command::Create(asked) => create(asked).await,
        Command::List(asked) => list(&asked).await,
        Command::Revoke(asked) => revoke(&asked).await,
    }
}

async fn create(asked: Create) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let now = clock.now();
    let new = NewKey {
        tenant: tenant_of(&db, asked.whose.tenant.as_deref()).await?,
        name: asked.name.0,
        scopes: if asked.scopes.is_empty() { Scopes::all() } else { asked.scopes.into_iter().collect() },
        expires_at: asked.expires_in.map(|term| term.after(now)),
    };
    let (key, kept) = new.make(&db, now).await?;
    let key = key.expose_secret();
    if asked.json {
        shown::print_json(&shown::json(&ApiKey { key: Some(key.to_owned()), ..ApiKey::show(&kept)? }));
    } else {
        shown::say(key);
    }
    db.close().await;
    Ok(())
}

async fn list(asked: &List) -> Result<(), Error> {
    let (db, _) = asked.place.open().await?;
    let keys = match tenant_of(&db, asked.tenant.as_deref()).await? {
        None => api_key::of_operators(&db.read).await?,
        Some(tenant) => of_tenant(&db, tenant).await?,
    };
    db.close().await;
    if asked.json {
        let items = keys.iter().map(|key| Ok(shown::json(&ApiKey::show(key)?)));
        shown::print_json(&json!({ "items": items.collect::<Result<Vec<Value>, Error>>()? }));
    } else {
        shown::print_table(&["ID", "NAME", "SCOPES", "CREATED", "LAST USED", "EXPIRES"], keys.iter().map(line));
    }
    Ok(())
}

fn line(key: &api_key::Model) -> Vec<String> {
    let scopes = if key.tenant_id.is_some() { key.scopes.replace(' ', ",") } else { "every tenant".to_owned() };
    vec![
        key.id().to_string(),
        key.name.clone(),
        scopes,
        shown::time(key.created_at),
        shown::time_or(key.last_used_at, "never"),
        shown::time_or(key.expires_at, "never"),
    ]
}

async fn revoke(asked: &Revoke) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let found = api_key::find_for_operator(&db.read, asked.id).await?;
    let missing = || format!("there is no key {}; `hookyard keys list` shows them", asked.id);
    let key = found.ok_or_else(missing)?;
    let (hash, before) = (key.hash.as_slice().try_into()?, shown::json(&ApiKey::show(&key)?));
    let txn = db.begin().await?;
    if !api_key::delete_for_operator(&txn, asked.id).await? {
        return Err(missing().into());
    }
    audit::insert(&txn, row(("delete", asked.id, key.tenant()), (Some(before), None), clock.now())).await?;
    change::record(&txn, &[Changed::ApiKey(hash)], clock.now()).await?;
    txn.commit().await?;
    let whose = if key.tenant_id.is_some() { "a tenant's" } else { "an operator's" };
    shown::say(format_args!(
        "{} ({whose}, \"{}\") is revoked: within a second it opens nothing any more",
        asked.id,
        shown::plain(&key.name)
    ));
    db.close().await;
    Ok(())
}

/// The tenant of this slug; none if none was named.
async fn tenant_of(db: &Database, slug: Option<&str>) -> Result<Option<TenantId>, Error> {
    let Some(slug) = slug else { return Ok(None) };
    let found = tenant::find_by_slug(&db.read, slug).await?;
    Ok(Some(found.ok_or_else(|| crate::tenants::unknown(slug))?.id()))
}

/// Keys read at a time.
const PAGE: u64 = 250;

/// All keys of a tenant, newest first.
async fn of_tenant(db: &Database, tenant: TenantId) -> Result<Vec<api_key::Model>, DbErr> {
    let mut keys: Vec<api_key::Model> = Vec::new();
    loop {
        let page = api_key::page(&db.read, tenant, keys.last().map(api_key::Model::id), PAGE).await?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.to_string() == text);
    found.ok_or_else(|| format!("scopes are {}", Scopes::all().column().replace(' ', ", ")))
}
