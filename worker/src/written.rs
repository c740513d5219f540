//! What is written of many rows together is what would be written of each.

use entity::Database;
use entity::attempt::Outcome;
use entity::delivery::{State, shard_of};
use entity::finish::{self, AttemptLog, Change, Fate, Row, Write};
use entity::ingest::{NewDelivery, NewEvent, ingest};
use entity::pending::Due;
use entity::shard;
use migration::sea_orm::{ConnectionTrait, DbBackend, Statement};
use migration::{Migrator, MigratorTrait};
use relay::clock::Clock;
use relay::id::{DeliveryId, Id, TenantId};
use uuid::Uuid;

/// A database whose shards are all ours.
struct World {
    db: Database,
    clock: Clock,
    owner: Uuid,
    epoch: i64,
    _directory: tempfile::TempDir,
}

const NOW: i64 = 1_700_000_000_000;

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let db = Database::open(&format!("sqlite://{}", directory.path().join("a.db").display())).await.unwrap();
        Migrator::up(&db.write, None).await.unwrap();
        let (clock, owner) = (Clock::start(), Uuid::from_u128(7));
        let epoch = shard::acquire(&db, &clock, owner, &[]).await.unwrap()[0].epoch;
        Self { db, clock, owner, epoch, _directory: directory }
    }

    /// Deliveries of events with a key each.
    async fn deliveries(&self, count: usize) -> Vec<Due> {
        let event = |_| {
            let mut event = NewEvent::of_ours(TenantId::at(1), "A".to_owned(), &serde_json::json!({}), NOW);
            event.deliveries.push(NewDelivery {
                id: DeliveryId::at(NOW),
                subscription_id: Id::at(2),
                destination_id: Id::at(3),
                order_key: None,
                due_at: NOW,
            });
            event
        };
        let events: Vec<NewEvent> = (0..count).map(event).collect();
        ingest(&self.db, &self.clock, &events).await.unwrap().due
    }

    fn row(&self, due: &Due) -> Row {
        Row { tenant_id: due.tenant_id, id: due.id, shard: due.shard, epoch: self.epoch }
    }

    async fn write(&self, batch: &[Write]) -> Vec<Fate> {
        finish::write(&self.db, self.owner, batch, NOW).await.unwrap()
    }

    async fn text(&self, query: &str) -> String {
        let row = self.db.write.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// All that is unfinished and all that is finished, without what is random.
    async fn rows(&self) -> [String; 2] {
        let pending =
            "SELECT coalesce(group_concat(due_at || ' ' || attempts || ' ' || coalesce(last_status, '-')), '')
            FROM (SELECT * FROM pending ORDER BY seq)";
        let finished = "SELECT coalesce(group_concat(state || ' ' || coalesce(reason, '-') || ' ' || attempts || ' ' ||
            coalesce(last_status, '-') || ' ' || coalesce(duration_ms, '-') || ' ' || coalesce(attempted_at, '-') || ' ' ||
            coalesce(remote_address, '-') || ' ' || finished_at), '') FROM (SELECT * FROM delivery ORDER BY state, reason)";
        [self.text(pending).await, self.text(finished).await]
    }
}

fn log(number: i16) -> AttemptLog {
    AttemptLog {
        number,
        at: NOW + 1,
        duration_ms: 12,
        outcome: Outcome::Rejected,
        status: Some(503),
        error: None,
        remote_address: Some("192.0.2.1:443".to_owned()),
        response_headers: None,
        response_body: None,
        keep: number > 1,
    }
}

/// Of each kind one, in the order of these rows.
fn of_each_kind(world: &World, rows: &[Due]) -> Vec<Write> {
    let finish = |state, reason: &str, last| Change::Finish { state, reason: Some(reason.to_owned()), last };
    let changes = [
        finish(State::Delivered, "a", Some(log(1))),
        finish(State::Failed, "b", Some(log(2))),
        finish(State::Cancelled, "c", None),
        Change::Park,
        Change::Reschedule { due_at: NOW + 9, last: log(3) },
        Change::Move { due_at: NOW - 9 },
    ];
    let write = |(due, change)| Write { row: world.row(due), change, command: None };
    rows.iter().zip(changes).map(write).collect()
}

#[tokio::test]
async fn together_or_one_by_one_the_rows_are_the_same() {
    let (together, apart) = (World::new().await, World::new().await);
    let rows = together.deliveries(6).await;
    assert_eq!(together.write(&of_each_kind(&together, &rows)).await, [Fate::Done; 6]);

    let rows = apart.deliveries(7).await;
    let strange =
        Write { row: Row { id: DeliveryId::at(NOW), ..apart.row(&rows[6]) }, change: Change::Park, command: None };
    let foreign =
        Write { row: Row { epoch: apart.epoch + 1, ..apart.row(&rows[6]) }, change: Change::Park, command: None };
    let batch = [of_each_kind(&apart, &rows), vec![strange, foreign]].concat();
    let fates = apart.write(&batch).await;
    assert_eq!(fates[..6], [Fate::Done; 6]);
    assert_eq!(fates[6..], [Fate::Gone, Fate::Fenced], "neither wrote anything");
    apart.write(&[Write { row: apart.row(&rows[6]), change: Change::Park, command: None }]).await;
    assert_eq!(apart.text("SELECT cast(count(*) AS text) FROM attempt").await, "2");
    assert_eq!(together.text("SELECT cast(count(*) AS text) FROM attempt").await, "2");

    let [waiting, finished] = apart.rows().await;
    let [waiting_together, finished_together] = together.rows().await;
    assert_eq!(finished, finished_together);
    assert_eq!(waiting, format!("{waiting_together},{} 0 -", i64::MAX), "the last row was parked alone");
}

#[tokio::test]
async fn many_ends_are_as_many_rows_and_a_second_end_is_none() {
    let world = World::new().await;
    let rows = world.deliveries(150).await;
    assert!(rows.iter().all(|due| due.shard == shard_of(due.destination_id)));
    let end = |due| Write {
        row: world.row(due),
        change: Change::Finish { state: State::Delivered, reason: None, last: Some(log(1)) },
        command: None,
    };
    let batch: Vec<Write> = rows.iter().map(end).collect();
    assert_eq!(world.write(&batch).await, vec![Fate::Done; 150]);
    assert_eq!(world.write(&batch).await, vec![Fate::Gone; 150]);
    assert_eq!(world.text("SELECT count(*) || ' ' || (SELECT count(*) FROM pending) FROM delivery").await, "150 0");
}

/// A statement may outlive the one who waited for it: what it says is less than what is known by then.
#[tokio::test]
async fn what_comes_late_takes_no_attempt_back() {
    let world = World::new().await;
    let row = world.row(&world.deliveries(1).await[0]);
    let again =
        |number| Write { row, change: Change::Reschedule { due_at: NOW + 9, last: log(number) }, command: None };
    for (number, fate) in [(3, Fate::Done), (3, Fate::Done), (2, Fate::Gone), (4, Fate::Done)] {
        assert_eq!(world.write(&[again(number)]).await, [fate], "attempt {number}");
    }
    assert_eq!(world.rows().await[0], format!("{} 4 503", NOW + 9));
}

#[tokio::test]
async fn nothing_is_written_of_a_shard_that_is_not_ours() {
    let world = World::new().await;
    let rows = world.deliveries(6).await;
    let before = world.rows().await;
    for (owner, epochs_later) in [(world.owner, 1), (world.owner, -1), (Uuid::from_u128(8), 0)] {
        for mut write in of_each_kind(&world, &rows) {
            write.row.epoch += epochs_later;
            assert_eq!(finish::write(&world.db, owner, &[write], NOW).await.unwrap(), [Fate::Fenced]);
        }
    }
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn places_in_line_are_those_that_the_database_gave() {
    let world = World::new().await;
    let rows = [world.deliveries(70).await, world.deliveries(3).await].concat();
    for due in rows {
        let id = due.id.uuid().simple();
        let seq = world.text(&format!("SELECT cast(seq AS text) FROM pending WHERE id = X'{id}'")).await;
        assert_eq!(seq, due.seq.to_string());
    }
}
