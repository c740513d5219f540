//! An event that no provider sent: a sample, which goes the way of every other from its verification on.

use entity::ingest::{self, NewEvent};
use entity::{source, subscription};
use poem_openapi::Object;
use relay::id::{EventId, SourceId, kind};
use relay::preset::{self, Preset};

use crate::answer::Accepted;
use crate::auth::Access;
use crate::error::Error;
use crate::ingest::event;
use crate::mutation::{Done, Mutation};
use crate::wire::Id;

/// What is to be simulated.
#[derive(Debug, Object)]
pub struct Simulation {
    /// One of the types that the provider documents: `event_types` of `/v1/providers/{name}`.
    #[oai(validator(min_length = 1, max_length = 512))]
    pub event_type: String,
}

/// What a simulation made.
#[derive(Debug, Object)]
pub struct Simulated {
    pub event_id: Id<kind::Event>,
}

pub(super) async fn simulate(access: &Access, id: SourceId, asked: &Simulation) -> Result<Accepted<Simulated>, Error> {
    let key = access.app().payload_keys.sealing(access.id()).await?;
    let change = access.begin().await?;
    let source = source::configured(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    let event = sample(&change, &source, &asked.event_type).await?.sealed(key.as_deref());
    ingest::insert(&change.txn, &event).await?;
    let answer = Simulated { event_id: event.id.into() };
    let done = Done::new("simulate", id, Some(access.id())).after(&answer).rings();
    change.commit(done, Accepted::of(answer)).await
}

async fn sample(change: &Mutation<'_>, source: &source::Configured, event_type: &str) -> Result<NewEvent, Error> {
    let preset = source.preset();
    // Like no other's, and told from a provider's.
    let external_id = format!("simulated-{}", EventId::at(change.now).uuid().simple());
    let sent = preset::simulate(preset, &source.extract, event_type, &external_id, change.now)
        .ok_or_else(|| Error::field("/event_type", unknown(preset)))?;
    let rules = subscription::rules(&change.txn, source.source.tenant()).await?;
    let event = event::of(source, &rules, &sent.inbound(), sent.body.clone().into(), change.now);
    Ok(NewEvent { test: true, ..event })
}

fn unknown(preset: &Preset) -> String {
    let known: Vec<_> = preset.event_types.iter().map(|known| known.name).collect();
    match known.as_slice() {
        [] => format!("cannot be simulated: the provider `{}` has no types of events that are known", preset.name),
        known => format!("is no type of events that is known of `{}`: one of {}", preset.name, known.join(", ")),
    }
}
