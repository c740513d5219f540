//! How long a healthy provider waits for its 202, alone and while others do what they can to hold the listener up: half
//! headers, single bytes, silence, bodies that never come. On SQLite; the programs must be built in the same profile.
//!
//! `cargo build --release && cargo run --release -p tests --bin bench-listener`

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Database, Kind, Relay, Source};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const MEASURED: Duration = Duration::from_secs(5);
/// Of each kind.
const HOSTILE: usize = 250;
/// Far fewer than the relay takes: waiting is to be measured, not throughput.
const BETWEEN: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let database = Database::create(Kind::Sqlite).await;
    let relay = Relay::plan(database.clone()).on_real_time().start().await;
    let source = relay.tenant("acme").await.source().await;
    // Not counted: connections and caches are new.
    waits(&source, Duration::from_secs(1)).await;
    let alone = p99(waits(&source, MEASURED).await);
    let siege = besiege(relay.apis[0].address(), &source).await;
    let besieged = p99(waits(&source, MEASURED).await);
    println!(
        "p99 alone {alone:?}, beside {} hostile connections {besieged:?}: {:.2} times",
        4 * HOSTILE,
        besieged.as_secs_f64() / alone.as_secs_f64()
    );
    drop(siege);
    drop(relay);
    database.drop().await;
}

async fn waits(source: &Source, during: Duration) -> Vec<Duration> {
    let (began, mut waits) = (Instant::now(), Vec::new());
    while began.elapsed() < during {
        let asked = Instant::now();
        source.post("{}").await.is(202);
        waits.push(asked.elapsed());
        tokio::time::sleep(BETWEEN).await;
    }
    waits
}

fn p99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

/// Each comes again when it is closed, until the set is dropped.
async fn besiege(relay: SocketAddr, source: &Source) -> JoinSet<()> {
    let mut siege = JoinSet::new();
    let head = format!("POST {} HTTP/1.1\r\nHost: relay\r\n", source.path);
    let body = format!("{head}Content-Length: 100000\r\n\r\nx");
    for opening in [String::new(), "POST / HT".to_owned(), head, body] {
        for _ in 0..HOSTILE {
            let opening = opening.clone();
            siege.spawn(async move {
                loop {
                    hold(relay, opening.as_bytes()).await;
                }
            });
        }
    }
    // Until all of them are there.
    tokio::time::sleep(Duration::from_secs(1)).await;
    siege
}

/// Says how it begins, then a letter a second for as long as anybody listens.
async fn hold(relay: SocketAddr, opening: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(relay).await else { return };
    let mut said = stream.write_all(opening).await;
    while said.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        said = if opening.is_empty() { stream.writable().await } else { stream.write_all(b"x").await };
    }
}
