//! What is stored of a request, whoever made it: what it says of itself, without what authenticated it, and a delivery for
//! each subscription that wants it.

use bytes::Bytes;
use entity::ingest::{NewDelivery, NewEvent};
use entity::source::Configured;
use entity::subscription::{About, Rule, Rules};
use relay::id::{DeliveryId, EventId, SourceId};
use relay::inbound::Inbound;
use relay::order::Order;
use relay::preset::Extracted;

use super::{hops, sameness, stored};

/// The event that a source makes of a request at this time. `body` is the request's own.
pub(crate) fn of(source: &Configured, rules: &Rules, inbound: &Inbound<'_>, body: Bytes, now: i64) -> NewEvent {
    let id = EventId::at(now);
    let secrets = stored::Secrets::of(source);
    // What authenticated the request is not there for an extraction: it would be shown to whoever may read events.
    let (headers, query) = (secrets.without(inbound.headers), inbound.query.map(|query| secrets.query(query)));
    let visible = Inbound { headers: &headers, query: query.as_deref(), ..*inbound };
    let said = source.extract.read(source.preset(), &visible);
    let deliveries = matching(rules, source.source.id(), (&said, &visible), id);
    NewEvent {
        tenant_id: source.source.tenant(),
        id,
        source_id: Some(source.source.id()),
        received_at: now,
        method: inbound.method.to_owned(),
        path: inbound.path.to_owned(),
        query,
        remote_address: None,
        content_type: stored::content_type(inbound.headers),
        test: false,
        hops: hops(inbound.headers),
        attributes: sameness::attributes(&said),
        headers: relay::stored::column(&secrets.headers(inbound.headers)),
        dedupe: sameness::key(source, &said, &body, now),
        deliveries,
        event_type: said.event_type,
        derived_type: said.derived_type,
        external_id: said.external_id,
        request_id: said.request_id,
        occurred_at: said.occurred_at,
        body,
        sealed: None,
    }
}

fn matching<'a>(
    rules: &'a Rules,
    source: SourceId,
    (said, inbound): (&Extracted, &Inbound<'_>),
    event: EventId,
) -> Vec<NewDelivery> {
    let about = About {
        source: Some(source),
        event_type: said.event_type.as_deref(),
        derived_type: said.derived_type.as_deref(),
        request_id: said.request_id.as_deref(),
        is_operational: false,
        destination: None,
    };
    let matching = rules.matching(&about);
    // Many rules may ask for the same key, and the body may be long.
    let mut lines: Vec<(&Order, Option<i32>)> = Vec::new();
    let mut line = |order: &'a Order| {
        if let Some((_, line)) = lines.iter().find(|(known, _)| *known == order) {
            return *line;
        }
        let line = order.line(inbound);
        lines.push((order, line));
        line
    };
    let delivery = |rule: &'a Rule| NewDelivery {
        id: DeliveryId::at(event.millis()),
        subscription_id: rule.id,
        destination_id: rule.destination_id,
        order_key: line(&rule.order),
        due_at: event.millis() + rule.origin.wait_ms(about.request_id),
    };
    matching.map(delivery).collect()
}
