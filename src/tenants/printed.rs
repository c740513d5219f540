//! Tenants as the command prints them.

use api::resources::tenants::Tenant;
use api::wire::time;
use entity::tenant::{self, Counted, Figures, MOST};
use relay::retention::Retention;
use serde_json::{Value, json};

use crate::serve::Error;
use crate::shown;

/// Those of a list.
pub(super) fn print(tenants: &[tenant::Model], retention: &Retention, as_json: bool) -> Result<(), Error> {
    if as_json {
        let items = tenants.iter().map(|tenant| Ok(shown::json(&Tenant::show(tenant, retention)?)));
        shown::print_json(&json!({ "items": items.collect::<Result<Vec<Value>, Error>>()? }));
    } else {
        shown::print_table(&["ID", "SLUG", "NAME", "CREATED", "DELETION"], tenants.iter().map(line));
    }
    Ok(())
}

fn line(tenant: &tenant::Model) -> Vec<String> {
    vec![
        tenant.id().to_string(),
        tenant.slug.clone(),
        tenant.name.clone(),
        shown::time(tenant.created_at),
        deletion(tenant),
    ]
}

/// How far it is, in words.
fn deletion(tenant: &tenant::Model) -> String {
    let rows = tenant.erased_rows;
    match (tenant.erasing_since, tenant.erased_at) {
        (None, _) => "no".to_owned(),
        (Some(since), None) => format!("since {}, {rows} rows so far", shown::time(since)),
        (Some(_), Some(at)) => format!("done {}, {rows} rows", shown::time(at)),
    }
}

/// One with its figures.
pub(super) fn print_one(
    tenant: &tenant::Model,
    figures: &Figures,
    retention: &Retention,
    as_json: bool,
    now: i64,
) -> Result<(), Error> {
    if as_json {
        shown::print_json(&in_json(tenant, figures, retention)?);
        return Ok(());
    }
    for (what, figure) in in_words(tenant, figures, retention, now)? {
        shown::say(format_args!("{what:<14}{figure}"));
    }
    Ok(())
}

fn in_json(tenant: &tenant::Model, figures: &Figures, retention: &Retention) -> Result<Value, Error> {
    let oldest_due = figures.oldest_due.map(|at| shown::json(&time(at)));
    Ok(json!({
        "tenant": shown::json(&Tenant::show(tenant, retention)?),
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

type Line = (&'static str, String);

fn in_words(tenant: &tenant::Model, figures: &Figures, retention: &Retention, now: i64) -> Result<Vec<Line>, Error> {
    let at_least = |count: i64| if count < MOST { count.to_string() } else { format!("at least {count}") };
    let limits = tenant.limits()?;
    let rate = match limits.events {
        None => "as many events as come".to_owned(),
        Some(rate) => format!("{} events a second, {} at once", rate.per_second, rate.burst),
    };
    let of = |count: i64, counted| format!("{count} of {}", limits.most(counted));
    let (payload, metadata) = tenant.retention(retention)?.days();
    let oldest = figures.oldest_due.map(|at| format!("; the oldest is due for {} s", (now - at) / 1_000));
    let (held, oldest) = (format!(", {} of them held", figures.held), oldest.unwrap_or_default());
    Ok(vec![
        ("id", tenant.id().to_string()),
        ("slug", tenant.slug.clone()),
        ("name", shown::plain(&tenant.name)),
        ("created", shown::time(tenant.created_at)),
        ("deletion", deletion(tenant)),
        ("rate", rate),
        ("keeps", format!("bodies for {payload} days, all else for {metadata}")),
        ("sources", of(figures.sources, Counted::Sources)),
        ("destinations", of(figures.destinations, Counted::Destinations)),
        ("subscriptions", of(figures.subscriptions, Counted::Subscriptions)),
        ("pending", format!("{} deliveries{held}{oldest}", at_least(figures.pending))),
        ("last 24 hours", format!("{} events, {} bytes", at_least(figures.events), figures.bytes)),
    ])
}
