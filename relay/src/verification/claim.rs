//! What a request claims: signatures over a message, made at a time. Whether they are good is for the keys to say.

use std::borrow::Cow;

use super::parse::Set;
use super::template::{Message, Template};
use super::timestamp::Timestamp;
use super::{Failure, Fault, From, Key, Presented, Signature, rules};
use crate::id::CredentialId;
use crate::inbound::Inbound;

/// What a request claims, as far as it can be read.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) message: Message<'a>,
    /// At least one, so that what is malformed costs as much as what is not.
    sets: Vec<Stamped>,
    /// What makes it void, whatever the keys say.
    flaw: Option<Failure>,
}

/// Signatures, and the time that they were made at.
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) signatures: Vec<Vec<u8>>,
    /// As it is written; empty if there is none.
    pub(super) time: String,
    recent: Result<(), Failure>,
}

/// In bytes, each counted as often as it is hashed.
const MOST_HASHED: usize = 256 * 1024 * 1024;

impl<'a> Claim<'a> {
    pub(super) fn read(
        signature: &Signature,
        signed: &'a Template,
        timestamp: Option<&Timestamp>,
        public_url: Option<&str>,
        request: &Presented<'a>,
    ) -> Self {
        let (sets, readable) = match signature.read(&request.inbound) {
            Ok(sets) => (sets, Ok(())),
            Err(failure) => (vec![Set::default()], Err(failure)),
        };
        let (message, complete) = signed.read(request, public_url);
        let sets = sets.into_iter().map(|set| stamped(set, timestamp, signed, request)).collect::<Vec<_>>();
        let timed = sets.iter().map(|set| set.recent.or_else(unless_stale)).reduce(Result::or).unwrap_or(Ok(()));
        Self { message, sets, flaw: readable.and(complete).and(timed).err() }
    }

    /// How many sets there are.
    pub(super) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// How many signatures there are, of all sets.
    pub(super) fn signatures(&self) -> usize {
        self.sets.iter().map(|set| set.signatures.len()).sum()
    }

    /// Refuses a message that would have to be hashed so many times that it would take seconds. No sender who means well
    /// has it hashed more than a few times.
    pub(super) fn affordable(&self, hashes: usize) -> Result<(), Failure> {
        if self.message.length().saturating_mul(hashes) <= MOST_HASHED { Ok(()) } else { Err(Failure::Malformed) }
    }

    /// The credential that one of the signatures is by; `by` takes a set and says of keys whether it is theirs. Every key
    /// is tried on every set, whatever was found before, so that the time it takes tells nothing.
    pub(super) fn verify<'s, IsBy: Fn(&Key) -> Result<(), Failure>>(
        &'s self,
        keys: &[Key],
        by: impl Fn(&'s Stamped) -> IsBy,
    ) -> Result<CredentialId, Failure> {
        let mut verdict = Err(Failure::NoCredential);
        for set in &self.sets {
            let is_by = by(set);
            for key in keys {
                let found = is_by(key).and(set.recent).map(|()| key.id);
                verdict = if weight(found) > weight(verdict) { found } else { verdict };
            }
        }
        match self.flaw {
            Some(flaw) if !keys.is_empty() => Err(flaw),
            _ => verdict,
        }
    }
}

fn stamped(set: Set, timestamp: Option<&Timestamp>, signed: &Template, request: &Presented<'_>) -> Stamped {
    let read = timestamp.map_or(Ok(None), |timestamp| timestamp.read(request, &set));
    let recent = match (timestamp, &read) {
        (_, Err(failure)) => Err(*failure),
        (Some(timestamp), Ok(Some(time))) => timestamp.judge(time, request.now),
        (Some(Timestamp { required: true, .. }), Ok(None)) => Err(Failure::Missing),
        (_, Ok(None)) if signed.has_time() => Err(Failure::Missing),
        _ => Ok(()),
    };
    Stamped { signatures: set.signatures, time: read.ok().flatten().unwrap_or_default(), recent }
}

/// Whether a time is stale is worth telling only of what is signed.
fn unless_stale(failure: Failure) -> Result<(), Failure> {
    if failure == Failure::Stale { Ok(()) } else { Err(failure) }
}

/// What says most of why a request failed, where several keys and signatures failed in several ways.
fn weight(verdict: Result<CredentialId, Failure>) -> u8 {
    match verdict {
        Ok(_) => 4,
        Err(Failure::Stale) => 3,
        Err(Failure::Mismatch) => 2,
        Err(Failure::NoCredential) => 0,
        Err(_) => 1,
    }
}

impl Signature {
    fn read(&self, inbound: &Inbound<'_>) -> Result<Vec<Set>, Failure> {
        let text = match self.from {
            From::Header => String::from_utf8_lossy(super::header(inbound, &self.name)?),
            From::Json => {
                let found = crate::json::read(inbound.body, &[&self.name]).pop().flatten();
                Cow::Owned(found.ok_or(Failure::Missing)?)
            }
            From::Query => Cow::Owned(query_item(inbound, &self.name)?),
        };
        self.parse.read(&text, self.encoding)
    }

    fn check(&self) -> Result<(), Fault> {
        match self.from {
            From::Header => rules::header("/signature/name", &self.name)?,
            From::Json => rules::pointer("/signature/name", &self.name)?,
            From::Query => rules::text("/signature/name", &self.name)?,
        }
        self.parse.check()
    }
}

fn query_item(inbound: &Inbound<'_>, name: &str) -> Result<String, Failure> {
    let items = url::form_urlencoded::parse(inbound.query.unwrap_or_default().as_bytes());
    let mut values = items.filter(|(found, _)| found == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Err(Failure::Missing),
        (Some(value), None) => Ok(value.into_owned()),
        (Some(_), Some(_)) => Err(Failure::Repeated),
    }
}

/// What every tenant's own signature has to keep to.
pub(super) fn check(signature: &Signature, signed: &Template, timestamp: Option<&Timestamp>) -> Result<(), Fault> {
    signature.check()?;
    signed.check()?;
    match timestamp {
        Some(timestamp) => timestamp.check(&signature.parse, signed),
        None if signed.has_time() => {
            Err(rules::fault("/timestamp", "must be there: `{ts}` in `signed` is what it says"))
        }
        None => Ok(()),
    }
}
