//! Many events or deliveries that are sent again, a part at a time: how far it came is in its row, written with what that
//! part made.

use relay::id::{DeliveryId, DestinationId, EventId, ReplayId, SourceId, SubscriptionId, TenantId, first_of};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LockBehavior;
use sea_orm::sea_query::LockType;
use sea_orm::{Condition, DbBackend, IntoActiveModel, QueryOrder, QuerySelect, Statement, Value};
use serde::{Deserialize, Serialize};

use crate::command::Kind;
use crate::delivery::State;
use crate::{Database, delivery, event};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replay")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// JSON, see [`Wanted`].
    pub filter: String,
    /// JSON; None: where each event or delivery goes by itself.
    pub destination_ids: Option<String>,
    /// Deliveries in a second; None: as fast as they are delivered.
    pub rate: Option<i32>,
    pub dry_run: bool,
    /// See [`Stage`].
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// The last event or delivery that this stage looked at.
    pub position: Option<Uuid>,
    /// All was looked at; what is left is to be delivered.
    pub is_read: bool,
    /// What was counted before anything was sent.
    pub planned_events: i64,
    pub planned_deliveries: i64,
    /// What was sent so far.
    pub events: i64,
    pub deliveries: i64,
    /// What was found, but cannot be sent: its body is gone, or its destination.
    pub skipped: i64,
    /// It is not gone on with before.
    pub next_at: i64,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What it would send is counted.
    Counting,
    /// It sends.
    Running,
    /// All of it was delivered, or has failed; or it was only to be counted.
    Completed,
    Cancelled,
    Failed,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Counting, Self::Running, Self::Completed, Self::Cancelled, Self::Failed];

    /// As rows store it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What is sent again. If anything is asked of deliveries, the deliveries that fit; else the events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<DestinationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<SubscriptionId>,
    /// A finished state's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status: Option<(i16, i16)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<i16>,
    /// Received, or made, at this millisecond or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Earlier than this; at the latest when the replay was made.
    pub before: i64,
}

impl Wanted {
    fn marks(&self) -> event::Marks {
        event::Marks {
            source_id: self.source_id,
            event_type: self.event_type.clone(),
            external_id: self.external_id.clone(),
            request_id: self.request_id.clone(),
            test: Some(false),
        }
    }

    /// Of events.
    #[must_use]
    pub fn events(&self) -> event::Filter {
        event::Filter { marks: self.marks(), matched: self.matched }
    }

    /// Of deliveries, if anything is asked of them.
    #[must_use]
    pub fn deliveries(&self) -> Option<delivery::Filter> {
        let filter = delivery::Filter {
            destination_id: self.destination_id,
            subscription_id: self.subscription_id,
            state: self.state.map(State::from_number),
            last_status: self.last_status,
            last_outcome: self.last_outcome.map(crate::attempt::Outcome::from_number),
            event: self.marks(),
            ..delivery::Filter::default()
        };
        filter.is_of_deliveries().then_some(filter)
    }
}

impl Model {
    #[must_use]
    pub fn id(&self) -> ReplayId {
        self.id.into()
    }

    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant_id.into()
    }

    /// How far it is.
    pub fn stage(&self) -> Result<Stage, DbErr> {
        let known = Stage::ALL.into_iter().find(|stage| stage.as_str() == self.state);
        known.ok_or_else(|| DbErr::Type(format!("no stage of a replay is called {}", self.state)))
    }

    /// What it sends again.
    pub fn wanted(&self) -> Result<Wanted, DbErr> {
        serde_json::from_str(&self.filter).map_err(|error| DbErr::Json(error.to_string()))
    }

    /// Where to; None: where each event or delivery goes by itself.
    pub fn destinations(&self) -> Result<Option<Vec<DestinationId>>, DbErr> {
        let read = |column: &str| serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()));
        self.destination_ids.as_deref().map(read).transpose()
    }

    /// It ends so.
    #[must_use]
    pub fn ended(self, stage: Stage, now: i64) -> Self {
        Self { state: stage.as_str().to_owned(), finished_at: Some(now), ..self }
    }
}

/// A new one.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

/// A tenant's replay.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: ReplayId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// A tenant's replay that nobody else changes until the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait, tenant: TenantId, id: ReplayId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).lock_exclusive().one(txn).await
}

/// The same, unless somebody else changes it now.
pub async fn lock_idle(txn: &impl ConnectionTrait, tenant: TenantId, id: ReplayId) -> Result<Option<Model>, DbErr> {
    let row = Entity::find_by_id((tenant.uuid(), id.uuid()));
    row.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).one(txn).await
}

/// A tenant's replays from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    before: Option<ReplayId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let older = before.map(|id| Column::Id.lt(id.uuid()));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// How many of a tenant's are not finished.
pub async fn open_of(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64, DbErr> {
    Entity::find().filter(Column::TenantId.eq(tenant.uuid())).filter(Column::FinishedAt.is_null()).count(db).await
}

/// Unfinished ones that can be gone on with, of all tenants: those first that have waited longest.
pub async fn open(db: &impl ConnectionTrait, now: i64, limit: u64) -> Result<Vec<Model>, DbErr> {
    let open = Condition::all().add(Column::FinishedAt.is_null()).add(Column::NextAt.lte(now));
    Entity::find().filter(open).order_by_asc(Column::NextAt).order_by_asc(Column::Id).limit(limit).all(db).await
}

/// How many deliveries it made are not finished, counted up to `most`.
pub async fn unfinished(db: &impl ConnectionTrait, row: &Model, most: u64) -> Result<u64, DbErr> {
    let text = format!(
        "SELECT count(*) FROM (SELECT 1 FROM pending WHERE tenant_id = $1 AND replay_id = $2 LIMIT {most}) AS unfinished"
    );
    let values: [Value; 2] = [row.tenant_id.into(), row.id.into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    let count: i64 = row.ok_or_else(|| DbErr::RecordNotFound("count".into()))?.try_get_by_index(0)?;
    Ok(count.unsigned_abs())
}

/// Deliveries in one state are counted up to here: a person looks again and again while many are sent.
pub const MOST_COUNTED: i64 = 100_000;

/// What became of the deliveries it made: how many are in each state, up to [`MOST_COUNTED`].
pub async fn outcomes(db: &impl ConnectionTrait, row: &Model) -> Result<Vec<(State, i64)>, DbErr> {
    let arm = |state: State| {
        let number = state.number();
        let from = if state == State::Pending { "pending".to_owned() } else { "delivery".to_owned() };
        let only = if state == State::Pending { String::new() } else { format!(" AND state = {number}") };
        format!(
            "SELECT CAST({number} AS smallint), count(*) FROM (SELECT 1 FROM {from}
                WHERE tenant_id = $1 AND replay_id = $2{only} LIMIT {MOST_COUNTED}) AS some_{number}"
        )
    };
    let states = [State::Pending, State::Delivered, State::Failed, State::Filtered, State::Cancelled];
    let text = states.map(arm).join(" UNION ALL ");
    let values: [Value; 2] = [row.tenant_id.into(), row.id.into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    rows.iter().map(|row| Ok((State::from_number(row.try_get_by_index(0)?), row.try_get_by_index(1)?))).collect()
}

/// Forgets those that were finished before `before`, of one tenant or of all, a few at a time.
pub(crate) async fn forget(db: &Database, tenant: Option<TenantId>, before: i64) -> Result<(), DbErr> {
    const AT_A_TIME: u64 = 500;
    loop {
        let of = tenant.map(|tenant| Column::TenantId.eq(tenant.uuid()));
        let old = Condition::all().add(Column::FinishedAt.lt(before)).add_option(of.clone());
        let ids = Entity::find().select_only().column(Column::Id).filter(old).limit(AT_A_TIME);
        let ids: Vec<Uuid> = ids.into_tuple().all(&db.finish).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let these = Condition::all().add(Column::Id.is_in(ids)).add_option(of);
        Entity::delete_many().filter(these).exec(&db.finish).await?;
    }
}

/// Has the owners end what it made and is not finished: one command for each destination, since a person waits for it.
pub async fn cancel_rest(txn: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let text = "INSERT INTO command (shard, tenant_id, kind, destination_id, target)
        SELECT DISTINCT shard, tenant_id, CAST($3 AS smallint), destination_id, replay_id
        FROM pending WHERE tenant_id = $1 AND replay_id = $2";
    let values: [Value; 3] = [row.tenant_id.into(), row.id.into(), Kind::CancelReplay.number().into()];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// A delivery of an event that somebody asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub id: DeliveryId,
    pub event_id: EventId,
    pub destination_id: DestinationId,
    pub subscription_id: Option<SubscriptionId>,
    pub replay_id: Option<ReplayId>,
    pub state: State,
    pub last_status: Option<i16>,
    pub last_outcome: Option<i16>,
}

/// The deliveries of these events that somebody asked for, finished or not.
pub async fn asked_of(db: &impl ConnectionTrait, tenant: TenantId, events: &[EventId]) -> Result<Vec<Asked>, DbErr> {
    let Some(oldest) = events.iter().map(|id| id.millis()).min() else { return Ok(Vec::new()) };
    let places = (3..events.len() + 3).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    const COLUMNS: &str = "id, event_id, destination_id, subscription_id, replay_id";
    // Event by event where a plan is kept, or it may read all that waits of the tenant (decision 46).
    let waiting = if db.get_database_backend() == DbBackend::Sqlite {
        format!("pending WHERE tenant_id = $1 AND trigger <> 0 AND event_id IN ({places})")
    } else {
        format!(
            "unnest(ARRAY[{places}]) x(event) CROSS JOIN LATERAL
                (SELECT * FROM pending p WHERE p.tenant_id = $1 AND p.trigger <> 0 AND p.event_id = x.event OFFSET 0) p"
        )
    };
    // None is older than its event, and days before that need not be looked at.
    let text = format!(
        "SELECT {COLUMNS}, CAST(0 AS smallint), last_status, last_outcome FROM {waiting}
        UNION ALL SELECT {COLUMNS}, state, last_status, last_outcome FROM delivery
        WHERE tenant_id = $1 AND id >= $2 AND trigger <> 0 AND event_id IN ({places})"
    );
    let bounds = [tenant.uuid(), first_of(oldest)].into_iter();
    let values = bounds.chain(events.iter().map(|id| id.uuid())).map(Value::from);
    let statement = Statement::from_sql_and_values(db.get_database_backend(), text, values);
    let rows = db.query_all_raw(statement).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok(Asked {
            id: row.try_get_by_index::<Uuid>(0)?.into(),
            event_id: row.try_get_by_index::<Uuid>(1)?.into(),
            destination_id: row.try_get_by_index::<Uuid>(2)?.into(),
            subscription_id: row.try_get_by_index::<Option<Uuid>>(3)?.map(Into::into),
            replay_id: row.try_get_by_index::<Option<Uuid>>(4)?.map(Into::into),
            state: State::from_number(row.try_get_by_index(5)?),
            last_status: row.try_get_by_index(6)?,
            last_outcome: row.try_get_by_index(7)?,
        })
    };
    rows.iter().map(read).collect()
}
