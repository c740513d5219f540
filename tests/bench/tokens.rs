//! How many access tokens a second the token server issues, to clients that keep their connections: on SQLite, and on
//! PostgreSQL where `HOOKYARD_TEST_POSTGRES` is set. The programs must be built in the same profile beside it.
//!
//! `cargo build --release && tests/postgres cargo run --release -p tests --bin bench-tokens`

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]
#![expect(clippy::unwrap_used, reason = "what fails in a measurement has to end it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::answer::text;
use harness::{Database, Kind, Relay, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
/// Of one client the server takes a thousand requests a second.
const CLIENTS: usize = 16;
/// Not counted: connections and caches are new.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[expect(clippy::disallowed_methods, reason = "a setting of the suite, not of the relay")]
    let with_postgres = std::env::var("HOOKYARD_TEST_POSTGRES").is_ok();
    let kinds = [Some(Kind::Sqlite), with_postgres.then_some(Kind::Postgres)];
    for kind in kinds.into_iter().flatten() {
        let database = Database::create(kind).await;
        let per_second = measure(database.clone()).await;
        println!("{kind:?}: {per_second:.0} tokens/s over {CONNECTIONS} connections");
        database.drop().await;
    }
}

async fn measure(database: Database) -> f64 {
    let relay = Relay::plan(database).on_real_time().start().await;
    let mut requests = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        requests.push(request(&relay).await);
    }
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS {
        clients.spawn(fetch(relay.apis[0].address(), requests[number % CLIENTS].clone(), began));
    }
    let fetched: u32 = clients.join_all().await.into_iter().sum();
    let stored = relay.database.number("SELECT count(*) FROM access_token").await;
    assert!(stored >= i64::from(fetched), "{fetched} tokens were handed out, {stored} are stored");
    f64::from(fetched) / MEASURED.as_secs_f64()
}

/// The bytes of a request of a client of some source.
async fn request(relay: &Relay) -> Vec<u8> {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;
    let path = format!("/sources/{}/credentials", source.id);
    let made = tenant.post(&path, json!({ "kind": "oauth2_client" })).await.json(201);
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let head = "POST /oauth/token HTTP/1.1\r\nHost: relay\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Asks again and again on one connection; says how many tokens it got in the measured time.
async fn fetch(address: SocketAddr, request: Vec<u8>, began: Instant) -> u32 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut fetched = 0;
    loop {
        stream.write_all(&request).await.unwrap();
        answered(&mut stream).await;
        match began.elapsed() {
            passed if passed < WARM_UP => {}
            passed if passed < WARM_UP + MEASURED => fetched += 1,
            _ => return fetched,
        }
    }
}

/// Reads one answer, which must hold a token; its body is the only brace that it closes.
async fn answered(stream: &mut TcpStream) {
    let (mut answer, mut length) = ([0; 2048], 0);
    while length == 0 || answer[length - 1] != b'}' {
        let read = stream.read(&mut answer[length..]).await.unwrap();
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hky_at_"), "{answer}");
}
