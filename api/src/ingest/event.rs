//! What is stored of a request, whoever made it: what it says of itself, without what authenticated it, and a delivery for
//! each subscription that wants it.

use bytes::Bytes;
use entity::ingest::{NewDelivery, NewEvent};
use entity::source::Configured;
use entity::subscription::Rule;
use relay::id::{DeliveryId, EventId, SourceId};
use relay::inbound::Inbound;
use relay::preset::Extracted;

use super::{hops, sameness, stored};

/// The event that a source makes of a request at this time. `body` is the request's own.
pub(crate) fn of(source: &Configured, rules: &[Rule], inbound: &Inbound<'_>, body: Bytes, now: i64) -> NewEvent {
    let id = EventId::at(now);
    let secrets = stored::Secrets::of(source);
    // What authenticated the request is not there for an extraction: it would be shown to whoever may read events.
    let (headers, query) = (secrets.without(inbound.headers), inbound.query.map(|query| secrets.query(query)));
    let visible = Inbound { headers: &headers, query: query.as_deref(), ..*inbound };
    let said = source.extract.read(source.preset(), &visible);
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
        headers: stored::text(&secrets.headers(inbound.headers)),
        dedupe: sameness::key(source, &said, &body, now),
        deliveries: matching(rules, source.source.id(), &said, id),
        event_type: said.event_type,
        derived_type: said.derived_type,
        external_id: said.external_id,
        request_id: said.request_id,
        occurred_at: said.occurred_at,
        body,
    }
}

fn matching(rules: &[Rule], source: SourceId, said: &Extracted, event: EventId) -> Vec<NewDelivery> {
    let (event_type, derived) = (said.event_type.as_deref(), said.derived_type.as_deref());
    let request = said.request_id.as_deref();
    let matching = rules.iter().filter(|rule| rule.matches(Some(source), event_type, derived, request));
    let delivery = |rule: &Rule| NewDelivery {
        id: DeliveryId::at(event.millis()),
        subscription_id: rule.id,
        destination_id: rule.destination_id,
        due_at: event.millis() + rule.origin.wait_ms(request),
    };
    matching.map(delivery).collect()
}
