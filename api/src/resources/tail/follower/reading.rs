//! Reading what there is news of, and keeping of it what is wanted.

use std::collections::{HashMap, HashSet};

use entity::{delivery, event, rejection};
use poem::web::sse;
use relay::id::{DeliveryId, EventId, RejectionId, SourceId};

use super::super::SourceRejection;
use super::super::cursor::mark;
use super::{Follower, Found, message};
use crate::error::Error;
use crate::resources::deliveries::Delivery;
use crate::resources::events::Event;
use crate::resources::sources::Rejection;

/// Rows that are read, and told, at a time.
const CHUNK: usize = 100;
/// What is told last of a delivery; before, the number of its attempts.
const ENDED: u16 = u16::MAX;

/// What is told, with what a cursor says of it: a time and a mark.
pub(super) type News = (sse::Event, i64, u32);

impl Follower {
    /// Reads the next of what was found.
    pub(super) async fn read(&mut self) -> Result<Vec<News>, Error> {
        let (mut events, mut deliveries, mut rejections) = (Vec::new(), Vec::new(), Vec::new());
        let chunk = self.found.len().min(CHUNK);
        if chunk == 0 {
            return Ok(Vec::new());
        }
        for found in self.found.iter().take(chunk) {
            match *found {
                Found::Event(id) => events.push(id),
                Found::Delivery(id, heard) => deliveries.push((id, heard)),
                Found::Rejection(id) => rejections.push(id),
            }
        }
        let mut news = self.read_events(&events).await?;
        let rejections = self.read_rejections(&rejections).await?;
        news.extend(self.read_deliveries(&deliveries).await?);
        news.extend(rejections);
        self.found.drain(..chunk);
        Ok(news)
    }

    async fn read_events(&self, ids: &[EventId]) -> Result<Vec<News>, Error> {
        let mut rows = event::these(&self.access.app().db.read, self.access.id(), ids).await?;
        rows.sort_unstable_by_key(|row| row.id);
        let wanted = rows.iter().filter(|row| self.wanted.event(row));
        wanted.map(|row| Ok((message("event", &Event::show(row)?), row.id().millis(), mark(row.id, 0)))).collect()
    }

    async fn read_rejections(&self, ids: &[RejectionId]) -> Result<Vec<News>, Error> {
        let mut rows = rejection::these(&self.access.app().db.read, self.access.id(), ids).await?;
        rows.sort_unstable_by_key(|row| row.id);
        let wanted = rows.iter().filter(|row| self.wanted.rejection(row));
        let news = wanted.map(|row| {
            let source_id = SourceId::from(row.source_id).into();
            let rejection = SourceRejection { source_id, rejection: Rejection::show(row)? };
            Ok((message("rejection", &rejection), row.id().millis(), mark(row.id, 0)))
        });
        news.collect()
    }

    /// Each with the attempts that were heard of.
    async fn read_deliveries(&mut self, ids: &[(DeliveryId, i16)]) -> Result<Vec<News>, Error> {
        let (db, tenant) = (&self.access.app().db.read, self.access.id());
        let heard: HashMap<DeliveryId, i16> = ids.iter().copied().collect();
        let mut rows = delivery::these(db, tenant, &heard.keys().copied().collect::<Vec<_>>()).await?;
        rows.sort_unstable_by_key(|row| (row.finished_at.unwrap_or(i64::MAX), row.id));
        let mut events = HashMap::new();
        if self.wanted.asks_of_events() {
            let ids: HashSet<EventId> = rows.iter().map(|row| row.event_id).collect();
            let read = event::these(db, tenant, &ids.into_iter().collect::<Vec<_>>()).await?;
            events.extend(read.into_iter().map(|event| (event.id(), event)));
        }
        let mut news = Vec::with_capacity(rows.len());
        for row in &rows {
            let stage = match row.finished_at {
                Some(_) => ENDED,
                // It was only out of sight.
                None if heard.get(&row.id).is_some_and(|heard| row.attempts <= *heard) => continue,
                None => row.attempts.unsigned_abs(),
            };
            if stage == ENDED {
                self.watched.ended(row.id);
                self.finished.note(row.id.uuid());
            } else {
                self.watched.heard(row.id, row.attempts);
            }
            if self.wanted.delivery(row, events.get(&row.event_id)) {
                let at = row.id.millis().max(row.finished_at.unwrap_or_default());
                news.push((message("delivery", &Delivery::show(row)), at, mark(row.id.uuid(), stage)));
            }
        }
        Ok(news)
    }
}
