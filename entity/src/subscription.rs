//! Which events of which sources go to which destination.

use std::collections::{HashMap, HashSet};

use relay::event_type::Pattern;
use relay::filter::Filter;
use relay::id::{DestinationId, SourceId, SubscriptionId, TenantId};
use relay::order::Order;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect};
use serde::de::DeserializeOwned;

use crate::source::built_in;
use crate::work::Work;
use crate::{destination, event};

mod origin;
mod rules;

pub use origin::{Origin, USUAL_WAIT_S};
pub use rules::Rules;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub destination_id: Uuid,
    /// A JSON array; None for all sources.
    pub source_ids: Option<String>,
    /// A JSON array.
    pub event_types: String,
    /// See [`Model::origin`].
    pub origin: String,
    /// Seconds, where they mean something.
    pub origin_wait_s: Option<i16>,
    /// See [`Model::filter`].
    pub filter: Option<String>,
    pub enabled: bool,
    /// What its tenant calls it, if it said so; unique among its subscriptions.
    pub key: Option<String>,
    pub version: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A subscription as it is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub id: SubscriptionId,
    pub destination_id: DestinationId,
    /// None for all sources.
    pub source_ids: Option<Vec<SourceId>>,
    pub event_types: Vec<Pattern>,
    pub origin: Origin,
    /// What must hold of the event itself. One that cannot be read costs the subscription's own deliveries and no other's.
    pub filter: Result<Option<Filter>, Unreadable>,
    pub enabled: bool,
    /// Its destination's.
    pub order: Order,
    /// Whether its destination wants to hear of the others, too.
    pub operational: bool,
}

/// A stored filter that is none: written by hand, or by a release that knew more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the subscription's filter cannot be read: {0}")]
pub struct Unreadable(String);

/// What of an event subscriptions go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    pub source: Option<SourceId>,
    pub event_type: Option<&'a str>,
    /// The finer type that its preset derived.
    pub derived_type: Option<&'a str>,
    pub request_id: Option<&'a str>,
    /// Whether it is of the built-in source: what happens to the tenant's own things.
    pub is_operational: bool,
    /// The destination that it tells of then, if any.
    pub destination: Option<DestinationId>,
}

/// Why a subscription does not want an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    Disabled,
    /// It listens to other sources.
    Source,
    /// It listens to all sources, which are the built-in one only for a destination that is `operational`.
    NotOperational,
    /// The event tells of its own destination.
    OwnDestination,
    Origin,
    EventType,
}

impl<'a> About<'a> {
    /// What is told of a tenant's own things, and of this destination if of one.
    #[must_use]
    pub fn operational(tenant: TenantId, event_type: &'a str, destination: Option<DestinationId>) -> Self {
        let (source, event_type) = (Some(built_in::id(tenant)), Some(event_type));
        Self { source, event_type, is_operational: true, destination, ..Self::default() }
    }

    /// An event with its payload.
    #[must_use]
    pub fn of_work(tenant: TenantId, work: &'a Work) -> Self {
        let is_built_in = work.source_id.is_some_and(|source| built_in::is(tenant, source));
        let told = work.attributes.get("destination_id").filter(|_| is_built_in);
        Self {
            source: work.source_id,
            event_type: work.event_type.as_deref(),
            derived_type: work.derived_type.as_deref(),
            request_id: work.request_id.as_deref(),
            is_operational: is_built_in,
            destination: told.and_then(|id| id.parse().ok()),
        }
    }

    /// A stored event. `attributes` is its column.
    #[must_use]
    pub fn of(event: &'a event::Model) -> Self {
        let is_built_in = event.source().is_some_and(|source| built_in::is(event.tenant_id.into(), source));
        let told = || serde_json::from_str::<HashMap<String, String>>(&event.attributes).ok()?.remove("destination_id");
        Self {
            source: event.source(),
            event_type: event.event_type.as_deref(),
            derived_type: event.derived_type.as_deref(),
            request_id: event.request_id.as_deref(),
            is_operational: is_built_in,
            destination: is_built_in.then(told).flatten().and_then(|id| id.parse().ok()),
        }
    }
}

impl Rule {
    /// Whether an event is wanted, as far as is known when it is accepted.
    #[must_use]
    pub fn matches(&self, about: &About<'_>) -> bool {
        self.unwanted(about).is_none()
    }

    /// Why an event is not wanted, if it is not.
    #[must_use]
    pub fn unwanted(&self, about: &About<'_>) -> Option<Unwanted> {
        let listens = |source: Option<SourceId>| match &self.source_ids {
            None => true,
            Some(ids) => source.is_some_and(|source| ids.contains(&source)),
        };
        let is_of_type = || self.event_types.iter().any(|it| it.matches_either(about.event_type, about.derived_type));
        let is_deaf = || about.is_operational && self.source_ids.is_none() && !self.operational;
        Some(match about.destination {
            _ if !self.enabled => Unwanted::Disabled,
            _ if !listens(about.source) => Unwanted::Source,
            _ if is_deaf() => Unwanted::NotOperational,
            Some(told) if told == self.destination_id => Unwanted::OwnDestination,
            _ if !self.origin.admits(about.request_id) => Unwanted::Origin,
            _ if !is_of_type() => Unwanted::EventType,
            _ => return None,
        })
    }
}

impl Model {
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.id.into()
    }

    #[must_use]
    pub fn destination(&self) -> DestinationId {
        self.destination_id.into()
    }

    /// The sources it listens to; None for all.
    pub fn sources(&self) -> Result<Option<Vec<SourceId>>, DbErr> {
        self.source_ids.as_deref().map(read).transpose()
    }

    /// The types it wants.
    pub fn patterns(&self) -> Result<Vec<Pattern>, DbErr> {
        read(&self.event_types)
    }

    /// Who must have begun what an event tells of.
    pub fn origin(&self) -> Result<Origin, DbErr> {
        Origin::read(&self.origin, self.origin_wait_s)
    }

    /// What must hold of the event itself; None where everything is wanted.
    pub fn filter(&self) -> Result<Option<Filter>, Unreadable> {
        let read = |column: &str| serde_json::from_str(column).map_err(|error| Unreadable(error.to_string()));
        self.filter.as_deref().map(read).transpose()
    }

    fn rule(&self, destinations: &HashMap<Uuid, destination::Settings>) -> Result<Rule, DbErr> {
        let settings = destinations.get(&self.destination_id);
        Ok(Rule {
            id: self.id(),
            destination_id: self.destination(),
            source_ids: self.sources()?,
            event_types: self.patterns()?,
            origin: self.origin()?,
            filter: self.filter(),
            enabled: self.enabled,
            order: settings.map(|settings| settings.order.clone()).unwrap_or_default(),
            operational: settings.is_some_and(|settings| settings.operational),
        })
    }
}

fn read<T: DeserializeOwned>(column: &str) -> Result<T, DbErr> {
    serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()))
}

/// What the column says for these sources.
#[must_use]
pub fn sources_column(sources: Option<&[SourceId]>) -> Option<String> {
    sources.map(|ids| serde_json::to_string(ids).expect("ids are text"))
}

/// What the column says for this filter.
#[must_use]
pub fn filter_column(filter: &Filter) -> String {
    serde_json::to_string(filter).expect("it was JSON")
}

/// What the column says for these patterns.
#[must_use]
pub fn patterns_column(patterns: &[Pattern]) -> String {
    serde_json::to_string(patterns).expect("patterns are text")
}

/// A tenant's subscriptions as they are matched, enabled or not, each with what its destination wants of an event.
pub async fn rules(db: &impl ConnectionTrait, tenant: TenantId) -> Result<Rules, DbErr> {
    let rows = Entity::find().filter(Column::TenantId.eq(tenant.uuid())).all(db).await?;
    let destinations = if rows.is_empty() { HashMap::new() } else { destination::settings(db, tenant).await? };
    rows.iter().map(|row| row.rule(&destinations)).collect::<Result<_, _>>().map(Rules::of)
}

/// A tenant's subscription.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: SubscriptionId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// Which of these ids are subscriptions of this tenant.
pub async fn those_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl IntoIterator<Item = SubscriptionId>,
) -> Result<HashSet<SubscriptionId>, DbErr> {
    let these = Column::Id.is_in(ids.into_iter().map(relay::id::Id::uuid));
    let found = Entity::find().filter(Column::TenantId.eq(tenant.uuid())).filter(these);
    let ids: Vec<(Uuid,)> = found.select_only().column(Column::Id).into_tuple().all(db).await?;
    Ok(ids.into_iter().map(|(id,)| id.into()).collect())
}

/// A tenant's subscription that nobody else changes until the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait, tenant: TenantId, id: SubscriptionId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).lock_exclusive().one(txn).await
}

/// A tenant's subscription of this key, which nobody else changes until the transaction ends.
pub async fn lock_by_key(txn: &impl ConnectionTrait, tenant: TenantId, key: &str) -> Result<Option<Model>, DbErr> {
    let of_key = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::Key.eq(key));
    Entity::find().filter(of_key).lock_exclusive().one(txn).await
}

/// How many a tenant has.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64, DbErr> {
    Entity::find().filter(Column::TenantId.eq(tenant.uuid())).count(db).await
}

/// A tenant's subscriptions from before `before`, newest first: of this key, if one is given.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    key: Option<&str>,
    before: Option<SubscriptionId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let (of_key, older) = (key.map(|key| Column::Key.eq(key)), before.map(|id| Column::Id.lt(id.uuid())));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(of_key).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A new subscription.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

/// The subscription is gone.
pub async fn delete(txn: &impl ConnectionTrait, tenant: TenantId, id: SubscriptionId) -> Result<(), DbErr> {
    Entity::delete_by_id((tenant.uuid(), id.uuid())).exec(txn).await.map(drop)
}

/// The subscriptions to a destination are gone with it.
pub async fn delete_of(txn: &impl ConnectionTrait, tenant: TenantId, destination: DestinationId) -> Result<(), DbErr> {
    let of = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::DestinationId.eq(destination.uuid()));
    Entity::delete_many().filter(of).exec(txn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_wants_its_sources_and_its_types() {
        let [here, there] = [1, 2].map(SourceId::at);
        let rule = |sources: Option<Vec<SourceId>>, types: &[&str], enabled| Rule {
            id: SubscriptionId::at(1),
            destination_id: DestinationId::at(1),
            source_ids: sources,
            event_types: types.iter().map(|text| text.parse().unwrap()).collect(),
            origin: Origin::WithRequestId,
            filter: Ok(None),
            enabled,
            order: Order::None,
            operational: false,
        };
        let about = |source, request_id| About {
            source,
            event_type: Some("a.b"),
            derived_type: Some("c.d"),
            request_id,
            is_operational: false,
            destination: None,
        };
        for (rule, source, wanted) in [
            (rule(None, &["*"], true), Some(here), true),
            (rule(None, &["*"], true), None, true),
            (rule(None, &["*"], false), Some(here), false),
            (rule(Some(vec![here]), &["*"], true), Some(here), true),
            (rule(Some(vec![here]), &["*"], true), Some(there), false),
            (rule(Some(vec![here]), &["*"], true), None, false),
            (rule(Some(vec![]), &["*"], true), Some(here), false),
            (rule(None, &["a.b"], true), Some(here), true),
            (rule(None, &["x", "c.*"], true), Some(here), true),
            (rule(None, &["a"], true), Some(here), false),
            (rule(None, &[], true), Some(here), false),
        ] {
            assert_eq!(rule.matches(&about(source, Some("r"))), wanted, "{rule:?} {source:?}");
            assert!(!rule.matches(&about(source, None)), "without a request: {rule:?} {source:?}");
        }
    }

    #[test]
    fn the_columns_read_back() {
        let ids = [SourceId::at(1)];
        let patterns: Vec<Pattern> = vec!["*".parse().unwrap(), "a.*".parse().unwrap()];
        assert_eq!(read::<Vec<SourceId>>(&sources_column(Some(&ids)).unwrap()).unwrap(), ids);
        assert_eq!(sources_column(None), None);
        assert_eq!(read::<Vec<Pattern>>(&patterns_column(&patterns)).unwrap(), patterns);
    }
}
