//! `hookyard tenants`: who is served here, and how much each has; for operators at the command line.

use api::resources::tenants::Tenant;
use api::wire::Slug;
use entity::change::{self, Changed};
use entity::tenant;
use entity::{Database, DbErr, audit, database};
use relay::clock::Clock;
use relay::id::TenantId;
use relay::retention::{Retention, RetentionSettings};
use relay::telemetry::TelemetrySettings;

use crate::audit::row;
use crate::name::Name;
use crate::place::Place;
use crate::serve::Error;
use crate::shown;

mod printed;

use printed::{print, print_one};

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
    /// Delete a tenant with all that it has: keys, sources, destinations, events, bodies. There is no way back
    #[command(after_help = "Examples:
  hookyard tenants delete acme          see what would be deleted
  hookyard tenants delete acme --yes    delete it")]
    Delete(Delete),
}

/// What every one of them is told.
#[derive(Debug, clap::Args)]
struct Common {
    /// Print JSON, in the shape of the admin API
    #[arg(long)]
    json: bool,

    /// A tenant is shown with the days for which its events are kept, and those are at most these.
    #[command(flatten)]
    retention: RetentionSettings,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The name in URLs, which never changes: 2 to 40 of a-z, 0-9 and -
    #[arg(long)]
    slug: Slug,

    /// The name for people
    #[arg(long)]
    name: Name,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The tenant's name in URLs
    slug: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The tenant's name in URLs
    slug: String,

    /// Do it; without this, only say what it is about
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    match settings.command {
        Command::List(asked) => list(&asked.common).await,
        Command::Create(asked) => create(asked).await,
        Command::Show(asked) => show(&asked).await,
        Command::Delete(asked) => delete(&asked).await,
    }
}

impl Common {
    async fn open(&self) -> Result<(Database, Clock, Retention), Error> {
        let retention = self.retention.checked()?;
        let (db, clock) = self.place.open().await?;
        Ok((db, clock, retention))
    }
}

/// What is said of a slug that is nobody's.
pub(crate) fn unknown(slug: &str) -> String {
    format!("there is no tenant with the slug {slug}; `hookyard tenants list` shows them")
}

async fn list(asked: &Common) -> Result<(), Error> {
    let (db, _, retention) = asked.open().await?;
    let tenants = all(&db).await?;
    db.close().await;
    print(&tenants, &retention, asked.json)
}

async fn create(asked: Create) -> Result<(), Error> {
    let (db, clock, retention) = asked.common.open().await?;
    let now = clock.now();
    let id = TenantId::at(now);
    let new = tenant::Model::new(id, asked.slug.to_string(), asked.name.0, now);
    let txn = db.begin().await?;
    let taken = |error: DbErr| -> Error {
        if !database::is_taken(&error) {
            return error.into();
        }
        format!("another tenant has the slug {}; slugs are never given again", asked.slug).into()
    };
    let new = tenant::insert(&txn, new).await.map_err(taken)?;
    let after = shown::json(&Tenant::show(&new, &retention)?);
    audit::insert(&txn, row(("create", id, Some(id)), (None, Some(after.clone())), now)).await?;
    txn.commit().await?;
    db.close().await;
    if asked.common.json {
        shown::print_json(&after);
        return Ok(());
    }
    print(&[new], &retention, false)
}

async fn show(asked: &Show) -> Result<(), Error> {
    let (db, clock, retention) = asked.common.open().await?;
    let found = tenant::ever_called(&db.read, &asked.slug).await?.ok_or_else(|| unknown(&asked.slug))?;
    let figures = tenant::figures(&db.read, found.id(), clock.now()).await?;
    db.close().await;
    print_one(&found, &figures, &retention, asked.common.json, clock.now())
}

/// Freezes it; the api's processes erase the rest, as after a DELETE.
async fn delete(asked: &Delete) -> Result<(), Error> {
    let (db, clock, retention) = asked.common.open().await?;
    let now = clock.now();
    let found = tenant::find_by_slug(&db.read, &asked.slug).await?.ok_or_else(|| unknown(&asked.slug))?;
    if !asked.yes {
        let figures = tenant::figures(&db.read, found.id(), now).await?;
        print_one(&found, &figures, &retention, asked.common.json, now)?;
        return Err("nothing was deleted; with --yes all of this is, and cannot be brought back".into());
    }
    let txn = db.begin().await?;
    let before = tenant::lock(&txn, found.id()).await?.ok_or_else(|| unknown(&asked.slug))?;
    if before.erasing_since.is_none() {
        tenant::freeze(&txn, before, now).await?;
        audit::insert(&txn, row(("delete", found.id(), Some(found.id())), (None, None), now)).await?;
        change::record(&txn, &[Changed::Tenant(found.id())], now).await?;
    }
    txn.commit().await?;
    let after = tenant::find(&db.read, found.id()).await?.ok_or_else(|| unknown(&asked.slug))?;
    db.close().await;
    if asked.common.json {
        shown::print_json(&shown::json(&Tenant::show(&after, &retention)?));
    } else {
        let slug = &asked.slug;
        shown::say(format_args!(
            "{slug} is deleted: within a second nothing of it is accepted, sent or shown any more"
        ));
        shown::say(format_args!(
            "a running relay erases what it has; `hookyard tenants show {slug}` says how far that is"
        ));
    }
    Ok(())
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
