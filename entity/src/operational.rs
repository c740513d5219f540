//! What a tenant hears of its own things: events of its built-in source, subscribed to like those of any other, in the
//! transaction of what happened.

use chrono::{DateTime, SecondsFormat};
use relay::id::{DeliveryId, DestinationId, SourceId, TenantId};
use relay::order::Order;
use relay::quota::Rate;
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ingest::{self, NewDelivery, NewEvent};
use crate::source::built_in;
use crate::subscription::{self, About, Rule, Rules};
use crate::{destination, notice};

/// Something that a tenant hears of.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub tenant: TenantId,
    /// See `relay::preset::BUILT_IN`.
    pub event_type: &'static str,
    /// The destination that it is of, if of one: that one is not told.
    pub destination: Option<DestinationId>,
    /// What the body has as `data`.
    pub data: Value,
}

/// What happened to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    Paused,
    Resumed,
    Disabled,
    Healed,
}

impl Happening {
    /// The event's type.
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

/// A delivery that failed for good, as its tenant is told of it.
#[derive(Debug, Clone)]
pub struct Failed {
    pub delivery: DeliveryId,
    pub event: relay::id::EventId,
    pub event_type: Option<String>,
    pub reason: Option<String>,
    pub last_status: Option<i16>,
}

impl Notice {
    /// `row` is the destination as it is from now on.
    #[must_use]
    pub fn of_destination(row: &destination::Model, happening: Happening) -> Self {
        let data = json!({ "state_reason": row.state_reason });
        Self::about(row, happening.event_type(), data)
    }

    /// A destination has failed for a while, without a success.
    #[must_use]
    pub fn failing(row: &destination::Model, since: i64) -> Self {
        Self::about(row, "destination.failing", json!({ "failing_since": time(since) }))
    }

    /// What waits for a destination will be given up soon.
    #[must_use]
    pub fn expiring(row: &destination::Model, oldest: i64, expires_at: i64) -> Self {
        let data = json!({ "waiting_since": time(oldest), "expires_at": time(expires_at) });
        Self::about(row, "destination.expiring", data)
    }

    /// `count` deliveries to a destination failed for good, these among them.
    #[must_use]
    pub fn failed(row: &destination::Model, count: usize, some: &[Failed]) -> Self {
        let shown = |failed: &Failed| {
            json!({
                "delivery_id": failed.delivery.to_string(),
                "event_id": failed.event.to_string(),
                "event_type": failed.event_type,
                "reason": failed.reason,
                "last_status": failed.last_status,
            })
        };
        let deliveries: Vec<Value> = some.iter().map(shown).collect();
        Self::about(row, "delivery.failed", json!({ "count": count, "deliveries": deliveries }))
    }

    /// A source refuses requests; `causes` are those of the last few minutes.
    #[must_use]
    pub fn rejecting(tenant: TenantId, (source, name): (SourceId, &str), refused: u64, causes: &[&str]) -> Self {
        let data = json!({ "source_id": source.to_string(), "name": name, "refused": refused, "causes": causes });
        Self { tenant, event_type: "source.rejecting", destination: None, data }
    }

    /// Little is left of what the tenant, or one of its sources, may send in a second.
    #[must_use]
    pub fn rate_near(tenant: TenantId, source: Option<(SourceId, &str)>, rate: Rate) -> Self {
        let quota = if source.is_some() { "rate_limit" } else { "events_per_s" };
        Self::near(tenant, quota, source, json!({ "per_second": rate.per_second, "burst": rate.burst }))
    }

    /// Few more things of a kind may be added to the tenant, or to one of its sources: `used` of `limit` are there. `quota`
    /// is what operators call it, see `Limits` of the API.
    #[must_use]
    pub fn count_near(
        tenant: TenantId,
        quota: &'static str,
        source: Option<(SourceId, &str)>,
        (used, limit): (u64, u32),
    ) -> Self {
        Self::near(tenant, quota, source, json!({ "used": used, "limit": limit }))
    }

    /// Every such notice has the same fields.
    fn near(tenant: TenantId, quota: &'static str, source: Option<(SourceId, &str)>, more: Value) -> Self {
        let (id, name) = source.unzip();
        let mut data = json!({
            "quota": quota,
            "source_id": id.map(|id: SourceId| id.to_string()),
            "name": name,
            "per_second": null,
            "burst": null,
            "limit": null,
            "used": null,
        });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        Self { tenant, event_type: "quota.near", destination: None, data }
    }

    fn about(row: &destination::Model, event_type: &'static str, more: Value) -> Self {
        let mut data = Map::from_iter([
            ("destination_id".to_owned(), row.id().to_string().into()),
            ("name".to_owned(), row.name.clone().into()),
            ("state".to_owned(), row.state.clone().into()),
        ]);
        if let Value::Object(more) = more {
            data.extend(more);
        }
        Self { tenant: row.tenant(), event_type, destination: Some(row.id()), data: data.into() }
    }
}

/// Stores the event and its deliveries.
pub async fn tell(txn: &impl ConnectionTrait, notice: &Notice, now: i64) -> Result<(), DbErr> {
    let rules = subscription::rules(txn, notice.tenant).await?;
    ingest::insert(txn, &event(notice, &rules, now)).await
}

/// The same, if any subscription wants it: what nobody did is no event of a tenant that does not ask for it.
pub async fn tell_if_wanted(txn: &impl ConnectionTrait, notice: &Notice, now: i64) -> Result<(), DbErr> {
    let rules = subscription::rules(txn, notice.tenant).await?;
    let event = event(notice, &rules, now);
    if event.deliveries.is_empty() { Ok(()) } else { ingest::insert(txn, &event).await }
}

/// What is seen by many, and again and again, is told once an hour: in milliseconds.
pub const QUIET_MS: i64 = 3_600_000;

/// The same, unless it was told within the hour; `kind` and `object` are what it is told by.
pub async fn tell_hourly(
    txn: &impl ConnectionTrait,
    (kind, object): (&str, Uuid),
    notice: &Notice,
    now: i64,
) -> Result<(), DbErr> {
    if notice::claim(txn, notice.tenant, (kind, object), now - QUIET_MS, now).await? {
        tell_if_wanted(txn, notice, now).await?;
    }
    Ok(())
}

/// The event, with its deliveries.
pub(crate) fn event(notice: &Notice, rules: &Rules, now: i64) -> NewEvent {
    let body = json!({ "type": notice.event_type, "timestamp": time(now), "data": notice.data });
    let own = NewEvent::of_ours(notice.tenant, notice.event_type.to_owned(), &body, now);
    let about = About::operational(notice.tenant, notice.event_type, notice.destination);
    let matching = rules.matching(&about);
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
        source_id: Some(built_in::id(notice.tenant)),
        attributes: attributes(&notice.data),
        deliveries: matching.map(delivery).collect(),
        ..own
    }
}

/// What is extracted of the body, as the preset says.
fn attributes(data: &Value) -> String {
    let told = ["destination_id", "source_id", "state"].into_iter();
    let told = told.filter_map(|name| Some((name.to_owned(), data[name].as_str()?.into())));
    Value::Object(told.collect()).to_string()
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
    use relay::id::SubscriptionId;
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
        let (tenant, row) = (TenantId::at(1), row(TenantId::at(1), DestinationId::at(2)));
        let happened = [Happening::Paused, Happening::Resumed, Happening::Disabled, Happening::Healed];
        let happened = happened.map(|happening| Notice::of_destination(&row, happening));
        let failed = Failed {
            delivery: DeliveryId::at(3),
            event: relay::id::EventId::at(3),
            event_type: Some("a.b".into()),
            reason: Some("attempts exhausted".into()),
            last_status: Some(503),
        };
        let others = [
            Notice::failing(&row, 5),
            Notice::expiring(&row, 5, 6),
            Notice::failed(&row, 1, &[failed]),
            Notice::rejecting(tenant, (SourceId::at(4), "Stripe"), 10, &["signature_wrong"]),
            Notice::rate_near(tenant, Some((SourceId::at(4), "Stripe")), Rate { per_second: 10, burst: 20 }),
            Notice::rate_near(tenant, None, Rate { per_second: 10, burst: 20 }),
            Notice::count_near(tenant, "sources", None, (9, 10)),
        ];
        let notices: Vec<Notice> = happened.into_iter().chain(others).collect();
        let types = notices.iter().map(|notice| notice.event_type).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(types.len(), preset::BUILT_IN.event_types.len(), "each that is documented");
        for notice in notices {
            let event = event(&notice, &Rules::default(), 1_000);
            let event_type = preset::BUILT_IN.event_type(notice.event_type).unwrap();
            let keys = |text: &str| {
                let body: Value = serde_json::from_str(text).unwrap();
                let data: Vec<String> = body["data"].as_object().unwrap().keys().cloned().collect();
                (body.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), data)
            };
            let body = std::str::from_utf8(&event.body).unwrap();
            for sample in event_type.samples {
                assert_eq!(keys(body), keys(sample));
            }
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
        let rules = Rules::of(vec![mine, rule(3, true), rule(4, false), named]);
        let event = event(&Notice::of_destination(&row, Happening::Disabled), &rules, 1_000);
        let told: Vec<_> = event.deliveries.iter().map(|delivery| delivery.subscription_id).collect();
        assert_eq!(told, [rules[1].id, rules[3].id]);
    }
}
