//! What is measured: the release programs of the relay, or the floor.

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::source::basic;
use harness::{Database, Kind, Relay, Tenant, json};

use crate::cost::{Meter, Part};
use crate::ledger::SICK;
use crate::load::Door;
use crate::sink::{Behaviour, Sink};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Storage {
    Sqlite,
    Postgres,
}

impl Storage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Sqlite => Kind::Sqlite,
            Self::Postgres => Kind::Postgres,
        }
    }

    /// A new database, with what counts its statements.
    pub(crate) async fn create(self) -> Database {
        let database = Database::create(self.kind()).await;
        if self == Self::Postgres {
            database.execute("CREATE EXTENSION pg_stat_statements").await;
        }
        database
    }
}

/// Where `tests/postgres` put the server.
#[expect(clippy::disallowed_methods, reason = "a setting of the suite, not of the relay")]
pub(crate) fn server_directory() -> PathBuf {
    std::env::var("HOOKYARD_TEST_POSTGRES_DIRECTORY").expect("tests/postgres sets it").into()
}

/// A tenant of a run.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) behaviour: Behaviour,
    pub(crate) group: usize,
    pub(crate) fan_out: usize,
    /// What it is subscribed to.
    pub(crate) of_type: String,
}

impl Customer {
    pub(crate) fn well(fan_out: usize) -> Self {
        Self { behaviour: Behaviour::Well, group: 0, fan_out, of_type: "*".to_owned() }
    }

    pub(crate) fn sick(behaviour: Behaviour) -> Self {
        Self { behaviour, group: SICK, ..Self::well(1) }
    }
}

/// How many processes of each kind; on SQLite it is one for both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) apis: usize,
    pub(crate) workers: usize,
}

/// What they are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Api and worker are one process on PostgreSQL, too.
    pub(crate) together: bool,
    /// Payloads are stored sealed.
    pub(crate) sealed: bool,
}

pub(crate) const ONE_OF_EACH: Processes = Processes { apis: 1, workers: 1 };

/// Something that takes events in and sends them on.
pub(crate) struct Subject {
    pub(crate) doors: Vec<Door>,
    pub(crate) meter: Meter,
    pub(crate) database: Database,
    pub(crate) relay: Option<Relay>,
    pub(crate) tenants: Vec<Tenant>,
    _floor: Option<Floor>,
}

impl Subject {
    pub(crate) async fn relay(
        storage: Storage,
        (processes, how): (Processes, How),
        customers: &[Customer],
        sink: &Sink,
    ) -> Self {
        let database = storage.create().await;
        let plan = Relay::plan(database.clone()).on_real_time().setting("HOOKYARD_LOG", "warn");
        let plan = plan.setting("HOOKYARD_SEAL_PAYLOADS", how.sealed.to_string());
        let plan = if how.together { plan.together() } else { plan };
        let relay = plan.apis(processes.apis).workers(processes.workers).start().await;
        let (mut sources, mut tenants) = (Vec::with_capacity(customers.len()), Vec::with_capacity(customers.len()));
        for customer in customers {
            let tenant = relay.tenant("bench").await;
            let (source, _) = tenant.guarded_source("ondato", "a-password-of-the-bench").await;
            for _ in 0..customer.fan_out {
                let url = sink.url(customer.behaviour, customer.group);
                let destination = tenant.destination_of(json!({ "name": "out", "url": url })).await;
                tenant.subscribe(&destination, &[&customer.of_type]).await;
            }
            sources.push(source);
            tenants.push(tenant);
        }
        let door = |source: &harness::Source, api: &harness::Process| Door {
            address: api.address(),
            path: source.path.clone(),
            authorization: source.authorization.clone().unwrap(),
        };
        let doors = sources.iter().flat_map(|source| relay.apis.iter().map(|api| door(source, api))).collect();
        let meter = Meter::of(parts(&relay), &database).await;
        Self { doors, meter, database, relay: Some(relay), tenants, _floor: None }
    }

    /// Stops all of it, does something to its database, and starts it again. Gives how long the start took.
    pub(crate) async fn while_stopped(&mut self, work: impl AsyncFnOnce(&Database)) -> Duration {
        let relay = self.relay.as_ref().unwrap();
        relay.kill();
        work(&self.database).await;
        let began = Instant::now();
        relay.start_again().await;
        let took = began.elapsed();
        // New processes have new ports.
        let apis = relay.apis.len();
        for (number, door) in self.doors.iter_mut().enumerate() {
            door.address = relay.apis[number % apis].address();
        }
        self.meter.parts = parts(relay);
        took
    }

    /// The least that can be done: durably or not, and sent on or not.
    pub(crate) async fn floor(storage: Storage, durable: bool, delivers: bool, sink: &Sink) -> Self {
        let database = storage.create().await;
        let url = if delivers { sink.url(Behaviour::Well, 0) } else { String::new() };
        let floor = Floor::start(durable.then_some(storage), &database, &url);
        let parts = vec![Part { name: "floor", pids: vec![floor.0.id()] }];
        let authorization = basic("ondato", "a-password-of-the-bench");
        let doors = vec![Door { address: floor.1, path: "/in".to_owned(), authorization }];
        let meter = Meter::of(parts, &database).await;
        Self { doors, meter, database, relay: None, tenants: Vec::new(), _floor: Some(floor) }
    }

    pub(crate) async fn end(self) {
        let Self { meter, database, relay, _floor, .. } = self;
        drop((meter, relay, _floor));
        database.drop().await;
    }
}

fn parts(relay: &Relay) -> Vec<Part> {
    let pids = |processes: &[harness::Process]| processes.iter().map(harness::Process::pid).collect();
    if relay.is_one_process() {
        return vec![Part { name: "relay", pids: pids(&relay.apis) }];
    }
    vec![Part { name: "api", pids: pids(&relay.apis) }, Part { name: "worker", pids: pids(&relay.workers) }]
}

struct Floor(Child, SocketAddr);

impl Floor {
    fn start(storage: Option<Storage>, database: &Database, sink: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--floor").args(["--url", &database.url(), "--sink", sink]);
        command.args(["--authorization", &basic("ondato", "a-password-of-the-bench")]);
        if let Some(storage) = storage {
            command.args(["--storage", &storage.name().to_lowercase().replace("postgresql", "postgres")]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("the floor to listen");
        let address = address.parse().unwrap();
        Self(child, address)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
