//! What a tenant hears of its own destinations: events of its built-in source, subscribed to like those of any other, in
//! the transaction of what happened.

use chrono::{DateTime, SecondsFormat};
use relay::id::DeliveryId;
use relay::order::Order;
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Value, json};

use crate::destination;
use crate::ingest::{self, NewDelivery, NewEvent};
use crate::source::built_in;
use crate::subscription::{self, About, Rule};

/// What happened to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    Paused,
    Resumed,
    Disabled,
    Healed,
}

impl Happening {
    /// The event's type; see `relay::preset::BUILT_IN`.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Paused => "destination.paused",
            Self::Resumed => "destination.resumed",
            Self::Disabled => "destination.disabled",
            Self::Healed => "destination.healed",
        }
    }
}

/// Stores the event and its deliveries. `row` is the destination as it is from now on.
pub async fn tell(
    txn: &impl ConnectionTrait,
    row: &destination::Model,
    happening: Happening,
    now: i64,
) -> Result<(), DbErr> {
    let rules = subscription::rules(txn, row.tenant()).await?;
    ingest::insert(txn, &event(row, happening, &rules, now)).await
}

fn event(row: &destination::Model, happening: Happening, rules: &[Rule], now: i64) -> NewEvent {
    let event_type = happening.event_type();
    let destination_id = row.id().to_string();
    let body = json!({
        "type": event_type,
        "timestamp": time(now),
        "data": {
            "destination_id": destination_id,
            "name": row.name,
            "state": row.state,
            "state_reason": row.state_reason,
        },
    });
    let own = NewEvent::of_ours(row.tenant(), event_type.to_owned(), &body, now);
    let about = About { destination: Some(row.id()), ..About::of_type(built_in::id(row.tenant()), event_type) };
    let matching = rules.iter().filter(|rule| rule.matches(&about));
    let line = |rule: &Rule| match &rule.order {
        Order::None => None,
        order => line_of(order, &body),
    };
    let delivery = |rule: &Rule| NewDelivery {
        id: DeliveryId::at(own.id.millis()),
        subscription_id: rule.id,
        destination_id: rule.destination_id,
        order_key: line(rule),
        due_at: now,
    };
    NewEvent {
        source_id: Some(built_in::id(row.tenant())),
        attributes: json!({ "destination_id": destination_id, "state": row.state }).to_string(),
        deliveries: matching.map(delivery).collect(),
        ..own
    }
}

fn line_of(order: &Order, body: &Value) -> Option<i32> {
    let (headers, body) = (http::HeaderMap::new(), body.to_string());
    order.line(&relay::inbound::Inbound {
        method: "POST",
        headers: &headers,
        path: "",
        query: None,
        body: body.as_bytes(),
    })
}

fn time(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use relay::id::{DestinationId, SubscriptionId, TenantId};
    use relay::preset::{self, Extract};

    use super::*;
    use crate::destination::tests::row;
    use crate::subscription::Origin;

    fn rule(destination: i64, operational: bool) -> Rule {
        Rule {
            id: SubscriptionId::at(destination),
            destination_id: DestinationId::at(destination),
            source_ids: None,
            event_types: vec!["destination.*".parse().unwrap()],
            origin: Origin::Any,
            filter: Ok(None),
            enabled: true,
            order: Order::None,
            operational,
        }
    }

    #[test]
    fn what_is_stored_is_what_the_preset_says_of_it() {
        let row = row(TenantId::at(1), DestinationId::at(2));
        for happening in [Happening::Paused, Happening::Resumed, Happening::Disabled, Happening::Healed] {
            let event = event(&row, happening, &[], 1_000);
            let event_type = preset::BUILT_IN.event_type(happening.event_type()).unwrap();
            let keys = |text: &str| {
                let body: Value = serde_json::from_str(text).unwrap();
                let data: Vec<String> = body["data"].as_object().unwrap().keys().cloned().collect();
                (body.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), data)
            };
            let body = std::str::from_utf8(&event.body).unwrap();
            assert_eq!(keys(body), keys(event_type.samples[0]));
            let headers = http::HeaderMap::new();
            let inbound =
                relay::inbound::Inbound { method: "POST", headers: &headers, path: "", query: None, body: &event.body };
            let read = Extract::of(preset::BUILT_IN, &Extract::default()).read(preset::BUILT_IN, &inbound);
            assert_eq!((read.event_type, read.occurred_at), (event.event_type, event.occurred_at));
            let attributes: std::collections::BTreeMap<_, _> = read.attributes.into_iter().collect();
            assert_eq!(serde_json::to_value(attributes).unwrap().to_string(), event.attributes);
        }
    }

    #[test]
    fn no_destination_hears_of_itself_and_only_who_wants_to_hears_of_others() {
        let row = row(TenantId::at(1), DestinationId::at(2));
        let mine = Rule { destination_id: row.id(), ..rule(1, true) };
        let named = Rule { source_ids: Some(vec![built_in::id(row.tenant())]), ..rule(5, false) };
        let rules = [mine, rule(3, true), rule(4, false), named];
        let event = event(&row, Happening::Disabled, &rules, 1_000);
        let told: Vec<_> = event.deliveries.iter().map(|delivery| delivery.subscription_id).collect();
        assert_eq!(told, [rules[1].id, rules[3].id]);
    }
}
