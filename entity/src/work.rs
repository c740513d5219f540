//! What an attempt needs of its event, read when a slot is free.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use relay::filter::{Filter, Mismatch, Subject};
use relay::id::{EventId, SourceId, TenantId};
use relay::stored::Headers;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;
use crate::ingest::NewEvent;
use crate::payload_key::{KeyError, Owner, PayloadKeys, SEALED};
use crate::source::built_in;

/// Relays beyond which an event is taken for one that runs in a circle.
const MOST_HOPS: i16 = 3;

/// An event with its payload, as deliveries carry it.
#[derive(Debug, Clone)]
pub struct Work {
    /// None for tests of a destination.
    pub source_id: Option<SourceId>,
    pub event_type: Option<String>,
    pub derived_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    /// Without what authenticated the request.
    pub query: Option<String>,
    /// What the source extracts besides.
    pub attributes: BTreeMap<String, String>,
    pub test: bool,
    pub hops: i16,
    /// A JSON array of `[name, value]`, values as Latin-1.
    pub headers: String,
    pub body: Bytes,
}

impl Work {
    /// An event as it would be read once it is stored.
    pub fn of(event: NewEvent) -> Result<Self, DbErr> {
        Ok(Self {
            source_id: event.source_id,
            event_type: event.event_type,
            derived_type: event.derived_type,
            external_id: event.external_id,
            request_id: event.request_id,
            query: event.query,
            attributes: attributes(&event.attributes)?,
            test: event.test,
            hops: event.hops,
            headers: event.headers,
            body: event.body,
        })
    }

    /// Whether a provider's request brought it to this tenant: no test, and nothing that the relay says itself.
    #[must_use]
    pub fn was_received(&self, tenant: TenantId) -> bool {
        !self.test && self.source_id.is_some_and(|source| !built_in::is(tenant, source))
    }

    /// Whether it went through so many relays that it is sent nowhere.
    #[must_use]
    pub fn runs_in_a_circle(&self) -> bool {
        self.hops > MOST_HOPS
    }

    /// Whether a filter holds of it, and if not, which of its clauses does not.
    pub fn passes(&self, filter: &Filter) -> Result<(), Mismatch> {
        let headers = Headers::read(&self.headers).texts();
        let (query, attributes) = (self.query.as_deref(), &self.attributes);
        filter.check(&Subject { body: &self.body, headers: &headers, query, attributes })
    }

    async fn opened(self, keys: &PayloadKeys, of: Owner) -> Result<Self, KeyError> {
        let (headers, body) = keys.open(of, self.headers, self.body).await?;
        Ok(Self { headers, body, ..self })
    }

    /// As its row has it.
    fn read(row: &QueryResult) -> Result<(EventId, Self), DbErr> {
        let work = Self {
            source_id: row.try_get_by_index::<Option<Uuid>>(1)?.map(Into::into),
            event_type: row.try_get_by_index(2)?,
            derived_type: row.try_get_by_index(3)?,
            external_id: row.try_get_by_index(4)?,
            request_id: row.try_get_by_index(5)?,
            query: row.try_get_by_index(6)?,
            attributes: attributes(&row.try_get_by_index::<String>(7)?)?,
            test: row.try_get_by_index(8)?,
            hops: row.try_get_by_index(9)?,
            headers: row.try_get_by_index(10)?,
            body: row.try_get_by_index::<Vec<u8>>(11)?.into(),
        };
        Ok((row.try_get_by_index::<Uuid>(0)?.into(), work))
    }
}

fn attributes(column: &str) -> Result<BTreeMap<String, String>, DbErr> {
    // Most events have none, and most of the work is theirs.
    if column == "{}" {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()))
}

const COLUMNS: &str =
    "e.id, e.source_id, e.event_type, e.derived_type, e.external_id, e.request_id, e.query, e.attributes,
    e.test, e.hops, y.headers, y.body";

/// The events of these deliveries; one whose payload has expired is missing. What cannot be opened keeps no other from being
/// read.
pub async fn read(
    db: &Database,
    payload_keys: &PayloadKeys,
    events: &[(TenantId, EventId)],
) -> Result<HashMap<EventId, Result<Work, KeyError>>, DbErr> {
    let tenants: HashMap<EventId, TenantId> = events.iter().map(|(tenant, event)| (*event, *tenant)).collect();
    let rows = rows(db, events).await?;
    let sealed = rows.iter().filter(|(_, work)| work.headers == SEALED);
    payload_keys.prepare(sealed.filter_map(|(event, _)| tenants.get(event).copied())).await?;
    let mut works = HashMap::with_capacity(events.len());
    for (event, work) in rows {
        let Some(tenant) = tenants.get(&event) else { continue };
        let work = match work.opened(payload_keys, Owner::Event(*tenant, event)).await {
            Err(KeyError::Database(error)) => return Err(error),
            work => work,
        };
        works.insert(event, work);
    }
    Ok(works)
}

/// PostgreSQL looks each of them up by itself, which `LIMIT 1` leaves no doubt about: as a plain join it may take them for so
/// few of the newest that it reads all of those. The smallest and largest id stand in the statement so that only the days
/// between them are opened.
async fn rows(db: &Database, keys: &[(TenantId, EventId)]) -> Result<Vec<(EventId, Work)>, DbErr> {
    let (Some(lowest), Some(highest)) =
        (keys.iter().map(|(_, event)| event.uuid()).min(), keys.iter().map(|(_, event)| event.uuid()).max())
    else {
        return Ok(Vec::new());
    };
    if db.is_sqlite() {
        return read_one_by_one(db, keys).await;
    }
    let text = format!(
        "SELECT {COLUMNS} FROM unnest($1::uuid[], $2::uuid[]) x(tenant_id, id)
        CROSS JOIN LATERAL (SELECT * FROM event e
            WHERE e.tenant_id = x.tenant_id AND e.id = x.id AND e.id >= $3 AND e.id <= $4 LIMIT 1) e
        CROSS JOIN LATERAL (SELECT headers, body FROM payload y
            WHERE y.tenant_id = x.tenant_id AND y.event_id = x.id AND y.event_id >= $3 AND y.event_id <= $4 LIMIT 1) y"
    );
    let array = |values: Vec<Value>| Value::Array(ArrayType::Uuid, Some(Box::new(values)));
    let values: [Value; 4] = [
        array(keys.iter().map(|(tenant, _)| tenant.uuid().into()).collect()),
        array(keys.iter().map(|(_, event)| event.uuid().into()).collect()),
        lowest.into(),
        highest.into(),
    ];
    let rows = db.steady.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values)).await?;
    rows.iter().map(Work::read).collect()
}

async fn read_one_by_one(db: &Database, keys: &[(TenantId, EventId)]) -> Result<Vec<(EventId, Work)>, DbErr> {
    let text = format!(
        "SELECT {COLUMNS} FROM event e JOIN payload y ON y.tenant_id = e.tenant_id AND y.event_id = e.id
        WHERE e.tenant_id = $1 AND e.id = $2"
    );
    let mut found = Vec::with_capacity(keys.len());
    for (tenant, event) in keys {
        let values: [Value; 2] = [tenant.uuid().into(), event.uuid().into()];
        let row = db.steady.query_one_raw(Statement::from_sql_and_values(DbBackend::Sqlite, &text, values)).await?;
        found.extend(row.as_ref().map(Work::read).transpose()?);
    }
    Ok(found)
}
