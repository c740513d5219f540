//! One accepted request, immutable, without its headers and body.

use relay::id::{EventId, SourceId, TenantId};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, FromQueryResult, Value};

use crate::search::{self, Keys, Range, Read, Sql, Way};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// None for tests of a destination.
    pub source_id: Option<Uuid>,
    pub event_type: Option<String>,
    pub derived_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
    pub method: String,
    /// What follows the source key.
    pub path: String,
    pub query: Option<String>,
    pub remote_address: Option<String>,
    pub content_type: Option<String>,
    /// Bytes of the body.
    pub size: i32,
    /// How many subscriptions matched.
    pub matched: i32,
    /// How often its external id came again.
    pub duplicates: i32,
    pub test: bool,
    pub hops: i16,
    /// A JSON object of texts: what the source extracts besides.
    pub attributes: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What an event is known by.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    pub source_id: Option<SourceId>,
    /// The type, or the finer one that the preset derived.
    pub event_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    pub test: Option<bool>,
}

/// What a list of events is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub marks: Marks,
    /// Whether any subscription matched.
    pub matched: Option<bool>,
}

impl Model {
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id.into()
    }

    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.source_id.map(Into::into)
    }
}

impl Marks {
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.test.is_none() && self.source_id.is_none() && self.event_type.is_none() && !self.has_id()
    }

    /// Whether few events have them.
    #[must_use]
    pub fn has_id(&self) -> bool {
        self.external_id.is_some() || self.request_id.is_some()
    }

    /// What must hold of the event `r`, but of the mark that an index serves, in a form that keeps SQLite from the others.
    fn check(&self, checked: &mut Sql, served: Served) {
        if let Some(id) = self.source_id.filter(|_| served != Served::Source) {
            checked.with(" AND COALESCE(r.source_id, r.source_id) = ?", id.uuid());
        }
        if let Some(text) = self.event_type.as_deref().filter(|_| served != Served::Type) {
            checked.with(" AND (COALESCE(r.event_type, r.event_type) = ?", text);
            checked.with(" OR COALESCE(r.derived_type, r.derived_type) = ?)", text);
        }
        if let Some(id) = self.external_id.as_deref().filter(|_| served != Served::External) {
            checked.with(" AND COALESCE(r.external_id, r.external_id) = ?", id);
        }
        if let Some(id) = self.request_id.as_deref().filter(|_| served != Served::Request) {
            checked.with(" AND COALESCE(r.request_id, r.request_id) = ?", id);
        }
        if let Some(test) = self.test {
            checked.push(if test { " AND r.test" } else { " AND NOT r.test" });
        }
    }

    /// What must hold of the event of the delivery `r`. A sub-select, which PostgreSQL does not turn into a join: it would
    /// read all events of a type.
    pub(crate) fn check_of_delivery(&self, checked: &mut Sql) {
        if self.is_none() {
            return;
        }
        checked.push(" AND (SELECT true");
        if let Some(id) = self.source_id {
            checked.with(" AND e.source_id = ?", id.uuid());
        }
        if let Some(text) = self.event_type.as_deref() {
            checked.with(" AND (e.event_type = ?", text);
            checked.with(" OR e.derived_type = ?)", text);
        }
        if let Some(id) = self.external_id.as_deref() {
            checked.with(" AND e.external_id = ?", id);
        }
        if let Some(id) = self.request_id.as_deref() {
            checked.with(" AND e.request_id = ?", id);
        }
        if let Some(test) = self.test {
            checked.push(if test { " AND e.test" } else { " AND NOT e.test" });
        }
        checked.push(" FROM event e WHERE e.tenant_id = r.tenant_id AND e.id = r.event_id)");
    }
}

/// The mark that an index serves, and nothing need be checked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    External,
    Request,
    Type,
    Source,
    Nothing,
}

impl Filter {
    /// By the index that promises the fewest rows. A type is looked for in two.
    fn ways(&self, tenant: TenantId, range: &Range) -> Vec<Way> {
        let (marks, keys) = (&self.marks, Keys::of(tenant, range));
        let served = match marks {
            Marks { external_id: Some(_), .. } => Served::External,
            Marks { request_id: Some(_), .. } => Served::Request,
            Marks { event_type: Some(_), .. } => Served::Type,
            Marks { source_id: Some(_), .. } => Served::Source,
            _ => Served::Nothing,
        };
        let mut checked = Sql::default();
        marks.check(&mut checked, served);
        if let Some(any) = self.matched {
            checked.push(if any { " AND r.matched > 0" } else { " AND r.matched = 0" });
        }
        let way = |condition: &str, value: Option<Value>| {
            let mut keyed = Sql::default();
            if let Some(value) = value {
                keyed.with(condition, value);
            }
            Way {
                select: "SELECT r.*",
                from: " FROM event r",
                join: "",
                keys,
                keyed,
                checked: checked.clone(),
                sorts: false,
            }
        };
        match served {
            Served::External => vec![way(" AND r.external_id = ?", marks.external_id.clone().map(Into::into))],
            Served::Request => vec![way(" AND r.request_id = ?", marks.request_id.clone().map(Into::into))],
            Served::Source => vec![way(" AND r.source_id = ?", marks.source_id.map(|id| id.uuid().into()))],
            Served::Nothing => vec![way("", None)],
            Served::Type => {
                let text = marks.event_type.clone().unwrap_or_default();
                let plain = way(" AND r.event_type = ?", Some(text.clone().into()));
                let mut finer = way(" AND r.derived_type = ?", Some(text.clone().into()));
                finer.checked.with(" AND (r.event_type IS NULL OR COALESCE(r.event_type, r.event_type) <> ?)", text);
                vec![plain, finer]
            }
        }
    }
}

/// A tenant's event.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: EventId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// A tenant's events of these ids, in no order.
pub async fn these(db: &impl ConnectionTrait, tenant: TenantId, ids: &[EventId]) -> Result<Vec<Model>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of = Condition::all().add(Column::TenantId.eq(tenant.uuid()));
    Entity::find().filter(of.add(Column::Id.is_in(ids.iter().map(|id| id.uuid())))).all(db).await
}

/// A part of a tenant's events.
pub async fn search(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: &Filter,
    range: &Range,
) -> Result<Read<Model>, DbErr> {
    let found = search::read(db, filter.ways(tenant, range), range).await?;
    let rows = found.rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Read { rows, until: found.until })
}
