//! What a tenant says about a subscription, as its row.

use entity::{Transaction, destination, source, subscription};
use relay::event_type::Pattern;
use relay::filter;
use relay::id::{DestinationId, SourceId, SubscriptionId, TenantId, kind};

use super::super::{keyed, set, set_or};
use super::{NewSubscription, SubscriptionPatch, origin};
use crate::error::{Error, Trouble};
use crate::wire::{Filter, Id, Text};

/// A new subscription, made at `now`. Nobody deletes its destination until the transaction ends.
pub(super) async fn new(
    txn: &Transaction,
    tenant: TenantId,
    now: i64,
    body: NewSubscription,
) -> Result<subscription::Model, Error> {
    let destination = own_destination(txn, tenant, *body.destination_id).await?;
    let sources = own_sources(txn, tenant, body.source_ids).await?;
    let (origin, origin_wait_s) = body.origin.unwrap_or_default().with_wait(body.origin_wait_s)?.columns();
    Ok(subscription::Model {
        tenant_id: tenant.uuid(),
        id: SubscriptionId::at(now).uuid(),
        destination_id: destination.uuid(),
        source_ids: sources,
        event_types: patterns(body.event_types),
        origin,
        origin_wait_s,
        filter: body.filter.map(filter_column).transpose()?,
        enabled: body.enabled.unwrap_or(true),
        key: keyed::column(body.key),
        version: 1,
        created_at: now,
    })
}

/// A subscription as a PUT has it: like a new one that was told the same.
pub(super) async fn put(
    txn: &Transaction,
    row: &subscription::Model,
    body: NewSubscription,
) -> Result<subscription::Model, Error> {
    let subscription::Model { id, key, version, created_at, .. } = row.clone();
    let wanted = new(txn, row.tenant_id.into(), created_at, body).await?;
    if wanted.destination_id != row.destination_id {
        return Err(keyed::fixed("/destination_id", &row.destination().to_string()));
    }
    Ok(subscription::Model { id, key, version, created_at, ..wanted })
}

/// Writes what a PATCH names.
pub(super) async fn patch(
    txn: &Transaction,
    row: &mut subscription::Model,
    body: SubscriptionPatch,
) -> Result<(), Error> {
    if !body.source_ids.is_undefined() {
        row.source_ids = own_sources(txn, row.tenant_id.into(), body.source_ids.take()).await?;
    }
    set(&mut row.event_types, body.event_types.map_value(patterns), "/event_types")?;
    let origin = origin::patched(row.origin()?, body.origin, body.origin_wait_s)?;
    (row.origin, row.origin_wait_s) = origin.columns();
    if !body.filter.is_undefined() {
        row.filter = body.filter.take().map(filter_column).transpose()?;
    }
    set_or(&mut row.enabled, body.enabled, true);
    Ok(())
}

/// A destination of the tenant, which nobody deletes until the transaction ends. Another tenant's reads like none.
pub(super) async fn own_destination(
    txn: &Transaction,
    tenant: TenantId,
    id: DestinationId,
) -> Result<DestinationId, Error> {
    let found = destination::lock(txn, tenant, id).await?;
    found.map(|row| row.id()).ok_or_else(|| Error::field("/destination_id", "there is no such destination"))
}

/// The column for these sources, if all are the tenant's. Another tenant's read like none.
async fn own_sources(
    txn: &Transaction,
    tenant: TenantId,
    ids: Option<Vec<Id<kind::Source>>>,
) -> Result<Option<String>, Error> {
    let Some(ids) = ids else { return Ok(None) };
    let ids: Vec<SourceId> = ids.into_iter().map(|id| id.0).collect();
    let own = source::existing(txn, tenant, &ids).await?;
    let unknown = ids.iter().enumerate().filter(|(_, id)| !own.contains(id));
    let troubles: Vec<_> =
        unknown.map(|(place, _)| Trouble::field(format!("/source_ids/{place}"), "there is no such source")).collect();
    if troubles.is_empty() { Ok(subscription::sources_column(Some(&ids))) } else { Err(Error::Invalid(troubles)) }
}

/// The column for this filter, or what is wrong in it, and where.
fn filter_column(said: Filter) -> Result<String, Error> {
    let read = filter::Filter::try_from(said.0);
    let wrong =
        |wrong: filter::NotAFilter| Error::field(format!("/filter{}", wrong.pointer), wrong.mistake.to_string());
    read.map(|filter| subscription::filter_column(&filter)).map_err(wrong)
}

/// A filter as it is shown.
pub(super) fn shown_filter(column: &str) -> Result<Filter, Error> {
    serde_json::from_str(column).map(Filter).map_err(|error| Error::Fault(error.into()))
}

fn patterns(said: Vec<Text<Pattern>>) -> String {
    subscription::patterns_column(&said.into_iter().map(|pattern| pattern.0).collect::<Vec<_>>())
}
