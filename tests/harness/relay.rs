//! The relay under test: the programs themselves, on a database of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::client::Client;
use crate::clock::Clock;
use crate::database::Database;
use crate::ondato::APPROVED;
use crate::process::Process;
use crate::program::{Program, Settings, words};
use crate::receiver::Receiver;
use crate::source::Source;
use crate::tenant::{Destination, Tenant};
use crate::wait::{HOLDS_WITHIN, PATIENCE};

/// The operator's key in every scenario.
pub const OPERATOR_KEY: &str = "an-operator-key-that-only-the-scenarios-know";

/// On SQLite one process is both api and worker; on PostgreSQL they are separate, and there may be several.
#[derive(Debug)]
pub struct Relay {
    pub clock: Clock,
    pub database: Database,
    pub apis: Vec<Process>,
    pub workers: Vec<Process>,
}

/// What to start.
#[derive(Debug)]
pub struct Plan {
    database: Database,
    apis: usize,
    workers: usize,
    settings: Settings,
    /// What one of the workers alone is told, by its number.
    settings_of_workers: Vec<(usize, &'static str, String)>,
    begins_at_ms: Option<i64>,
    real_time: bool,
    together: bool,
}

/// The shortest way from a provider to a receiver.
#[derive(Debug, Clone)]
pub struct Route {
    pub tenant: Tenant,
    pub source: Source,
    pub destination: Destination,
    pub subscription: String,
}

impl Relay {
    /// One of each program.
    pub async fn start(database: Database) -> Self {
        Self::plan(database).start().await
    }

    #[must_use]
    pub fn plan(database: Database) -> Plan {
        Plan {
            database,
            apis: 1,
            workers: 1,
            settings: Settings::new(),
            settings_of_workers: Vec::new(),
            begins_at_ms: None,
            real_time: false,
            together: false,
        }
    }

    /// Each process once.
    #[must_use]
    pub fn processes(&self) -> Vec<&Process> {
        if self.is_one_process() {
            self.workers.iter().collect()
        } else {
            self.apis.iter().chain(&self.workers).collect()
        }
    }

    /// Whether api and worker are the same.
    #[must_use]
    pub fn is_one_process(&self) -> bool {
        self.apis[0].pid() == self.workers[0].pid()
    }

    /// What the first process does that gets to this place: `kill` (itself), or `panic`. See `relay::failpoint`.
    pub fn arm(&self, place: &str, what: &str) {
        let directory = failpoints(&self.database);
        std::fs::create_dir_all(&directory).unwrap();
        // By renaming, so that nobody reads half of it.
        let draft = directory.with_extension("draft");
        std::fs::write(&draft, what).unwrap();
        std::fs::rename(draft, directory.join(place)).unwrap();
    }

    /// Whether somebody has got there since.
    #[must_use]
    pub fn is_armed(&self, place: &str) -> bool {
        failpoints(&self.database).join(place).exists()
    }

    /// What processes were about to do since it was armed as `PLACE.log`, each in a line behind its number.
    pub fn noted(&self, place: &str) -> String {
        std::fs::read_to_string(failpoints(&self.database).join(format!("{place}.log"))).unwrap()
    }

    /// `kill -9` for all of them.
    pub fn kill(&self) {
        self.processes().into_iter().for_each(Process::kill);
    }

    /// Starts all of them again, on the same database.
    pub async fn start_again(&self) {
        for process in self.processes() {
            process.start_again().await;
        }
    }

    /// The operator, at the first api.
    #[must_use]
    pub fn operator(&self) -> Client {
        self.anybody().with_key(OPERATOR_KEY)
    }

    /// Somebody without a key.
    #[must_use]
    pub fn anybody(&self) -> Client {
        Client::of(&self.apis[0])
    }

    pub async fn tenant(&self, name: &str) -> Tenant {
        Tenant::create(&self.operator(), name).await
    }

    /// A tenant with one open source, all of whose events go to the receiver.
    pub async fn route(&self, receiver: &Receiver) -> Route {
        self.route_tried(receiver, None).await
    }

    /// The same, tried by a schedule of its own.
    pub async fn route_tried(&self, receiver: &Receiver, schedule_s: Option<&[u64]>) -> Route {
        let tenant = self.tenant("acme").await;
        let source = tenant.source().await;
        let destination = match schedule_s {
            Some(schedule_s) => tenant.destination_tried(receiver, schedule_s).await,
            None => tenant.destination(receiver).await,
        };
        let subscription = tenant.subscribe(&destination, &["*"]).await;
        Route { tenant, source, destination, subscription }
    }

    /// Which worker sent what arrived from there.
    #[must_use]
    pub fn worker_behind(&self, sender: SocketAddr) -> usize {
        let worker = self.workers.iter().position(|worker| worker.opened(sender));
        worker.unwrap_or_else(|| panic!("{sender} is an end of none of the workers' connections"))
    }

    /// What the workers count under this name, all together.
    pub async fn counted(&self, name: &str) -> u64 {
        let mut sum = 0;
        for worker in &self.workers {
            let page = Client::of(worker).operations("/metrics").await.text();
            let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
            let line = line.unwrap_or_else(|| panic!("no {name} in\n{page}"));
            sum += line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        }
        sum
    }

    /// Lets time pass in steps until it is so, for what waits on times that are not known (a breaker, a jitter).
    /// The steps are far apart, since each may cost the workers their leases.
    pub async fn pass_time_until<T>(&self, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
        let mut stepped = Instant::now();
        crate::within(PATIENCE * 2, what, async || {
            if stepped.elapsed() > Duration::from_secs(4) {
                self.clock.advance(Duration::from_secs(12));
                stepped = Instant::now();
            }
            check().await
        })
        .await
    }

    /// Returns when every api goes by the clock as it was moved: a request in between would see two presents. The ids of
    /// requests say what an api takes for the time.
    pub async fn clock_is_followed(&self) {
        for api in &self.apis {
            crate::eventually("the api to follow the clock", async || {
                let answer = self.anybody().at(api).get("/nowhere").await;
                let id = answer.header("request-id")?.replace("req_", "evt_");
                let said = id.parse::<::relay::id::EventId>().ok()?.millis();
                (said > self.clock.now_ms() - 500).then_some(())
            })
            .await;
        }
    }

    /// Returns when every worker has heard of all that was changed before: each has heard of a change that came later.
    pub async fn changes_are_heard(&self) {
        let (old, new) = (Receiver::start().await, Receiver::start().await);
        let tenant = self.tenant("heard").await;
        let source = tenant.source().await;
        // So many that each worker has one of them.
        let mut destinations = Vec::new();
        for _ in 0..4 * self.workers.len() {
            let destination = tenant.destination(&old).await;
            tenant.subscribe(&destination, &["*"]).await;
            destinations.push(destination);
        }
        // Whoever does not know it yet reads it as it is, and has heard of nothing.
        tenant.settled(&source.send(APPROVED).await).await;
        for destination in &destinations {
            tenant.patch(&destination.path(), json!({ "url": new.url() })).await.is(200);
        }
        crate::within(HOLDS_WITHIN, "changes to be heard of", async || {
            let before = old.count();
            tenant.settled(&source.send(APPROVED).await).await;
            (old.count() == before).then_some(())
        })
        .await;
    }

    /// Requests that were sent before this was called have been read by the apis when it returns.
    pub async fn let_requests_arrive(&self) {
        for api in &self.apis {
            for _ in 0..8 {
                self.anybody().at(api).get("/nowhere").await.is(404);
            }
        }
    }
}

/// The logs are worth reading only when something failed.
impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in self.processes() {
                eprintln!("{}", process.log());
            }
        }
    }
}

impl Plan {
    #[must_use]
    pub const fn apis(mut self, count: usize) -> Self {
        self.apis = count;
        self
    }

    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.insert(name, value.into());
        self
    }

    /// For one of several workers alone, where they are processes of their own.
    #[must_use]
    pub fn setting_of_worker(mut self, number: usize, name: &'static str, value: impl Into<String>) -> Self {
        self.settings_of_workers.push((number, name, value.into()));
        self
    }

    /// Begins at another time than ours, in milliseconds since 1970.
    #[must_use]
    pub const fn at(mut self, time_ms: i64) -> Self {
        self.begins_at_ms = Some(time_ms);
        self
    }

    /// By the machine's clock, which nobody moves: programs without `test-support` know no other.
    #[must_use]
    pub const fn on_real_time(mut self) -> Self {
        self.real_time = true;
        self
    }

    /// One process as both api and worker, on PostgreSQL too; further workers stand beside it.
    #[must_use]
    pub const fn together(mut self) -> Self {
        self.together = true;
        self
    }

    pub async fn start(self) -> Relay {
        let directory = self.database.directory();
        let clock = match self.begins_at_ms {
            Some(time_ms) => Clock::beginning_at(&directory, time_ms),
            None => Clock::in_directory(&directory),
        };
        if self.database.is_postgres() {
            run_migration(self.timed(settings_of(Program::Hookyard, &self.database, &clock)), &self.database).await;
        }
        let (apis, workers) =
            if self.database.is_postgres() && !self.together { self.separate(&clock) } else { self.one(&clock) };
        let relay = Relay { clock, database: self.database, apis, workers };
        for process in relay.processes() {
            process.ready().await;
        }
        relay
    }

    fn one(&self, clock: &Clock) -> (Vec<Process>, Vec<Process>) {
        let directory = self.database.directory();
        let spawn = |program, name: &str| Process::spawn(program, self.settings_of(program, clock), &directory, name);
        let process = spawn(Program::Hookyard, "hookyard");
        let beside = if self.database.is_postgres() { self.workers.saturating_sub(1) } else { 0 };
        let beside = (1..=beside).map(|number| spawn(Program::Worker, &format!("hookyard-worker-{number}")));
        (vec![process.clone()], std::iter::once(process).chain(beside).collect())
    }

    fn separate(&self, clock: &Clock) -> (Vec<Process>, Vec<Process>) {
        let directory = self.database.directory();
        let spawn = |program, number| {
            let mut settings = self.settings_of(program, clock);
            let its_own = self.settings_of_workers.iter().filter(|it| program == Program::Worker && it.0 == number);
            settings.extend(its_own.map(|(_, name, value)| (*name, value.clone())));
            Process::spawn(program, settings, &directory, &format!("{}-{number}", Program::name(program)))
        };
        let apis = (0..self.apis).map(|number| spawn(Program::Api, number)).collect();
        (apis, (0..self.workers).map(|number| spawn(Program::Worker, number)).collect())
    }

    fn settings_of(&self, program: Program, clock: &Clock) -> Settings {
        let mut settings = settings_of(program, &self.database, clock);
        settings.extend(self.settings.clone());
        self.timed(settings)
    }

    fn timed(&self, mut settings: Settings) -> Settings {
        if self.real_time {
            settings.retain(|name, _| !name.starts_with("HOOKYARD_TEST_"));
        }
        settings
    }
}

/// The keys that seal what is sealed.
#[must_use]
pub fn master_keys() -> String {
    format!("k1:{}", STANDARD.encode([7; 32]))
}

fn failpoints(database: &Database) -> PathBuf {
    database.directory().join("failpoints")
}

/// What a program is told in every scenario.
#[must_use]
pub fn settings_of(program: Program, database: &Database, clock: &Clock) -> Settings {
    let mut settings = Settings::from([
        ("HOOKYARD_DATABASE_URL", database.url()),
        ("HOOKYARD_TEST_CLOCK", clock.file().display().to_string()),
        ("HOOKYARD_TEST_FAILPOINTS", failpoints(database).display().to_string()),
        ("HOOKYARD_OPS_LISTEN", "127.0.0.1:0".to_owned()),
        ("HOOKYARD_MASTER_KEYS", master_keys()),
        ("HOOKYARD_EGRESS_ALLOW", "127.0.0.0/8".to_owned()),
        ("HOOKYARD_EGRESS_HTTP", "true".to_owned()),
    ]);
    if program != Program::Worker {
        settings.insert("HOOKYARD_LISTEN", "127.0.0.1:0".to_owned());
        settings.insert("HOOKYARD_OPERATOR_KEY", OPERATOR_KEY.to_owned());
    }
    settings
}

/// What an operator does before the first start on PostgreSQL.
pub async fn migrate(database: &Database, clock: &Clock) {
    run_migration(settings_of(Program::Hookyard, database, clock), database).await;
}

async fn run_migration(mut settings: Settings, database: &Database) {
    settings.retain(|name, _| ["HOOKYARD_DATABASE_URL", "HOOKYARD_TEST_CLOCK"].contains(name));
    let output = Program::Hookyard.run(&["migrate"], &settings, &database.directory()).await;
    assert!(output.status.success(), "hookyard migrate:\n{}", words(&output));
}
