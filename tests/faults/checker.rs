//! Compares what providers were told, what destinations saw, and what the database says happened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use entity::delivery::State;
use harness::Database;
use relay::id::{DestinationId, EventId};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement};
use uuid::Uuid;

use crate::ledger::{Entry, Kind};
use crate::sink::Arrival;
use crate::stage::{PLACES, Stage};

/// What one run came to. Whatever is no mere count must be 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    /// Deliveries that were due to somebody, and that their destinations took.
    pub(crate) delivered: usize,
    /// And that they did not take.
    pub(crate) lost: usize,
    pub(crate) faults: usize,
    /// Taken by a destination more than once.
    pub(crate) duplicates: usize,
    pub(crate) allowed: usize,
    /// Milliseconds after the end of a fault, at worst.
    pub(crate) recovery_ms: Option<u128>,
    /// What breaks the promise, in words.
    pub(crate) broken: Vec<String>,
}

/// How often what happened to each delivery: events by their numbers, destinations by their places.
type Counts = HashMap<(usize, usize), usize>;

/// What all destinations saw.
#[derive(Default)]
struct Seen {
    arrived: Counts,
    /// Of these: answered 200.
    taken: Counts,
    /// Where they do not belong.
    foreign: usize,
    /// Under another id than the one that was accepted.
    renamed: usize,
}

impl Seen {
    fn of(entries: &[Entry], log: &[Arrival]) -> Self {
        let mut seen = Self::default();
        for arrival in log {
            let Some(entry) = entries.get(arrival.number) else {
                seen.foreign += 1;
                continue;
            };
            seen.foreign += usize::from(!places(entry).contains(&arrival.place));
            seen.renamed += usize::from(entry.accepted.as_ref().is_some_and(|id| *id != arrival.webhook_id));
            let key = (arrival.number, arrival.place);
            *seen.arrived.entry(key).or_default() += 1;
            if arrival.status == 200 {
                *seen.taken.entry(key).or_default() += 1;
            }
        }
        seen
    }
}

/// The relay comes back by itself, and soon.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) async fn compare(stage: &Stage) -> Result<Findings, String> {
    let (entries, answers) = (stage.ledger.entries(), stage.ledger.answers());
    let mut broken = Vec::new();
    let mut complain = |count: usize, what: &str| {
        if count > 0 {
            broken.push(format!("{count} {what}"));
        }
    };

    complain(entries.iter().filter(|entry| entry.accepted.is_none()).count(), "events were never accepted");
    complain(entries.iter().map(|it| it.contradictions.len()).sum(), "events were accepted twice, under two ids");
    complain(stage.ledger.strange().values().sum(), &format!("strange answers: {:?}", stage.ledger.strange()));
    complain(stage.sink.strangers(), "requests arrived that nobody sent");
    complain(stage.sink.unsigned(), "requests were not signed with their destination's secret");

    let Seen { arrived, taken, foreign, renamed } = Seen::of(&entries, &stage.sink.log());
    complain(foreign, "requests arrived where they do not belong");
    complain(renamed, "requests carried another id than the one that was accepted");

    let due: HashSet<(usize, usize)> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.accepted.is_some())
        .flat_map(|(number, entry)| places(entry).into_iter().map(move |place| (number, place)))
        .collect();
    let lost = due.iter().filter(|it| !taken.contains_key(it)).count();
    complain(lost, "deliveries were LOST");
    let duplicates = taken.values().map(|times| times - 1).sum();
    let allowed = stage.allowed();
    let may = |key| allowed.get(key).copied().unwrap_or_default();
    let beyond = taken.iter().map(|(key, times)| (times - 1).saturating_sub(may(key))).sum();
    complain(beyond, "duplicates that no fault explains");
    complain(answers.hung, "requests of providers were not answered for 10 s");
    let recovery = stage.recovery().unwrap_or_default();
    complain(usize::from(recovery > RECOVERY), &format!("recovery took {recovery:?}, longer than {RECOVERY:?}"));
    complain(overtaken(stage), "events overtook others of their line");

    for (count, what) in told(stage, &entries, (&arrived, &taken), &due).await? {
        complain(count, what);
    }
    Ok(Findings {
        accepted: entries.iter().filter(|entry| entry.accepted.is_some()).count(),
        refused: answers.refused,
        unknown: answers.unknown,
        delivered: due.len() - lost,
        lost,
        faults: stage.faults(),
        duplicates,
        allowed: allowed.values().sum(),
        recovery_ms: stage.recovery().map(|time| time.as_millis()),
        broken,
    })
}

/// Whatever has not ended, as the database knows it: events and destinations.
pub(crate) async fn pending(database: &Database) -> Vec<(String, String)> {
    let rows = rows(database, "SELECT event_id, destination_id FROM pending").await.unwrap_or_default();
    rows.iter().map(ids).collect()
}

pub(crate) async fn rows(database: &Database, sql: &str) -> Result<Vec<QueryResult>, String> {
    let connection = database.connection().await;
    let backend = if database.is_postgres() { DbBackend::Postgres } else { DbBackend::Sqlite };
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await;
    let _ = connection.close().await;
    rows.map_err(|error| error.to_string())
}

/// Of an event and a destination, which stand first in the row.
pub(crate) fn ids(row: &QueryResult) -> (String, String) {
    let ids: (Uuid, Uuid) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    (EventId::from(ids.0).to_string(), DestinationId::from(ids.1).to_string())
}

/// Where an event belongs.
pub(crate) fn places(entry: &Entry) -> Vec<usize> {
    let first = entry.tenant * PLACES;
    match entry.kind {
        Kind::Other => vec![first],
        Kind::Some => vec![first, first + 1],
        Kind::InOrder => vec![first, first + 2],
    }
}

/// Where an order is wanted: how many were taken for the first time after one that was accepted later.
fn overtaken(stage: &Stage) -> usize {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut count = 0;
    for arrival in stage.sink.log() {
        let is_first =
            arrival.place % PLACES == 2 && arrival.status == 200 && seen.insert((arrival.place, arrival.number));
        if is_first {
            let last = last.entry(arrival.place).or_insert(0);
            count += usize::from(arrival.number < *last);
            *last = (*last).max(arrival.number);
        }
    }
    count
}

/// What the database says of it.
async fn told(
    stage: &Stage,
    entries: &[Entry],
    (arrived, taken): (&Counts, &Counts),
    due: &HashSet<(usize, usize)>,
) -> Result<Vec<(usize, &'static str)>, String> {
    let numbers: HashMap<&str, usize> =
        entries.iter().enumerate().filter_map(|(number, entry)| Some((entry.accepted.as_deref()?, number))).collect();
    let places: HashMap<&str, usize> = stage.destinations.iter().map(String::as_str).zip(0..).collect();
    let database = &stage.relay.database;
    let is_kept = |key: &&(usize, usize)| entries[key.0].accepted.as_ref().is_some_and(|id| stage.is_kept(id));
    let rows = rows(database, "SELECT event_id, destination_id, state, attempts FROM delivery").await?;
    let mut said: HashMap<(usize, usize), Vec<i16>> = HashMap::new();
    let (mut unknown, mut boasts) = (0, 0);
    for row in rows {
        let (event, destination) = ids(&row);
        match (numbers.get(event.as_str()), places.get(destination.as_str())) {
            (Some(number), Some(place)) => {
                let (key, attempts) = ((*number, *place), row.try_get_by_index::<i16>(3).unwrap());
                said.entry(key).or_default().push(row.try_get_by_index(2).unwrap());
                let arrived = arrived.get(&key).copied().unwrap_or_default();
                boasts += usize::from(usize::try_from(attempts).unwrap() > arrived);
            }
            _ => unknown += 1,
        }
    }
    let delivered = State::Delivered.number();
    let lies = said.iter().filter(|(key, states)| states.contains(&delivered) && !taken.contains_key(key)).count();
    let hidden = taken
        .keys()
        .filter(is_kept)
        .filter(|key| !said.get(key).is_some_and(|states| states.contains(&delivered)))
        .count();
    let twice = said.values().filter(|states| states.len() > 1).count();
    let missing = due.iter().filter(is_kept).filter(|key| !said.contains_key(key)).count();
    let events =
        usize::try_from(database.number("SELECT count(*) FROM event WHERE source_id IS NOT NULL").await).unwrap();
    let kept = numbers.keys().filter(|id| stage.is_kept(id)).count();
    // What may be forgotten is there or not.
    let events_astray = kept.saturating_sub(events) + events.saturating_sub(numbers.len());
    Ok(vec![
        (lies, "deliveries are called delivered that no destination took"),
        (hidden, "deliveries were taken and are not called delivered"),
        (twice, "deliveries have two ends"),
        (missing, "deliveries are not in the database"),
        (unknown, "deliveries are of events that nobody sent"),
        (boasts, "deliveries tell of more attempts than arrived"),
        (events_astray, "events more or fewer in the database than were accepted"),
    ])
}
