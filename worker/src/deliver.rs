//! One attempt of one delivery, as a short list of named steps. Nothing is held open while it is on the wire.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::attempt::Outcome;
use entity::configuration::Configuration;
use entity::delivery::{State, Trigger};
use entity::destination::{Opened, Unopened};
use entity::finish::AttemptLog;
use entity::payload_key::{KeyError, PayloadKeys};
use entity::pending::Due;
use entity::work::Work;
use entity::{Database, DbErr, destination};
use futures_util::FutureExt as _;
use relay::clock::Clock;
use relay::egress::{Egress, Response, SendError};
use relay::failpoint;
use relay::id::DestinationId;
use relay::keyring::Keyring;
use relay::retry::GivenUp;
use relay::stored;
use relay::trace::Tracer;

mod exchange;
pub(crate) mod numbers;
mod span;
mod wanted;

use crate::launch::{Launch, Launches};
use crate::lease::Leases;
use crate::opened::OpenedCache;
use crate::outcome::{self, Judged, Next, Unanswered};
use crate::schedule::breaker::Sign;
use crate::schedule::{Ended, Start};
use crate::token::Tokens;
use numbers::{Numbers, PutOff};
use wanted::is_judged;

/// What every attempt of this process shares.
pub(crate) struct Sender {
    pub(crate) db: Database,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) payload_keys: PayloadKeys,
    pub(crate) egress: Arc<Egress>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) launches: Arc<Launches>,
    pub(crate) clock: Clock,
    pub(crate) opened: OpenedCache,
    pub(crate) tokens: Tokens,
    pub(crate) numbers: Numbers,
    pub(crate) tracer: Tracer,
}

/// Our own fault: nothing was sent, and it costs the destination no attempt.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the configuration could not be read")]
    Configuration(#[source] DbErr),
    #[error("the tenant's own requests could not be read")]
    OwnRequests(#[source] DbErr),
    #[error("destination {0} cannot be used")]
    Unopened(DestinationId, #[source] Unopened),
    #[error("what is to be sent cannot be used")]
    Payload(#[source] Arc<KeyError>),
}

impl Fault {
    const fn reason(&self) -> PutOff {
        match self {
            Self::Configuration(_) | Self::OwnRequests(_) => PutOff::Database,
            Self::Unopened(..) | Self::Payload(_) => PutOff::Unusable,
        }
    }
}

/// Why nothing is sent.
enum Unsent {
    Ended(Ended),
    Fault(Fault),
}

impl From<Ended> for Unsent {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Fault> for Unsent {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What made us panic, or cannot be opened, may be so each time: rarely enough to keep nobody else waiting, until it expires or
/// is mended.
const AFTER_A_FAULT_MS: i64 = 60_000;

/// How long the key of a tenant's payloads is waited for, which is mostly at hand.
const KEY_WITHIN: Duration = Duration::from_secs(1);

/// Letters of an error that are kept; none of ours is as long.
const LONGEST_ERROR: usize = 500;

/// Why there is nothing to send.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// It was forgotten, or erased.
    Expired,
    /// It is sealed, and cannot be opened.
    Unopened(Arc<KeyError>),
}

/// An attempt that is about to be made.
struct Errand<'a> {
    start: &'a Start,
    launch: Arc<Launch>,
    work: &'a Work,
    destination: Arc<destination::Model>,
    opened: Arc<Opened>,
    /// Which of the provider's headers go along.
    passed_on: Vec<String>,
    /// Its place in the trace: any number but nought.
    span: u64,
}

impl Sender {
    /// Makes one attempt. Whatever in it makes us panic costs it a while, and no other anything.
    pub(crate) async fn attempt(&self, start: &Start, launch: Arc<Launch>, work: Result<&Work, Missing>) -> Ended {
        // The panic itself has been reported, with its place, by the hook.
        AssertUnwindSafe(self.try_to(start, launch, work)).catch_unwind().await.unwrap_or_else(|_| self.panicked(start))
    }

    fn panicked(&self, start: &Start) -> Ended {
        let due = &start.due;
        tracing::error!(delivery.id = %due.id, event.id = %due.event_id, "an attempt was not brought to its end, and is put off");
        self.numbers.put_off(PutOff::Panic);
        match start {
            // Who tests wants to know now.
            _ if is_test(start) => failed("a fault of the relay"),
            _ if start.is_probe => Ended::Aborted,
            _ => self.in_a_while(),
        }
    }

    fn in_a_while(&self) -> Ended {
        Ended::PutOff { due_at: self.clock.now() + AFTER_A_FAULT_MS }
    }

    async fn try_to(&self, start: &Start, launch: Arc<Launch>, work: Result<&Work, Missing>) -> Ended {
        match self.prepare(start, launch, work).await {
            Ok(errand) => self.send(&errand).await,
            Err(Unsent::Ended(ended)) => ended,
            Err(Unsent::Fault(fault)) => {
                let (error, delivery) = (&fault as &dyn std::error::Error, start.due.id);
                tracing::error!(error, delivery.id = %delivery, "an attempt was put off");
                self.numbers.put_off(fault.reason());
                match fault {
                    // Who tests wants to know now.
                    Fault::Unopened(..) if is_test(start) => {
                        failed("the destination cannot be used: a fault of the relay")
                    }
                    Fault::Unopened(..) => Ended::Stuck,
                    Fault::Payload(_) if is_test(start) => {
                        failed("what is kept of the event cannot be opened: a fault of the relay")
                    }
                    // Says nothing of the destination.
                    Fault::Payload(_) if start.is_probe => Ended::Held,
                    Fault::Payload(error) => match *error {
                        KeyError::Payload(..) => self.in_a_while(),
                        // So it is with everything of its tenant.
                        _ => Ended::Stuck,
                    },
                    Fault::Configuration(_) | Fault::OwnRequests(_) => Ended::Aborted,
                }
            }
        }
    }

    /// Rule C: on configuration that is at most 1 s old. Rule L: what has nowhere to go ends with the reason.
    async fn prepare<'a>(
        &self,
        start: &'a Start,
        launch: Arc<Launch>,
        work: Result<&'a Work, Missing>,
    ) -> Result<Errand<'a>, Unsent> {
        let due = &start.due;
        let found =
            self.configuration.destination(due.tenant_id, due.destination_id).await.map_err(Fault::Configuration)?;
        let Some(destination) = found else { return Err(cancelled("destination deleted").into()) };
        let rule = self.rule(due).await?;
        if !may_be_sent(start, &destination) {
            return Err(Ended::Held.into());
        }
        let work = work.map_err(|missing| match missing {
            Missing::Expired => Unsent::from(failed("payload expired")),
            Missing::Unopened(error) => Fault::Payload(error).into(),
        })?;
        if work.runs_in_a_circle() {
            return Err(failed("loop").into());
        }
        if let Some(rule) = rule.filter(|_| is_judged(due)) {
            self.judge(due, work, &rule).await?;
        }
        let opened = self.opened.of(&self.keyring, &destination);
        let opened = opened.map_err(|error| Fault::Unopened(due.destination_id, error))?;
        let passed_on = self.passed_on(due, work).await?;
        let span = u64::from_be_bytes(relay::random::bytes()).max(1);
        Ok(Errand { start, launch, work, destination, opened, passed_on, span })
    }

    /// Which of the provider's headers go along; none once the source is gone.
    async fn passed_on(&self, due: &Due, work: &Work) -> Result<Vec<String>, Fault> {
        let Some(source) = work.source_id else { return Ok(Vec::new()) };
        let source = self.configuration.source(due.tenant_id, source).await.map_err(Fault::Configuration)?;
        Ok(source.map(|source| source.forwarded()).unwrap_or_default())
    }

    async fn send(&self, errand: &Errand<'_>) -> Ended {
        let (start, at, began) = (errand.start, self.clock.now(), Instant::now());
        failpoint::reach("before-send", &start.due.event_id);
        // Rule A: the fence is looked at first, so that a process that was frozen writes nothing when it wakes.
        let result = tokio::select! {
            biased;
            () = self.leases.fenced(start.due.shard, start.epoch) => Err(Unanswered::Send(SendError::Fenced)),
            result = self.exchange(errand, began) => result,
        };
        failpoint::reach("after-answer", &start.due.event_id);
        let now = self.clock.now();
        let Some(judged) = outcome::judge(&result, now) else {
            return self.unsettled(start, result);
        };
        let took = began.elapsed();
        self.numbers.attempted(judged.outcome, took);
        if judged.outcome == Outcome::Delivered {
            self.numbers.delivered(&start.due, now);
        }
        self.tell(errand, &judged, (at, took));
        let outcome = numbers::name(judged.outcome);
        tracing::debug!(delivery.id = %start.due.id, outcome, status = judged.status, "attempted");
        let keep = judged.outcome != Outcome::Delivered || errand.opened.settings.keep_responses;
        let log = self.sealed(start, log(start, (at, took), &judged, result.ok(), keep)).await;
        follow(errand, &judged, log, now)
    }

    /// What a destination answers may repeat what it was sent: where that is sealed, so is this.
    async fn sealed(&self, start: &Start, log: AttemptLog) -> AttemptLog {
        if !log.has_answer() {
            return log;
        }
        let (tenant, delivery) = (start.due.tenant_id, start.due.id);
        match tokio::time::timeout(KEY_WITHIN, self.payload_keys.sealing(tenant)).await {
            Ok(Ok(key)) => log.sealed(key.as_deref(), (tenant, delivery)),
            // What it came to matters more.
            failed => {
                let error = failed.ok().and_then(Result::err);
                let error = error.as_ref().map(|error| error as &dyn std::error::Error);
                tracing::error!(error, delivery.id = %delivery, "an answer could not be sealed, and is not kept");
                log.without_answer()
            }
        }
    }

    /// Nothing is known of it: a fault of ours, the fence, or somebody who changed the destination meanwhile.
    fn unsettled(&self, start: &Start, result: Result<Response, Unanswered>) -> Ended {
        match result {
            // Nobody's fault, and nobody else waits for it. Of a probe nothing is kept.
            Err(Unanswered::Changed) if !start.is_probe => return Ended::PutOff { due_at: self.clock.now() },
            Err(Unanswered::Changed) => {}
            Err(Unanswered::NotLookedUp) => {
                self.numbers.put_off(PutOff::Database);
                tracing::error!(delivery.id = %start.due.id, "an attempt was put off: the configuration could not be read");
            }
            Err(Unanswered::Send(SendError::Exhausted)) => {
                self.numbers.put_off(PutOff::Descriptors);
                tracing::error!("out of file descriptors: raise the limit (LimitNOFILE)");
            }
            Err(Unanswered::Send(SendError::NoWayOut(why))) => {
                self.numbers.put_off(PutOff::Proxy);
                tracing::error!(why, "the proxy in HOOKYARD_EGRESS_PROXY does not work");
            }
            _ => {
                self.numbers.put_off(PutOff::Fenced);
                self.leases.hurry.notify_one();
            }
        }
        Ended::Aborted
    }
}

/// A paused or disabled destination gets nothing but tests, and probes where failures disabled it.
fn may_be_sent(start: &Start, destination: &destination::Model) -> bool {
    match destination.state() {
        destination::State::Active => true,
        destination::State::Paused => is_test(start),
        destination::State::Disabled => is_test(start) || start.is_probe,
    }
}

/// Asked for by a person, made once, and no sign of anything.
fn is_test(start: &Start) -> bool {
    start.due.trigger == Trigger::Test
}

fn follow(errand: &Errand<'_>, judged: &Judged, log: AttemptLog, now: i64) -> Ended {
    let (start, attempts) = (errand.start, u32::from(log.number.unsigned_abs()));
    let sign = if is_test(start) { Sign::None } else { outcome::sign(judged) };
    let failed = |reason: String, last| Ended::Finished { state: State::Failed, reason: Some(reason), last, sign };
    match outcome::next(judged, &errand.destination.retry_policy(), attempts, dice()) {
        Next::Delivered => Ended::Finished { state: State::Delivered, reason: None, last: Some(log), sign },
        _ if is_test(start) => failed("the test failed".to_owned(), Some(log)),
        // A probe that finds nothing new was no attempt.
        _ if start.is_probe => Ended::Held,
        _ if judged.status == Some(outcome::GONE) => Ended::Gone { last: log },
        Next::Wait(wait) => Ended::Again {
            due_at: now + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2),
            last: log,
            overloaded: outcome::is_overload(judged),
            sign,
        },
        Next::GiveUp(why) => failed(given_up(why), Some(log)),
    }
}

fn given_up(why: GivenUp) -> String {
    match why {
        GivenUp::Exhausted => "attempts exhausted".to_owned(),
        GivenUp::NotRetried(status) => format!("status {status} is not retried"),
    }
}

fn log(
    start: &Start,
    (at, took): (i64, Duration),
    judged: &Judged,
    response: Option<Response>,
    keep: bool,
) -> AttemptLog {
    let remote_address =
        response.as_ref().and_then(|response| response.remote_address).map(|address| address.to_string());
    let (headers, body) = response.filter(|_| keep).map(|response| (response.headers, response.body)).unzip();
    AttemptLog {
        number: i16::try_from(number(start)).unwrap_or(i16::MAX),
        at,
        duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
        outcome: judged.outcome,
        status: judged.status.and_then(|status| i16::try_from(status).ok()),
        error: judged.error.as_deref().map(plain),
        remote_address,
        response_headers: headers.map(|headers| stored::column(&headers)),
        response_body: body.map(|body| body.to_vec()),
        keep,
    }
}

/// What a stranger's machine made our libraries say: without what a text column cannot hold, and not at any length.
fn plain(error: &str) -> String {
    error.chars().filter(|letter| !letter.is_control()).take(LONGEST_ERROR).collect()
}

/// Which attempt this is, counted from 1.
fn number(start: &Start) -> u32 {
    u32::from(start.due.attempts.unsigned_abs()) + 1
}

fn cancelled(reason: &str) -> Ended {
    unsent(State::Cancelled, reason)
}

fn filtered(reason: &str) -> Ended {
    unsent(State::Filtered, reason)
}

fn failed(reason: &str) -> Ended {
    unsent(State::Failed, reason)
}

/// The end of a delivery that was not sent this time.
fn unsent(state: State, reason: &str) -> Ended {
    Ended::Finished { state, reason: Some(reason.into()), last: None, sign: Sign::None }
}

/// Between 0 and 1, for the jitter.
fn dice() -> f64 {
    f64::from(u32::from_be_bytes(relay::random::bytes())) / f64::from(u32::MAX)
}
