//! A beast, and what becomes of an attempt at it.

use std::sync::Arc;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Authority, Beast, Relay, Tenant, Value, Visit, eventually, json};

pub(super) const TIMEOUT_S: u64 = 2;
/// For a busy machine.
pub(super) const SLACK_MS: u64 = 1_500;

pub(super) struct Cage {
    pub(super) name: &'static str,
    pub(super) beast: Beast,
    end: End,
    /// The connection may be kept for the next delivery.
    is_kept: bool,
}

/// The outcome, the status, and what the error says among other things.
pub(super) type End = (&'static str, Option<u16>, &'static str);

pub(super) const TIMED_OUT: End = ("timed_out", None, "no whole answer within the destination's time");
pub(super) const DELIVERED: End = ("delivered", Some(200), "");
pub(super) const REJECTED: End = ("rejected", Some(500), "answered 500");

pub(super) const fn unreachable(why: &'static str) -> End {
    ("unreachable", None, why)
}

/// What it does after it has said what it says.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Closes,
    Holds,
    Resets,
    /// Says this for ever.
    Repeats(Vec<u8>),
    /// Says this for ever as well, at a pace that leaves the machine to others.
    Murmurs(Vec<u8>),
    /// Says this at one byte a second.
    Drips(Vec<u8>),
}

impl Then {
    pub(super) async fn act(self, mut visit: Visit) {
        match self {
            Self::Closes => {}
            Self::Holds => visit.hold().await,
            Self::Resets => visit.reset(),
            Self::Repeats(bytes) => visit.say_for_ever(many(&bytes)).await,
            Self::Murmurs(bytes) => visit.murmur(bytes).await,
            Self::Drips(bytes) => visit.drip(bytes).await,
        }
    }
}

/// The same again and again, in pieces that are worth a write.
fn many(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat((1 << 16) / bytes.len() + 1)
}

impl Cage {
    pub(super) fn of(name: &'static str, beast: Beast, end: End) -> Self {
        Self { name, beast, end, is_kept: false }
    }

    pub(super) fn kept(self) -> Self {
        Self { is_kept: true, ..self }
    }

    /// It is not kept, although all seems well.
    pub(super) fn left(self) -> Self {
        Self { is_kept: false, ..self }
    }

    /// Over plain HTTP, once it has read the request.
    pub(super) fn http(name: &'static str, says: impl AsRef<[u8]>, then: Then, end: End) -> Self {
        let is_kept = end.0 == "delivered" && matches!(then, Then::Holds);
        let act = Arc::new((says.as_ref().to_vec(), then));
        let beast = Beast::plain("http", move |mut visit: Visit| {
            let act = Arc::clone(&act);
            async move {
                if visit.request().await.is_some() && visit.say(&act.0).await {
                    act.1.clone().act(visit).await;
                }
            }
        });
        Self { is_kept, ..Self::of(name, beast, end) }
    }

    /// Where TLS is expected, once it has read the first bytes of the hello.
    pub(super) fn before_tls(name: &'static str, says: impl AsRef<[u8]>, then: Then, end: End) -> Self {
        let act = Arc::new((says.as_ref().to_vec(), then));
        let beast = Beast::plain("https", move |mut visit: Visit| {
            let act = Arc::clone(&act);
            async move {
                if visit.read(&mut [0; 64]).await.is_some() && visit.say(&act.0).await {
                    act.1.clone().act(visit).await;
                }
            }
        });
        Self::of(name, beast, end)
    }

    /// What is wrong with an attempt at it.
    fn complaint(&self, attempt: &Value) -> Option<String> {
        let (outcome, status, error) = self.end;
        let took = attempt["duration_ms"].as_u64().unwrap();
        let said = attempt["error"].as_str().unwrap_or_default();
        let is_in_time = took <= TIMEOUT_S * 1_000 + SLACK_MS;
        let is_right = attempt["outcome"] == outcome
            && attempt["status"] == json!(status)
            && said.contains(error)
            && said.is_empty() == error.is_empty();
        let is_one = self.beast.connections() == 1 && self.beast.requests().len() <= 1;
        (!is_right || !is_in_time || !is_one).then(|| {
            let (connections, requests) = (self.beast.connections(), self.beast.requests().len());
            format!("{}: {attempt}, over {connections} connections, with {requests} requests", self.name)
        })
    }
}

/// Sends each an event of its own, all of them at a time, and gives the attempts in the same order.
pub(super) async fn attempts_at(relay: &Relay, authority: &Authority, cages: &[Cage]) -> Vec<Value> {
    let attempts = first_attempts(relay, authority, cages).await;
    let complaints: Vec<_> =
        cages.iter().zip(&attempts).filter_map(|(cage, attempt)| cage.complaint(attempt)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for cage in cages.iter().filter(|cage| !cage.is_kept) {
        let what = format!("the connection to be let go: {}", cage.name);
        eventually(&what, async || (cage.beast.open() == 0).then_some(())).await;
    }
    attempts
}

pub(super) async fn first_attempts(relay: &Relay, authority: &Authority, cages: &[Cage]) -> Vec<Value> {
    let tenant = relay.tenant("zoo").await;
    let source = tenant.source().await;
    for (number, cage) in cages.iter().enumerate() {
        let destination = tenant.destination_of(fields(authority, cage)).await;
        tenant.subscribe(&destination, &[&format!("Beast.{number}")]).await;
    }
    let mut events = Vec::new();
    for number in 0..cages.len() {
        events.push(source.send(&format!("Beast.{number}")).await);
    }
    let mut attempts = Vec::new();
    for event in &events {
        attempts.push(first_attempt(&tenant, event).await);
    }
    attempts
}

/// What a destination there is told.
pub(super) fn fields(authority: &Authority, cage: &Cage) -> Value {
    let tls = cage.beast.url().starts_with("https").then(|| json!({ "ca": authority.pem }));
    json!({
        "name": cage.name,
        "url": cage.beast.url(),
        "timeout_s": TIMEOUT_S,
        "retry": { "schedule_s": [0, 3_600] },
        "keep_responses": true,
        "tls": tls,
    })
}

async fn first_attempt(tenant: &Tenant, event: &str) -> Value {
    let delivery = text(&tenant.delivery_of(event).await, "id");
    let is_tried = |it: &Value| it["attempts"] == 1 && it["attempt_log"][0].is_object();
    tenant.delivery_when(&delivery, "tried once", is_tried).await["attempt_log"][0].clone()
}

/// Sends it so many events, one after the other, and gives their attempts.
pub(super) async fn delivered(relay: &Relay, authority: &Authority, cage: &Cage, count: usize) -> Vec<Value> {
    let tenant = relay.tenant("zoo").await;
    let source = tenant.source().await;
    let destination = tenant.destination_of(fields(authority, cage)).await;
    tenant.subscribe(&destination, &["*"]).await;
    let mut attempts = Vec::new();
    for _ in 0..count {
        attempts.push(first_attempt(&tenant, &source.send(APPROVED).await).await);
    }
    attempts
}
