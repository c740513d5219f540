//! Unfinished and finished deliveries read as one collection: in one statement, so that a row on its way from one table
//! to the other is neither missed nor seen twice.

use relay::id::{DeliveryId, DestinationId, EventId, SubscriptionId, TenantId, first_of};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use super::{State, Trigger};

/// A delivery, wherever its row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: DeliveryId,
    pub event_id: EventId,
    /// None for tests and forced replays.
    pub subscription_id: Option<SubscriptionId>,
    pub destination_id: DestinationId,
    pub state: State,
    /// Unfinished, and its destination is paused or disabled.
    pub held: bool,
    /// Why it ended as it did.
    pub reason: Option<String>,
    pub attempts: i16,
    /// None if it is finished or waits for its destination.
    pub next_attempt_at: Option<i64>,
    pub last_status: Option<i16>,
    /// How long the last attempt took.
    pub duration_ms: Option<i32>,
    /// When the last attempt began.
    pub attempted_at: Option<i64>,
    /// Where the last attempt went.
    pub remote_address: Option<String>,
    pub trigger: Trigger,
    /// The finished delivery that this one repeats.
    pub retry_of: Option<DeliveryId>,
    pub finished_at: Option<i64>,
}

/// What a list of deliveries is narrowed to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    pub event_id: Option<EventId>,
    pub destination_id: Option<DestinationId>,
    pub subscription_id: Option<SubscriptionId>,
    pub state: Option<State>,
    /// With [`State::Pending`]: only those that are held, or only those that are not.
    pub held: Option<bool>,
    pub last_status: Option<i16>,
    /// Made at this millisecond or later.
    pub after: Option<i64>,
    /// Made earlier than this millisecond.
    pub before: Option<i64>,
}

/// A tenant's deliveries from before `cursor`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: Filter,
    cursor: Option<DeliveryId>,
    limit: u64,
) -> Result<Vec<Row>, DbErr> {
    let mut query = Query::of(tenant);
    if let Some(cursor) = cursor {
        query.and("r.id < $", cursor.uuid());
    }
    query.narrow(&filter);
    query.rows(db, limit).await
}

/// A tenant's delivery.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: DeliveryId) -> Result<Option<Row>, DbErr> {
    let mut query = Query::of(tenant);
    query.and("r.id = $", id.uuid());
    Ok(query.rows(db, 1).await?.pop())
}

/// The casts give NULL a type, since PostgreSQL takes it for text where a sub-select ends.
const UNFINISHED: &str = "SELECT r.id, r.event_id, r.subscription_id, r.destination_id, CAST(0 AS smallint) AS state,
    CAST(NULL AS text) AS reason, r.attempts, r.due_at, r.last_status, CAST(NULL AS integer) AS duration_ms,
    CAST(NULL AS bigint) AS attempted_at, CAST(NULL AS text) AS remote_address, r.trigger, r.retry_of,
    CAST(NULL AS bigint) AS finished_at, d.state AS destination_state
    FROM pending r LEFT JOIN destination d ON d.tenant_id = r.tenant_id AND d.id = r.destination_id
    WHERE r.tenant_id = $1";

const FINISHED: &str = "SELECT r.id, r.event_id, r.subscription_id, r.destination_id, r.state,
    r.reason, r.attempts, CAST(NULL AS bigint) AS due_at, r.last_status, r.duration_ms,
    r.attempted_at, r.remote_address, r.trigger, r.retry_of,
    r.finished_at, CAST(NULL AS text) AS destination_state
    FROM delivery r WHERE r.tenant_id = $1";

/// The order of the key.
const BY_KEY: &str = "ORDER BY r.id DESC";
/// The same order, in a form that keeps SQLite from walking the whole key for it where another index finds the few rows.
const BY_SORTING: &str = "ORDER BY COALESCE(r.id, r.id) DESC";

/// A statement in the making; `r` is the row of either table.
struct Query {
    values: Vec<Value>,
    /// Holds for rows of both tables.
    both: String,
    /// Conditions and orders. No row holds two of the conditions, and each is read by an index of its own.
    ways: Vec<(String, &'static str)>,
    /// Holds for unfinished rows; None: none is wanted.
    unfinished: Option<String>,
    /// Holds for finished rows; None: none is wanted.
    finished: Option<String>,
}

impl Query {
    fn of(tenant: TenantId) -> Self {
        let (unfinished, finished) = (Some(String::new()), Some(String::new()));
        let ways = vec![(String::new(), BY_KEY)];
        Self { values: vec![tenant.uuid().into()], both: String::new(), ways, unfinished, finished }
    }

    /// The place of a value in the statement.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// A further condition, in which `$` stands for the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.bind(value);
        self.both += " AND ";
        self.both += &condition.replace('$', &place);
    }

    fn narrow(&mut self, filter: &Filter) {
        if let Some(id) = filter.event_id {
            self.of_event(id);
        }
        if let Some(id) = filter.destination_id {
            self.and("r.destination_id = $", id.uuid());
        }
        if let Some(id) = filter.subscription_id {
            self.and("r.subscription_id = $", id.uuid());
        }
        if let Some(status) = filter.last_status {
            self.and("r.last_status = $", status);
        }
        if let Some(at) = filter.after {
            self.and("r.id >= $", first_of(at));
        }
        if let Some(at) = filter.before {
            self.and("r.id < $", first_of(at));
        }
        if let Some(state) = filter.state {
            self.in_state(state, filter.held);
        }
    }

    /// An event's first deliveries share its millisecond, so they are a range of the key; the others have an index. As one
    /// condition, SQLite would read all deliveries of the tenant.
    fn of_event(&mut self, id: EventId) {
        self.and("r.event_id = $", id.uuid());
        let (first, end) = (self.bind(first_of(id.millis())), self.bind(first_of(id.millis() + 1)));
        let with_it = format!("r.id >= {first} AND r.id < {end}");
        let later = format!(" AND r.trigger <> 0 AND NOT ({with_it})");
        self.ways = vec![(format!(" AND {with_it}"), BY_KEY), (later, BY_SORTING)];
    }

    fn in_state(&mut self, state: State, held: Option<bool>) {
        if state != State::Pending {
            let number = self.bind(state.number());
            self.unfinished = None;
            self.finished = Some(format!(" AND r.state = {number}"));
            return;
        }
        self.finished = None;
        self.unfinished = Some(match held {
            Some(true) => " AND d.state <> 'active'".to_owned(),
            Some(false) => " AND (d.state = 'active' OR d.state IS NULL)".to_owned(),
            None => String::new(),
        });
    }

    async fn rows(mut self, db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Row>, DbErr> {
        let limit = self.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let tables = [(UNFINISHED, &self.unfinished), (FINISHED, &self.finished)];
        let mut arms = Vec::new();
        for (select, only) in tables.into_iter().filter_map(|(select, only)| Some((select, only.as_ref()?))) {
            for (way, order) in &self.ways {
                arms.push(format!("SELECT * FROM ({select}{}{only}{way} {order} LIMIT {limit}) AS arm", self.both));
            }
        }
        let arms = arms.join(" UNION ALL ");
        let text = format!("SELECT * FROM ({arms}) AS r {BY_KEY} LIMIT {limit}");
        let statement = Statement::from_sql_and_values(db.get_database_backend(), text, self.values);
        db.query_all_raw(statement).await?.iter().map(Row::read).collect()
    }
}

impl Row {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let state = State::from_number(row.try_get("", "state")?);
        let destination_state: Option<String> = row.try_get("", "destination_state")?;
        let due_at: Option<i64> = row.try_get("", "due_at")?;
        Ok(Self {
            id: row.try_get::<Uuid>("", "id")?.into(),
            event_id: row.try_get::<Uuid>("", "event_id")?.into(),
            subscription_id: row.try_get::<Option<Uuid>>("", "subscription_id")?.map(Into::into),
            destination_id: row.try_get::<Uuid>("", "destination_id")?.into(),
            state,
            held: state == State::Pending && destination_state.is_some_and(|state| state != "active"),
            reason: row.try_get("", "reason")?,
            attempts: row.try_get("", "attempts")?,
            next_attempt_at: due_at.filter(|at| *at != relay::clock::NEVER),
            last_status: row.try_get("", "last_status")?,
            duration_ms: row.try_get("", "duration_ms")?,
            attempted_at: row.try_get("", "attempted_at")?,
            remote_address: row.try_get("", "remote_address")?,
            trigger: Trigger::from_number(row.try_get("", "trigger")?),
            retry_of: row.try_get::<Option<Uuid>>("", "retry_of")?.map(Into::into),
            finished_at: row.try_get("", "finished_at")?,
        })
    }
}
