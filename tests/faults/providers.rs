//! Providers: send events one after another, and each of them again until it is accepted, as real ones do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::Process;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ledger::{Kind, Ledger};

/// Where a tenant's source is, and what its provider presents.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) tenant: usize,
    pub(crate) path: String,
    pub(crate) authorization: String,
}

/// What providers send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// Events of all of them together, where they are accepted at once.
    pub(crate) per_second: u64,
    /// Providers of one tenant that send what comes in any order; one more sends what has one.
    pub(crate) free: usize,
    /// A body has at least so many bytes.
    pub(crate) bytes: usize,
}

impl Traffic {
    /// Of few providers, with small bodies.
    pub(crate) const fn of(per_second: u64) -> Self {
        Self { per_second, free: 4, bytes: 0 }
    }

    /// Between two events of one provider.
    fn pause(self, providers: usize) -> u64 {
        1_000_000 * providers as u64 / self.per_second
    }
}

/// Providers wait about so long for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
const BEFORE_AGAIN: Duration = Duration::from_millis(50);

/// A load that goes on until it is ended.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pace: Arc<AtomicU64>,
    providers: JoinSet<()>,
}

impl Load {
    /// At whichever of these processes answers.
    pub(crate) fn begin(ledger: &Arc<Ledger>, doors: &[Door], apis: &[Process], traffic: Traffic) -> Self {
        let (stop, mut providers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let Traffic { free, bytes, .. } = traffic;
        let pace = Arc::new(AtomicU64::new(traffic.pause(doors.len() * (free + 1))));
        for door in doors {
            for place in 0..=free {
                let provider = Provider {
                    http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
                    ledger: Arc::clone(ledger),
                    door: door.clone(),
                    apis: apis.to_vec(),
                    next_api: place,
                    bytes,
                };
                let (stop, pace) = (Arc::clone(&stop), Arc::clone(&pace));
                providers.spawn(provider.run(place == free, stop, pace));
            }
        }
        Self { stop, pace, providers }
    }

    /// Sends faster or slower from now on.
    pub(crate) fn pace(&self, per_second: u64) {
        self.pace.store(Traffic::of(per_second).pause(self.providers.len()), Ordering::Relaxed);
    }

    /// No new events; what was begun is sent until it is accepted.
    pub(crate) async fn end(mut self, within: Duration) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        let all = async { while self.providers.join_next().await.is_some() {} };
        tokio::time::timeout(within, all)
            .await
            .map_err(|_| format!("after {within:?} some events are not accepted yet"))
    }
}

struct Provider {
    http: reqwest::Client,
    ledger: Arc<Ledger>,
    door: Door,
    apis: Vec<Process>,
    next_api: usize,
    bytes: usize,
}

impl Provider {
    async fn run(mut self, in_order: bool, stop: Arc<AtomicBool>, pace: Arc<AtomicU64>) {
        let mut sent = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let kind = match (in_order, sent % 2) {
                (true, _) => Kind::InOrder,
                (false, 0) => Kind::Some,
                (false, _) => Kind::Other,
            };
            sent += 1;
            let number = self.ledger.begin(self.door.tenant, kind);
            while !self.post(number, kind).await {
                tokio::time::sleep(BEFORE_AGAIN).await;
            }
            let pause = Duration::from_micros(pace.load(Ordering::Relaxed));
            tokio::time::sleep(pause.saturating_sub(began.elapsed())).await;
        }
    }

    /// Whether it was accepted.
    async fn post(&mut self, number: usize, kind: Kind) -> bool {
        // Whoever stands in front of several sends what one did not take to the next.
        self.next_api += 1;
        let Some(address) = self.apis[self.next_api % self.apis.len()].listens() else { return false };
        let asked = Instant::now();
        let request = self.http.post(format!("http://{address}{}", self.door.path));
        let request = request.header("authorization", &self.door.authorization);
        let request = request.header("content-type", "application/json").body(body(number, kind, self.bytes));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                self.ledger.unknown(error.is_timeout());
                return false;
            }
        };
        let status = response.status().as_u16();
        self.ledger.took(asked);
        if status != 202 {
            self.ledger.refused(status);
            return false;
        }
        let answer = response.bytes().await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match answer.as_ref().and_then(|answer| answer["event_id"].as_str()) {
            Some(id) => self.ledger.accepted(number, id.to_owned()),
            None => {
                self.ledger.unknown(false);
                return false;
            }
        }
        true
    }
}

/// White space makes up for what it lacks.
fn body(number: usize, kind: Kind, bytes: usize) -> String {
    let body = json!({
        "Id": format!("fault-{number}"),
        "ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
        "CreatedUtc": "2022-07-26T07:16:41.873Z",
        "Payload": { "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "status": "Approved" },
        "Type": kind.event_type(),
    });
    let mut body = body.to_string();
    body.push_str(&" ".repeat(bytes.saturating_sub(body.len())));
    body
}
