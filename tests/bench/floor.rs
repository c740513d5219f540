//! What a relay costs before it does anything of its own: the same libraries, and as little as can be done with them. A
//! program of its own, so that its processor time can be told from the generator's.
//!
//! Without storage it takes a request in and sends its body on. With storage it does so durably, and no more: one row for
//! each event, committed before its 202, many at a time; one row for each delivery.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use poem::http::StatusCode;
use poem::web::Data;
use poem::{EndpointExt, Route, handler};
use sea_orm::sqlx::{self, PgPool, SqlitePool};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::relay::Storage;

/// Rows in one commit.
const BATCH: usize = 256;
/// Requests to destinations at a time.
const IN_FLIGHT: usize = 64;

struct Event {
    id: Uuid,
    body: Bytes,
    stored: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Floor {
    authorization: Arc<str>,
    /// None: nothing is stored.
    store: Option<mpsc::UnboundedSender<Event>>,
    out: mpsc::UnboundedSender<(Uuid, Bytes)>,
}

/// Serves until it is killed. Prints its address.
pub(crate) async fn serve(storage: Option<Storage>, url: &str, sink: String, authorization: &str) {
    let (out, going_out) = mpsc::unbounded_channel();
    let (store, finish) = match storage {
        None => (None, None),
        Some(Storage::Sqlite) => {
            let (store, finish) = sqlite(url, out.clone()).await;
            (Some(store), Some(finish))
        }
        Some(Storage::Postgres) => {
            let (store, finish) = postgres(url, out.clone()).await;
            (Some(store), Some(finish))
        }
    };
    if sink.is_empty() {
        tokio::spawn(forget(going_out));
    } else {
        tokio::spawn(deliver(going_out, sink, finish));
    }
    let floor = Floor { authorization: authorization.into(), store, out };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    let acceptor = poem::listener::TcpAcceptor::from_std(listener).unwrap();
    let app = Route::new().at("/in", take.data(floor));
    poem::Server::new_with_acceptor(acceptor).run(app).await.unwrap();
}

#[handler]
async fn take(request: &poem::Request, body: poem::Body, floor: Data<&Floor>) -> StatusCode {
    if request.header("authorization") != Some(&*floor.authorization) {
        return StatusCode::UNAUTHORIZED;
    }
    let (id, body) = (Uuid::now_v7(), body.into_bytes().await.unwrap());
    let Some(store) = &floor.store else {
        floor.out.send((id, body)).unwrap();
        return StatusCode::ACCEPTED;
    };
    let (stored, is_stored) = oneshot::channel();
    store.send(Event { id, body, stored }).unwrap();
    is_stored.await.unwrap();
    StatusCode::ACCEPTED
}

async fn forget(mut going_out: mpsc::UnboundedReceiver<(Uuid, Bytes)>) {
    while going_out.recv().await.is_some() {}
}

async fn deliver(
    mut going_out: mpsc::UnboundedReceiver<(Uuid, Bytes)>,
    sink: String,
    finish: Option<mpsc::UnboundedSender<Uuid>>,
) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(IN_FLIGHT).http1_only();
    let client = client.timeout(Duration::from_secs(15)).build().unwrap();
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let sink: reqwest::Url = sink.parse().unwrap();
    while let Some((id, body)) = going_out.recv().await {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        let (client, sink, finish) = (client.clone(), sink.clone(), finish.clone());
        tokio::spawn(async move {
            let answer = client.post(sink).header("content-type", "application/json").body(body).send().await.unwrap();
            assert!(answer.status().is_success());
            drop(answer.bytes().await);
            drop(slot);
            if let Some(finish) = finish {
                finish.send(id).unwrap();
            }
        });
    }
}

async fn postgres(
    url: &str,
    out: mpsc::UnboundedSender<(Uuid, Bytes)>,
) -> (mpsc::UnboundedSender<Event>, mpsc::UnboundedSender<Uuid>) {
    let pool = PgPool::connect(url).await.unwrap();
    for text in [
        "CREATE TABLE floor_event (id uuid PRIMARY KEY, body bytea NOT NULL)",
        "CREATE TABLE floor_delivery (id uuid PRIMARY KEY, status smallint NOT NULL)",
    ] {
        sqlx::query(text).execute(&pool).await.unwrap();
    }
    let (store, storing) = mpsc::unbounded_channel::<Event>();
    let storing = Arc::new(tokio::sync::Mutex::new(storing));
    for _ in 0..2 {
        let (pool, storing, out) = (pool.clone(), Arc::clone(&storing), out.clone());
        tokio::spawn(async move {
            loop {
                let batch = collect(&mut *storing.lock().await).await;
                let ids: Vec<Uuid> = batch.iter().map(|event| event.id).collect();
                let bodies: Vec<&[u8]> = batch.iter().map(|event| event.body.as_ref()).collect();
                let text = "INSERT INTO floor_event SELECT * FROM unnest($1::uuid[], $2::bytea[])";
                sqlx::query(text).bind(ids).bind(bodies).execute(&pool).await.unwrap();
                pass_on(batch, &out);
            }
        });
    }
    let (finish, mut finishing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("SET synchronous_commit = off").execute(&mut *connection).await.unwrap();
        loop {
            let ids = collect(&mut finishing).await;
            let text = "INSERT INTO floor_delivery SELECT id, 200 FROM unnest($1::uuid[]) AS t(id)";
            sqlx::query(text).bind(ids).execute(&mut *connection).await.unwrap();
        }
    });
    (store, finish)
}

/// One writer for both, so that one commit serves both.
async fn sqlite(
    url: &str,
    out: mpsc::UnboundedSender<(Uuid, Bytes)>,
) -> (mpsc::UnboundedSender<Event>, mpsc::UnboundedSender<Uuid>) {
    let pool = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    for text in [
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE floor_event (id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE floor_delivery (id BLOB PRIMARY KEY, status INTEGER NOT NULL) WITHOUT ROWID",
    ] {
        sqlx::query(text).execute(&pool).await.unwrap();
    }
    let (store, mut storing) = mpsc::unbounded_channel::<Event>();
    let (finish, mut finishing) = mpsc::unbounded_channel::<Uuid>();
    tokio::spawn(async move {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await.unwrap();
        loop {
            let (mut events, mut ends) = (Vec::new(), Vec::new());
            tokio::select! {
                _ = storing.recv_many(&mut events, BATCH) => {}
                _ = finishing.recv_many(&mut ends, BATCH) => {}
            }
            while events.len() < BATCH
                && let Ok(event) = storing.try_recv()
            {
                events.push(event);
            }
            while ends.len() < BATCH
                && let Ok(end) = finishing.try_recv()
            {
                ends.push(end);
            }
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
            for part in parts(&events) {
                let mut query = sqlx::query(insert("floor_event", part.len()));
                for event in part {
                    query = query.bind(event.id).bind(event.body.as_ref());
                }
                query.execute(&mut *connection).await.unwrap();
            }
            for part in parts(&ends) {
                let mut query = sqlx::query(insert("floor_delivery", part.len()));
                for id in part {
                    query = query.bind(*id).bind(200);
                }
                query.execute(&mut *connection).await.unwrap();
            }
            sqlx::query("COMMIT").execute(&mut *connection).await.unwrap();
            pass_on(events, &out);
        }
    });
    (store, finish)
}

/// Few sizes, so that few statements are prepared.
fn parts<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut parts = Vec::new();
    while !rows.is_empty() {
        let size = [64, 16, 4, 1].into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let (part, rest) = rows.split_at(size);
        parts.push(part);
        rows = rest;
    }
    parts
}

fn insert(table: &str, rows: usize) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("INSERT INTO {table} VALUES {}", vec!["(?, ?)"; rows].join(", ")))
}

/// Waits for something and takes what else is there.
async fn collect<T>(line: &mut mpsc::UnboundedReceiver<T>) -> Vec<T> {
    let mut batch = Vec::with_capacity(BATCH);
    if line.recv_many(&mut batch, BATCH).await == 0 {
        std::future::pending::<()>().await;
    }
    batch
}

fn pass_on(batch: Vec<Event>, out: &mpsc::UnboundedSender<(Uuid, Bytes)>) {
    for event in batch {
        let _ = event.stored.send(());
        out.send((event.id, event.body)).unwrap();
    }
}
