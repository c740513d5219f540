//! Replays of many: what was received, or what was not delivered, sent again.

use entity::delivery::State;
use entity::replay::{self, Stage};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::id::{DestinationId, ReplayId, TenantId, kind};

use super::Tag;
use crate::answer::{Accepted, Found, Nothing};
use crate::auth::{Access, Caller, Scope};
use crate::error::{Error, Trouble};
use crate::input::{Input, Search};
use crate::mutation::{Done, Mutation};
use crate::page::{Listing, Page};
use crate::wire::{Id, Time, time};

mod filter;

pub use filter::{FinishedState, ReplayFilter};

/// What is to be sent again.
#[derive(Debug, Object)]
pub struct NewReplay {
    pub filter: ReplayFilter,
    /// Where to. Without it, events go to the destinations of all enabled subscriptions that match them by then, and
    /// deliveries to their own destinations.
    #[oai(nullable, validator(min_items = 1, max_items = 100, unique_items))]
    pub destination_ids: Option<Vec<Id<kind::Destination>>>,
    /// Deliveries in a second. Without it, as fast as they are delivered.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "10000")))]
    pub rate: Option<i32>,
    /// Whether it is only counted, and nothing sent.
    #[oai(nullable)]
    pub dry_run: Option<bool>,
}

/// Many events or deliveries that are sent again, oldest first: each as a new delivery with the event's own id.
#[derive(Debug, Object)]
pub struct Replay {
    pub id: Id<kind::Replay>,
    pub state: ReplayState,
    /// Why it failed.
    #[oai(nullable)]
    pub reason: Option<String>,
    pub filter: ReplayFilter,
    #[oai(nullable)]
    pub destination_ids: Option<Vec<Id<kind::Destination>>>,
    #[oai(nullable)]
    pub rate: Option<i32>,
    pub dry_run: bool,
    /// What there was to send, as it was counted before anything was sent; so far, while it is `counting`.
    pub planned: Amount,
    /// What it has put into the queue so far.
    pub sent: Amount,
    /// Deliveries that cannot be made, because the body is forgotten or cannot be opened, or the destination is gone.
    pub skipped: i64,
    /// What became of what it sent; only where one replay is read.
    #[oai(skip_serializing_if_is_none)]
    pub outcomes: Option<Outcomes>,
    pub created_at: Time,
    #[oai(nullable)]
    pub finished_at: Option<Time>,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ReplayState {
    /// What it would send is counted.
    Counting,
    /// It sends, or waits for what it sent.
    Running,
    /// Nothing of it is pending any more; or it was only to be counted, and is.
    Completed,
    Cancelled,
    Failed,
}

/// How much.
#[derive(Debug, Object)]
pub struct Amount {
    pub events: i64,
    pub deliveries: i64,
}

/// How many deliveries are in each state, each counted up to 100,000.
#[derive(Debug, Default, Object)]
pub struct Outcomes {
    pub pending: i64,
    pub delivered: i64,
    pub failed: i64,
    pub filtered: i64,
    pub cancelled: i64,
}

/// Unfinished replays of one tenant: more of them are no faster.
const MOST_OPEN: u64 = 10;

impl From<Stage> for ReplayState {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Counting => Self::Counting,
            Stage::Running => Self::Running,
            Stage::Completed => Self::Completed,
            Stage::Cancelled => Self::Cancelled,
            Stage::Failed => Self::Failed,
        }
    }
}

impl Outcomes {
    fn of(counts: Vec<(State, i64)>) -> Self {
        let mut outcomes = Self::default();
        for (state, count) in counts {
            *match state {
                State::Pending => &mut outcomes.pending,
                State::Delivered => &mut outcomes.delivered,
                State::Failed => &mut outcomes.failed,
                State::Filtered => &mut outcomes.filtered,
                State::Cancelled => &mut outcomes.cancelled,
            } += count;
        }
        outcomes
    }
}

impl Replay {
    fn show(row: &replay::Model) -> Result<Self, Error> {
        let destinations = row.destinations()?;
        Ok(Self {
            id: row.id().into(),
            state: row.stage()?.into(),
            reason: row.reason.clone(),
            filter: ReplayFilter::show(&row.wanted()?),
            destination_ids: destinations.map(|ids| ids.into_iter().map(Into::into).collect()),
            rate: row.rate,
            dry_run: row.dry_run,
            planned: Amount { events: row.planned_events, deliveries: row.planned_deliveries },
            sent: Amount { events: row.events, deliveries: row.deliveries },
            skipped: row.skipped,
            outcomes: None,
            created_at: time(row.created_at),
            finished_at: row.finished_at.map(time),
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Replays")]
impl Api {
    /// List replays
    #[oai(path = "/tenants/:tenant_id/replays", method = "get", operation_id = "list_replays")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<Replay>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/replays", access.id()))?;
        let rows = replay::page(&access.app().db.read, access.id(), reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, replay::Model::id, Replay::show)?))
    }

    /// Send many again
    ///
    /// It is counted first, then sent, in a lane of its own behind everything else; where a destination wants an order, in
    /// line with everything else. If the filter asks anything of deliveries, the deliveries that fit are repeated, but those
    /// that were asked for again since; else all events that fit. It goes on after a restart, and to destinations that are
    /// paused as soon as they are resumed.
    #[oai(path = "/tenants/:tenant_id/replays", method = "post", operation_id = "create_replay")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewReplay>,
    ) -> Result<Accepted<Replay>, Error> {
        let access = caller.may(Scope::Replay, **tenant_id).await?;
        let change = access.begin().await?;
        let row = replay::insert(&change.txn, new(&change, access.id(), body.0).await?).await?;
        let shown = Replay::show(&row)?;
        let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
        let location = format!("/v1/tenants/{}/replays/{}", access.id(), row.id());
        let answer = change.commit(done, Accepted::of(shown).at(location)).await?;
        access.app().replays.ring();
        Ok(answer)
    }

    /// Get a replay
    ///
    /// With what became of what it sent.
    #[oai(path = "/tenants/:tenant_id/replays/:replay_id", method = "get", operation_id = "get_replay")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        replay_id: Path<Id<kind::Replay>>,
    ) -> Result<Found<Replay>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        // It counts what a large one sent, as a search would.
        let _turn = access.turn().await?;
        let db = &access.app().db.read;
        let row = replay::find(db, access.id(), **replay_id).await?.ok_or(Error::NotFound)?;
        let outcomes = Outcomes::of(replay::outcomes(db, &row).await?);
        Ok(Found::of(Replay { outcomes: Some(outcomes), ..Replay::show(&row)? }))
    }

    /// Cancel a replay
    ///
    /// It makes no more deliveries, and those that it made and are still pending are cancelled. What is in flight ends with
    /// its true outcome.
    #[oai(path = "/tenants/:tenant_id/replays/:replay_id/cancel", method = "post", operation_id = "cancel_replay")]
    async fn cancel(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        replay_id: Path<Id<kind::Replay>>,
        _body: Input<Nothing>,
    ) -> Result<Accepted<Replay>, Error> {
        let access = caller.may(Scope::Replay, **tenant_id).await?;
        cancel(&access, **replay_id).await
    }
}

async fn new(change: &Mutation<'_>, tenant: TenantId, asked: NewReplay) -> Result<replay::Model, Error> {
    if replay::open_of(&change.txn, tenant).await? >= MOST_OPEN {
        let detail = format!("{MOST_OPEN} replays of this tenant are not finished. Wait for one, or cancel one.");
        return Err(Error::Conflict(detail));
    }
    let wanted = asked.filter.wanted(change.now)?;
    let destinations: Option<Vec<DestinationId>> =
        asked.destination_ids.map(|ids| ids.into_iter().map(|id| id.0).collect());
    check(change, tenant, destinations.as_deref().unwrap_or_default()).await?;
    Ok(replay::Model {
        tenant_id: tenant.uuid(),
        id: ReplayId::at(change.now).uuid(),
        filter: serde_json::to_string(&wanted).expect("it is JSON"),
        destination_ids: destinations.map(|ids| serde_json::to_string(&ids).expect("ids are text")),
        rate: asked.rate,
        dry_run: asked.dry_run.unwrap_or_default(),
        state: Stage::Counting.as_str().to_owned(),
        reason: None,
        position: None,
        is_read: false,
        planned_events: 0,
        planned_deliveries: 0,
        events: 0,
        deliveries: 0,
        skipped: 0,
        next_at: change.now,
        created_at: change.now,
        finished_at: None,
    })
}

/// Another tenant's destination reads like none.
async fn check(change: &Mutation<'_>, tenant: TenantId, ids: &[DestinationId]) -> Result<(), Error> {
    let existing = entity::destination::existing(&change.txn, tenant, ids).await?;
    let missing = ids.iter().enumerate().filter(|(_, id)| !existing.contains(id));
    let trouble = |place| Trouble::field(format!("/destination_ids/{place}"), "there is no such destination");
    let troubles: Vec<Trouble> = missing.map(|(place, _)| trouble(place)).collect();
    if troubles.is_empty() { Ok(()) } else { Err(Error::Invalid(troubles)) }
}

async fn cancel(access: &Access, id: ReplayId) -> Result<Accepted<Replay>, Error> {
    let change = access.begin().await?;
    let row = replay::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    if row.finished_at.is_some() {
        return Err(Error::Conflict(format!("This replay is finished ({}); there is nothing to cancel.", row.state)));
    }
    let before = Replay::show(&row)?;
    replay::cancel_rest(&change.txn, &row).await?;
    let row = replay::save(&change.txn, row.ended(Stage::Cancelled, change.now)).await?;
    let shown = Replay::show(&row)?;
    let done = Done::new("cancel", id, Some(access.id())).before(&before).after(&shown).rings();
    change.commit(done, Accepted::of(shown)).await
}
