//! Unfinished and finished deliveries read as one collection: in one statement, so that a row on its way from one table
//! to the other is neither missed nor seen twice.

use relay::id::{DeliveryId, DestinationId, EventId, ReplayId, SubscriptionId, TenantId};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::{State, Trigger};
use crate::attempt::Outcome;
use crate::event::{self, Marks};
use crate::search::{self, Range, Read};

mod ways;

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
    /// Why it ended as it did, or what it waits for.
    pub reason: Option<String>,
    pub attempts: i16,
    /// None if it is finished or waits for its destination.
    pub next_attempt_at: Option<i64>,
    pub last_status: Option<i16>,
    /// What the last attempt came to.
    pub last_outcome: Option<Outcome>,
    /// How long the last attempt took.
    pub duration_ms: Option<i32>,
    /// When the last attempt began.
    pub attempted_at: Option<i64>,
    /// Where the last attempt went.
    pub remote_address: Option<String>,
    pub trigger: Trigger,
    /// The finished delivery that this one repeats.
    pub retry_of: Option<DeliveryId>,
    /// The replay of many that made it.
    pub replay_id: Option<ReplayId>,
    pub finished_at: Option<i64>,
}

/// What a list of deliveries is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub event_id: Option<EventId>,
    pub destination_id: Option<DestinationId>,
    pub subscription_id: Option<SubscriptionId>,
    pub replay_id: Option<ReplayId>,
    pub state: Option<State>,
    /// With [`State::Pending`]: only those that are held, or only those that are not.
    pub held: Option<bool>,
    pub trigger: Option<Trigger>,
    /// What the destination answered last, from the first status to the second.
    pub last_status: Option<(i16, i16)>,
    /// What the last attempt came to.
    pub last_outcome: Option<Outcome>,
    /// What their events are known by.
    pub event: Marks,
}

impl Filter {
    /// Whether anything is asked of deliveries themselves.
    #[must_use]
    pub fn is_of_deliveries(&self) -> bool {
        self.event_id.is_some()
            || self.destination_id.is_some()
            || self.subscription_id.is_some()
            || self.replay_id.is_some()
            || self.state.is_some()
            || self.trigger.is_some()
            || self.last_status.is_some()
            || self.last_outcome.is_some()
    }
}

/// A part of a tenant's deliveries.
pub async fn search(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: &Filter,
    range: &Range,
) -> Result<Read<Row>, DbErr> {
    // What their events are known by is asked of few events first, where it can be.
    let known = match filter.event_id {
        None if filter.event.has_id() => events(db, tenant, &filter.event).await?,
        _ => None,
    };
    let only =
        Filter { event: if known.is_some() { Marks::default() } else { filter.event.clone() }, ..filter.clone() };
    let events = known.or_else(|| filter.event_id.map(|id| vec![id]));
    let found = search::read(db, ways::of(tenant, &only, events.as_deref(), range), range).await?;
    let rows = found.rows.iter().map(Row::read).collect::<Result<_, _>>()?;
    Ok(Read { rows, until: found.until })
}

/// If there are no more events than this, their deliveries are looked for by them.
const FEW: usize = 50;

/// The events that have a provider's id, or were led to by one call: mostly one. None: they are more than a few.
async fn events(db: &impl ConnectionTrait, tenant: TenantId, marks: &Marks) -> Result<Option<Vec<EventId>>, DbErr> {
    let filter = event::Filter { marks: marks.clone(), matched: None };
    let found = event::search(db, tenant, &filter, &Range::newest(None, FEW as u64 + 1)).await?;
    let are_all = found.rows.len() <= FEW && found.until.is_none();
    Ok(are_all.then(|| found.rows.iter().map(event::Model::id).collect()))
}

/// A tenant's delivery.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: DeliveryId) -> Result<Option<Row>, DbErr> {
    let range = Range::newest(None, 1);
    let found = search::read(db, ways::of_these(tenant, &[id], &range), &range).await?;
    found.rows.first().map(Row::read).transpose()
}

/// A tenant's deliveries of these ids, in no order. Not for many at a time.
pub async fn these(db: &impl ConnectionTrait, tenant: TenantId, ids: &[DeliveryId]) -> Result<Vec<Row>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let range = Range::newest(None, ids.len() as u64);
    let found = search::read(db, ways::of_these(tenant, ids, &range), &range).await?;
    found.rows.iter().map(Row::read).collect()
}

/// What a row waits for that is not merely due later.
fn waits_for(state: Option<&str>, why: Option<&str>, is_parked: bool) -> Option<String> {
    match state {
        Some("active") | None if is_parked => {
            Some("it waits in line: its destination takes less than comes, or is left alone for a while".to_owned())
        }
        Some("active") | None => None,
        Some(state) => Some(match why {
            Some(why) => format!("its destination is {state}: {why}"),
            None => format!("its destination is {state}"),
        }),
    }
}

impl Row {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let state = State::from_number(row.try_get("", "state")?);
        let destination_state: Option<String> = row.try_get("", "destination_state")?;
        let destination_state = destination_state.as_deref().filter(|_| state == State::Pending);
        let due_at: Option<i64> = row.try_get("", "due_at")?;
        let reason: Option<String> = row.try_get("", "reason")?;
        let reason = match state {
            State::Pending => waits_for(destination_state, reason.as_deref(), due_at == Some(relay::clock::NEVER)),
            _ => reason,
        };
        Ok(Self {
            id: row.try_get::<Uuid>("", "id")?.into(),
            event_id: row.try_get::<Uuid>("", "event_id")?.into(),
            subscription_id: row.try_get::<Option<Uuid>>("", "subscription_id")?.map(Into::into),
            destination_id: row.try_get::<Uuid>("", "destination_id")?.into(),
            state,
            held: destination_state.is_some_and(|state| state != "active"),
            reason,
            attempts: row.try_get("", "attempts")?,
            next_attempt_at: due_at.filter(|at| *at != relay::clock::NEVER),
            last_status: row.try_get("", "last_status")?,
            last_outcome: row.try_get::<Option<i16>>("", "last_outcome")?.map(Outcome::from_number),
            duration_ms: row.try_get("", "duration_ms")?,
            attempted_at: row.try_get("", "attempted_at")?,
            remote_address: row.try_get("", "remote_address")?,
            trigger: Trigger::from_number(row.try_get("", "trigger")?),
            retry_of: row.try_get::<Option<Uuid>>("", "retry_of")?.map(Into::into),
            replay_id: row.try_get::<Option<Uuid>>("", "replay_id")?.map(Into::into),
            finished_at: row.try_get("", "finished_at")?,
        })
    }
}
