//! What is left when the machine loses its power: only what was flushed to the disk.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use harness::clock::Clock;
use harness::program::Program;
use harness::relay::settings_of;
use harness::{Database, Receiver, system, within};
use sea_orm::{ConnectOptions, ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::checker::Findings;
use crate::experiment::Context;
use crate::trace::{Disk, traced};

/// The files of the database are put together from the relay's system calls as they were at the last flush before each 202:
/// every event that was accepted by then is in them.
pub(super) async fn every_202_is_on_disk(context: Context) -> Result<Findings, String> {
    let database = Database::create(context.kind).await;
    let trace = database.directory().join("trace");
    let receiver = Receiver::start().await;
    accept(&database, &receiver, &trace, context.rounds(200, 30)).await;
    judge(&trace, &database).await
}

/// Runs the relay under `strace` while events are accepted, and ends it.
async fn accept(database: &Database, receiver: &Receiver, trace: &Path, events: usize) {
    let settings = settings_of(Program::Hookyard, database, &Clock::in_directory(&database.directory()));
    let said = database.directory().join("said");
    let mut command = traced(trace);
    command.arg(Program::Hookyard.path()).env_clear().envs(&settings).current_dir(database.directory());
    command.stdin(Stdio::null()).stdout(std::fs::File::create(&said).unwrap());
    command.stderr(std::fs::File::create(database.directory().join("log")).unwrap());
    let running = Traced(command.env("PATH", "/usr/bin:/bin").spawn().unwrap());
    let origin = within(Duration::from_secs(60), "the traced relay to be ready", async || {
        let said = std::fs::read_to_string(&said).unwrap();
        said.lines().any(|line| line == "ready").then_some(())?;
        Some(said.lines().find_map(|line| line.strip_prefix("listening on "))?.to_owned())
    })
    .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: String, body: Value| {
        let request = http.post(format!("{origin}{path}")).body(body.to_string());
        let request = request.header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", harness::relay::OPERATOR_KEY));
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let tenant = ask("/v1/tenants".to_owned(), json!({ "name": "power", "slug": "power" })).await;
    let fields = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } });
    let source = ask(format!("/v1/tenants/{}/sources", tenant["id"].as_str().unwrap()), fields).await;
    let url = source["url"].as_str().unwrap();
    let path = &url[url.find("/in/").unwrap()..];
    // What becomes of deliveries is written over the same connection, without a flush of its own.
    let destinations = format!("/v1/tenants/{}/destinations", tenant["id"].as_str().unwrap());
    let destination = ask(destinations, json!({ "name": "out", "url": receiver.url() })).await;
    let fields = json!({ "destination_id": destination["id"], "event_types": ["*"] });
    ask(format!("/v1/tenants/{}/subscriptions", tenant["id"].as_str().unwrap()), fields).await;
    for number in 0..events {
        // Several at once now and then: whoever comes second must not be answered by the first one's flush.
        let post = async |number: String| {
            let body = harness::ondato::event_with_id("Fault.Power", &number);
            let request = http.post(format!("{origin}{path}")).header("content-type", "application/json").body(body);
            assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
        };
        tokio::join!(
            post(format!("power-{number}-a")),
            post(format!("power-{number}-b")),
            post(format!("power-{number}-c"))
        );
    }
    receiver.wait_up_to(Duration::from_secs(60), events).await;
    running.end().await;
}

struct Traced(Child);

impl Traced {
    async fn end(mut self) {
        for pid in system::children(self.0.id()) {
            let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        within(Duration::from_secs(60), "the end of the traced relay", async || self.0.try_wait().unwrap()).await;
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // `strace` that is killed leaves the program behind.
        for pid in system::children(self.0.id()) {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn judge(trace: &Path, database: &Database) -> Result<Findings, String> {
    let url = database.url();
    let name = url.rsplit_once('/').unwrap().1;
    let mut disk = Disk::default();
    let (mut accepted, mut lost, mut flushed) = (Vec::<Uuid>::new(), 0, 0_u64);
    for line in BufReader::new(std::fs::File::open(trace).unwrap()).lines() {
        let line = line.unwrap();
        flushed += u64::from(line.contains("fdatasync(") || line.contains("fsync("));
        let Some(sent) = disk.read(&line) else { continue };
        let text = String::from_utf8_lossy(&sent);
        if !text.starts_with("HTTP/1.1 202") {
            continue;
        }
        let id = text.split("\"event_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let id = id.and_then(|id| id.parse::<relay::id::EventId>().ok()).ok_or("a 202 without an id")?;
        accepted.push(id.uuid());
        let there = events_of(&disk, name).await?;
        lost += usize::from(!there.contains(&id.uuid()));
    }
    if accepted.is_empty() || flushed == 0 {
        return Err(format!("the trace shows {} answers and {flushed} flushes", accepted.len()));
    }
    let broken = if lost == 0 {
        Vec::new()
    } else {
        vec![format!("{lost} of {} answers were given before their events were on disk", accepted.len())]
    };
    Ok(Findings {
        accepted: accepted.len(),
        delivered: accepted.len() - lost,
        lost,
        faults: accepted.len(),
        broken,
        ..Findings::default()
    })
}

/// What somebody finds who starts with the files as they would be.
async fn events_of(disk: &Disk, name: &str) -> Result<Vec<Uuid>, String> {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("after.db");
    std::fs::write(&file, disk.safe(name).unwrap_or_default()).unwrap();
    std::fs::write(directory.path().join("after.db-wal"), disk.safe(&format!("{name}-wal")).unwrap_or_default())
        .unwrap();
    let mut options = ConnectOptions::new(format!("sqlite://{}", file.display()));
    options.max_connections(1).sqlx_logging(false);
    let connection = sea_orm::Database::connect(options).await.map_err(|error| error.to_string())?;
    // Whole: with its body, and with its delivery, which waits or has ended.
    let sql = "SELECT id FROM event JOIN payload ON payload.event_id = event.id
        WHERE id IN (SELECT event_id FROM pending UNION SELECT event_id FROM delivery)";
    let read = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = connection.query_all_raw(read).await.map_err(|error| format!("the database that is left: {error}"))?;
    let _ = connection.close().await;
    Ok(rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect())
}
