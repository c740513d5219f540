//! `hookyard tenants`: who is served here, and how much each has; for operators at the command line.

use api::resources::tenants::Tenant;
use api::wire::{Slug, time};
use entity::tenant::{self, Figures, MOST};
use entity::{Database, DbErr, audit};
use relay::id::TenantId;
use relay::telemetry::TelemetrySettings;
use serde_json::{Value, json};

use crate::audit::row;
use crate::name::Name;
use crate::place::Place;
use crate::serve::Error;
use crate::shown;

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
    /// List all tenants, newest first
    #[command(after_help = "Examples:
  hookyard tenants list
  hookyard tenants list --json")]
    List(List),
    /// Make a tenant
    #[command(after_help = "Example:
  hookyard tenants create --slug acme --name 'Acme Ltd'
  hookyard keys create --tenant acme")]
    Create(Create),
    /// Show a tenant: its limits, what it has set up, what is still to be delivered, and how much came in a day
    #[command(after_help = "Example:
  hookyard tenants show acme")]
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON, in the shape of the admin API
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The name in URLs, which never changes: 2 to 40 of a-z, 0-9 and -
    #[arg(long)]
    slug: Slug,

    /// The name for people
    #[arg(long)]
    name: Name,

    /// Print JSON, in the shape of the admin API
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The tenant's name in URLs
    slug: String,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    match settings.command {
        Command::List(asked) => list(&asked).await,
        Command::Create(asked) => create(asked).await,
        Command::Show(asked) => show(&asked).await,
    }
}

/// What is said of a slug that is nobody's.
pub(crate) fn unknown(slug: &str) -> String {
    format!("there is no tenant with the slug {slug}; `hookyard tenants list` shows them")
}

async fn list(asked: &List) -> Result<(), Error> {
    let (db, _) = asked.place.open().await?;
    let tenants = all(&db).await?;
    db.close().await;
    print(&tenants, asked.json)
}

async fn create(asked: Create) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let now = clock.now();
    let id = TenantId::at(now);
    let new = tenant::Model {
        id: id.uuid(),
        slug: asked.slug.to_string(),
        name: asked.name.0,
        limits: tenant::limits_column(&tenant::Limits::default()),
        version: 1,
        created_at: now,
    };
    let txn = db.begin().await?;
    let taken = |error: DbErr| -> Error {
        if !tenant::is_taken(&error) {
            return error.into();
        }
        format!("another tenant has the slug {}; slugs are never given again", asked.slug).into()
    };
    let new = tenant::insert(&txn, new).await.map_err(taken)?;
    let after = shown::json(&Tenant::show(&new)?);
    audit::insert(&txn, row(("create", id, Some(id)), (None, Some(after)), now)).await?;
    txn.commit().await?;
    db.close().await;
    if asked.json {
        shown::print_json(&shown::json(&Tenant::show(&new)?));
        return Ok(());
    }
    print(&[new], false)
}

fn print(tenants: &[tenant::Model], as_json: bool) -> Result<(), Error> {
    if as_json {
        let items = tenants.iter().map(|tenant| Ok(shown::json(&Tenant::show(tenant)?)));
        shown::print_json(&json!({ "items": items.collect::<Result<Vec<Value>, Error>>()? }));
    } else {
        let line = |tenant: &tenant::Model| {
            vec![tenant.id().to_string(), tenant.slug.clone(), tenant.name.clone(), shown::time(tenant.created_at)]
        };
        shown::print_table(&["ID", "SLUG", "NAME", "CREATED"], tenants.iter().map(line));
    }
    Ok(())
}

async fn show(asked: &Show) -> Result<(), Error> {
    let (db, clock) = asked.place.open().await?;
    let found = tenant::find_by_slug(&db.read, &asked.slug).await?.ok_or_else(|| unknown(&asked.slug))?;
    let figures = tenant::figures(&db.read, found.id(), clock.now()).await?;
    db.close().await;
    if asked.json {
        shown::print_json(&in_json(&found, &figures)?);
        return Ok(());
    }
    for (what, figure) in in_words(&found, &figures, clock.now())? {
        println!("{what:<14}{figure}");
    }
    Ok(())
}

fn in_json(tenant: &tenant::Model, figures: &Figures) -> Result<Value, Error> {
    let oldest_due = figures.oldest_due.map(|at| shown::json(&time(at)));
    Ok(json!({
        "tenant": shown::json(&Tenant::show(tenant)?),
        "sources": figures.sources,
        "destinations": figures.destinations,
        "subscriptions": figures.subscriptions,
        "pending": figures.pending,
        "held": figures.held,
        "oldest_due_at": oldest_due,
        "events_24h": figures.events,
        "bytes_24h": figures.bytes,
        "counted_up_to": MOST,
    }))
}

fn in_words(tenant: &tenant::Model, figures: &Figures, now: i64) -> Result<Vec<(&'static str, String)>, Error> {
    let at_least = |count: i64| if count < MOST { count.to_string() } else { format!("at least {count}") };
    let limits = match tenant.limits()?.events {
        None => "none".to_owned(),
        Some(rate) => format!("{} events a second, {} at once", rate.per_second, rate.burst),
    };
    let oldest = figures.oldest_due.map(|at| format!("; the oldest is due for {} s", (now - at) / 1_000));
    let (held, oldest) = (format!(", {} of them held", figures.held), oldest.unwrap_or_default());
    Ok(vec![
        ("id", tenant.id().to_string()),
        ("slug", tenant.slug.clone()),
        ("name", tenant.name.clone()),
        ("created", shown::time(tenant.created_at)),
        ("limits", limits),
        ("sources", figures.sources.to_string()),
        ("destinations", figures.destinations.to_string()),
        ("subscriptions", figures.subscriptions.to_string()),
        ("pending", format!("{} deliveries{held}{oldest}", at_least(figures.pending))),
        ("last 24 hours", format!("{} events, {} bytes", at_least(figures.events), figures.bytes)),
    ])
}

/// Tenants read at a time.
const PAGE: u64 = 250;

async fn all(db: &Database) -> Result<Vec<tenant::Model>, DbErr> {
    let mut tenants: Vec<tenant::Model> = Vec::new();
    loop {
        let page = tenant::page(&db.read, tenants.last().map(tenant::Model::id), PAGE).await?;
        if page.is_empty() {
            return Ok(tenants);
        }
        tenants.extend(page);
    }
}
