//! What would become of a request: which subscriptions want it, why not the others, and what each destination would see.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use entity::destination::{self, Opened};
use entity::request::{self, Facts};
use entity::subscription::{About, Rule, Rules, Unwanted};
use entity::work::{self, Work};
use entity::{event, own_request, source, subscription};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use poem_openapi::{Enum, Object};
use relay::id::{DestinationId, EventId, kind};
use relay::inbound::Inbound;
use relay::quota::Rate;
use relay::stored::{REDACTED, text};
use secrecy::SecretString;

use crate::answer::Found;
use crate::auth::Access;
use crate::error::{Error, Trouble};
use crate::ingest::event as ingested;
use crate::resources::destinations::DestinationState;
use crate::wire::Id;

/// What is to be explained: a stored event, or a request as a provider would send it to a source.
#[derive(Debug, Object)]
pub struct Question {
    /// A stored event. Then nothing else is said.
    #[oai(nullable)]
    pub event_id: Option<Id<kind::Event>>,
    /// The source that the request would be sent to. It is not verified, and nothing is stored.
    #[oai(nullable)]
    pub source_id: Option<Id<kind::Source>>,
    /// Pairs of name and value, as an event shows them.
    #[oai(nullable, validator(max_items = 200))]
    pub headers: Option<Vec<Vec<String>>>,
    /// What follows the question mark of the URL.
    #[oai(nullable, validator(max_length = 8192))]
    pub query: Option<String>,
    /// Without it, empty.
    #[oai(nullable)]
    pub body: Option<String>,
}

/// What would become of it.
#[derive(Debug, Object)]
pub struct Explanation {
    /// What the source reads of the request.
    pub event: Reading,
    /// For each subscription, in the order they were made.
    pub subscriptions: Vec<Verdict>,
}

/// What a source reads of a request.
#[derive(Debug, Object)]
pub struct Reading {
    #[oai(nullable)]
    pub source_id: Option<Id<kind::Source>>,
    #[oai(nullable)]
    pub event_type: Option<String>,
    /// A finer type, where the provider's events have one.
    #[oai(nullable)]
    pub derived_type: Option<String>,
    #[oai(nullable)]
    pub external_id: Option<String>,
    #[oai(nullable)]
    pub request_id: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// Whether one subscription wants it.
#[derive(Debug, Object)]
pub struct Verdict {
    pub subscription_id: Id<kind::Subscription>,
    pub destination_id: Id<kind::Destination>,
    /// Whether it would be delivered because of this subscription; at once, unless the destination is paused or disabled.
    pub matches: bool,
    /// What stands in the way; null if nothing does.
    #[oai(nullable)]
    pub obstacle: Option<Obstacle>,
    /// The same for people; of a filter, the clause that does not hold.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// What the destination would see; null where nothing would be sent.
    #[oai(nullable)]
    pub request: Option<Outgoing>,
}

/// What stands in the way of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Obstacle {
    /// The subscription is not enabled.
    Disabled,
    /// It listens to other sources.
    Source,
    /// It listens to all sources, but its destination is not `operational`.
    NotOperational,
    /// The event tells of the subscription's own destination.
    OwnDestination,
    /// `origin` wants other events.
    Origin,
    /// No pattern of `event_types` matches.
    EventType,
    /// The event went through too many relays already.
    Loop,
    /// The event answers to a request that the tenant registered.
    OwnRequest,
    /// The filter does not hold, or cannot be read.
    Filter,
    /// The destination cannot be used.
    Destination,
}

/// A request as a destination would see it. Its body is the event's, byte for byte.
#[derive(Debug, Object)]
pub struct Outgoing {
    pub method: String,
    pub url: String,
    /// Pairs of name and value. What proves who sends reads `[redacted]`.
    pub headers: Vec<Vec<String>>,
    /// The length of the body in bytes.
    pub body_size: usize,
    /// A destination that is paused or disabled is sent nothing until it is resumed.
    pub destination_state: DestinationState,
}

/// Why it is not delivered.
struct Refusal(Obstacle, String);

/// Of one tenant: each may go through a long body for every subscription, and signs it.
const EXPLANATIONS: Rate = Rate { per_second: 1, burst: 10 };

pub(super) async fn explain(access: &Access, asked: Question) -> Result<Found<Explanation>, Error> {
    let (app, now) = (access.app(), access.app().clock.now());
    app.explanations
        .take(access.id(), EXPLANATIONS, app.clock.boot())
        .map_err(|wait| Error::TooMany { why: "A tenant can ask for one explanation a second.".to_owned(), wait })?;
    let _one_at_a_time = app.explaining.acquire().await;
    let rules = subscription::rules(&access.app().db.read, access.id()).await?;
    let (event, work) = match (asked.event_id, asked.source_id) {
        (Some(event), None) if asked.headers.is_none() && asked.query.is_none() && asked.body.is_none() => {
            (*event, stored(access, *event).await?)
        }
        (None, Some(_)) => (EventId::at(now), pasted(access, &rules, asked, now).await?),
        _ => {
            let detail = "say either `event_id`, or `source_id` with `headers`, `query` and `body`";
            return Err(Error::field("/event_id", detail));
        }
    };
    let mut explainer = Explainer { access, event, work: &work, now, destinations: HashMap::new() };
    let mut subscriptions = Vec::with_capacity(rules.len());
    for rule in rules.iter() {
        subscriptions.push(explainer.verdict(rule).await?);
        // Each may go through a long body: whoever posts an event meanwhile does not wait for all of them.
        tokio::task::yield_now().await;
    }
    Ok(Found::of(Explanation { event: Reading::of(&work), subscriptions }))
}

async fn stored(access: &Access, id: EventId) -> Result<Work, Error> {
    let db = &access.app().db;
    let found = work::read(db, &access.app().payload_keys, &[(access.id(), id)]).await?.remove(&id);
    match found {
        Some(work) => Ok(work?),
        None if event::find(&db.read, access.id(), id).await?.is_some() => Err(Error::Expired),
        None => Err(Error::NotFound),
    }
}

/// The event that a source would make of it.
async fn pasted(access: &Access, rules: &Rules, asked: Question, now: i64) -> Result<Work, Error> {
    let Some(id) = asked.source_id else { return Err(Error::NotFound) };
    let found = source::configured(&access.app().db.read, access.id(), *id).await?;
    let source = found.ok_or_else(|| Error::field("/source_id", "there is no such source"))?;
    let (headers, body) = (headers(&asked.headers.unwrap_or_default())?, asked.body.unwrap_or_default());
    let query = asked.query.as_deref();
    let inbound = Inbound { method: "POST", headers: &headers, path: "", query, body: body.as_bytes() };
    let event = ingested::of(&source, rules, &inbound, body.clone().into(), now);
    Ok(Work::of(event)?)
}

fn headers(pairs: &[Vec<String>]) -> Result<HeaderMap, Error> {
    let (mut headers, mut troubles) = (HeaderMap::new(), Vec::new());
    for (place, pair) in pairs.iter().enumerate() {
        let read = match pair.as_slice() {
            [name, value] => HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok()),
            _ => None,
        };
        match read {
            Some((name, value)) => {
                headers.append(name, value);
            }
            None => {
                troubles.push(Trouble::field(format!("/headers/{place}"), "must be the name and value of a header"))
            }
        }
    }
    if troubles.is_empty() { Ok(headers) } else { Err(Error::Invalid(troubles)) }
}

/// A destination that was opened once, or why it cannot be used.
type Usable = Result<Arc<(destination::Model, Opened)>, &'static str>;

/// Looks at one event for each subscription.
struct Explainer<'a> {
    access: &'a Access,
    event: EventId,
    work: &'a Work,
    now: i64,
    destinations: HashMap<DestinationId, Usable>,
}

impl Explainer<'_> {
    async fn verdict(&mut self, rule: &Rule) -> Result<Verdict, Error> {
        let refusal = match self.refusal(rule).await? {
            Some(refusal) => Err(refusal),
            None => self.outgoing(rule).await?,
        };
        let (request, refusal) = match refusal {
            Ok(request) => (Some(request), None),
            Err(Refusal(obstacle, reason)) => (None, Some((obstacle, reason))),
        };
        let (obstacle, reason) = refusal.unzip();
        Ok(Verdict {
            subscription_id: rule.id.into(),
            destination_id: rule.destination_id.into(),
            matches: request.is_some(),
            obstacle,
            reason,
            request,
        })
    }

    /// What stands in the way, in the order in which it is found out on the way of an event.
    async fn refusal(&self, rule: &Rule) -> Result<Option<Refusal>, Error> {
        let (app, work) = (self.access.app(), self.work);
        if work.source_id.is_none() {
            return Ok(Some(Refusal(
                Obstacle::Source,
                "a test goes to the destination that is tested alone".to_owned(),
            )));
        }
        if let Some(unwanted) = rule.unwanted(&About::of_work(self.access.id(), work)) {
            return Ok(Some(unwanted.into()));
        }
        if work.runs_in_a_circle() {
            return Ok(Some(Refusal(Obstacle::Loop, "the event went through too many relays already".to_owned())));
        }
        if let (true, Some(request)) = (rule.origin.is_judged_later(), &work.request_id)
            && own_request::is_own(&app.db.read, self.access.id(), work.source_id, request, self.now).await?
        {
            let reason = "the event answers to a request that was registered as your own";
            return Ok(Some(Refusal(Obstacle::OwnRequest, reason.to_owned())));
        }
        let failing = match &rule.filter {
            Ok(None) => None,
            Ok(Some(filter)) => work.passes(filter).err().map(|clause| clause.to_string()),
            Err(unreadable) => Some(unreadable.to_string()),
        };
        Ok(failing.map(|reason| Refusal(Obstacle::Filter, reason)))
    }

    async fn outgoing(&mut self, rule: &Rule) -> Result<Result<Outgoing, Refusal>, Error> {
        let usable = match self.destination(rule.destination_id).await? {
            Ok(usable) => usable,
            Err(why) => return Ok(Err(Refusal(Obstacle::Destination, why.to_owned()))),
        };
        let (destination, opened) = &*usable;
        let facts = Facts {
            event: self.event,
            subscription: Some(rule.id),
            attempt: 1,
            now: self.now,
            span: u64::from_be_bytes(relay::secret::random_bytes()).max(1),
            sampling: self.access.app().tracer.sampling(),
            passed_on: self.passed_on().await?,
        };
        // What a token endpoint would give.
        let token = SecretString::from(REDACTED);
        let headers = request::headers(self.work, &facts, opened, Some(&token));
        Ok(Ok(Outgoing {
            method: "POST".to_owned(),
            url: destination.url.clone(),
            headers: shown(&headers),
            body_size: self.work.body.len(),
            destination_state: destination.state().into(),
        }))
    }

    async fn destination(&mut self, id: DestinationId) -> Result<Usable, Error> {
        if let Some(known) = self.destinations.get(&id) {
            return Ok(known.clone());
        }
        let found = destination::find(&self.access.app().db.read, self.access.id(), id).await?;
        let usable = match found.map(|row| Opened::of(&self.access.app().keyring, &row).map(|opened| (row, opened))) {
            None => Err("the destination was deleted"),
            Some(Ok(usable)) => Ok(Arc::new(usable)),
            Some(Err(_)) => Err("the destination cannot be used: a fault of the relay"),
        };
        self.destinations.insert(id, usable.clone());
        Ok(usable)
    }

    async fn passed_on(&self) -> Result<Vec<String>, Error> {
        let Some(source) = self.work.source_id else { return Ok(Vec::new()) };
        let source = self.access.app().configuration.source(self.access.id(), source).await?;
        Ok(source.map(|source| source.forwarded()).unwrap_or_default())
    }
}

/// A signature is as good as a secret: with it, anybody's body could be passed off as ours.
fn shown(headers: &HeaderMap) -> Vec<Vec<String>> {
    let told = |value: &HeaderValue| if value.is_sensitive() { REDACTED.to_owned() } else { text(value.as_bytes()) };
    headers.iter().map(|(name, value)| vec![name.to_string(), told(value)]).collect()
}

impl Reading {
    fn of(work: &Work) -> Self {
        Self {
            source_id: work.source_id.map(Into::into),
            event_type: work.event_type.clone(),
            derived_type: work.derived_type.clone(),
            external_id: work.external_id.clone(),
            request_id: work.request_id.clone(),
            attributes: work.attributes.clone(),
        }
    }
}

impl From<Unwanted> for Refusal {
    fn from(unwanted: Unwanted) -> Self {
        let (obstacle, reason) = match unwanted {
            Unwanted::Disabled => (Obstacle::Disabled, "the subscription is not enabled"),
            Unwanted::Source => (Obstacle::Source, "the subscription listens to other sources"),
            Unwanted::NotOperational => (
                Obstacle::NotOperational,
                "what happens to destinations is heard by subscriptions that name the source, and by those to all \
                 sources whose destination is `operational`",
            ),
            Unwanted::OwnDestination => {
                (Obstacle::OwnDestination, "the event tells of the subscription's own destination")
            }
            Unwanted::Origin => (Obstacle::Origin, "`origin` asks for events with a request id, or for those without"),
            Unwanted::EventType => (Obstacle::EventType, "no pattern of `event_types` matches"),
        };
        Self(obstacle, reason.to_owned())
    }
}
