//! Which news are told. What does not have what is asked for is left out: a refused request has no type, and only a delivery
//! has a destination.

use entity::{delivery, event, rejection};
use relay::id::{DestinationId, SourceId};

use super::TailSearch;
use crate::resources::deliveries::{Delivery, DeliveryState};
use crate::wire::{Kinds, NewsKind};

#[derive(Debug)]
pub(super) struct Wanted {
    kinds: Kinds,
    source: Option<SourceId>,
    event_type: Option<String>,
    destination: Option<DestinationId>,
    state: Option<DeliveryState>,
}

impl Wanted {
    pub(super) fn of(search: &TailSearch) -> Self {
        Self {
            kinds: search.kinds.map_or(Kinds::ALL, |kinds| kinds.0),
            source: search.source_id.map(|id| id.0),
            event_type: search.event_type.clone(),
            destination: search.destination_id.map(|id| id.0),
            state: search.state,
        }
    }

    /// Whether any news of this kind can be wanted.
    pub(super) fn has(&self, kind: NewsKind) -> bool {
        let is_of_deliveries = self.destination.is_some() || self.state.is_some();
        self.kinds.has(kind)
            && match kind {
                NewsKind::Delivery => true,
                NewsKind::Event => !is_of_deliveries,
                NewsKind::Rejection => !is_of_deliveries && self.event_type.is_none(),
            }
    }

    pub(super) fn event(&self, row: &event::Model) -> bool {
        let is_of_type = |wanted: &String| [&row.event_type, &row.derived_type].contains(&&Some(wanted.clone()));
        self.source.is_none_or(|wanted| row.source() == Some(wanted)) && self.event_type.as_ref().is_none_or(is_of_type)
    }

    /// Whether a delivery is judged by its event, which must then be read.
    pub(super) const fn asks_of_events(&self) -> bool {
        self.source.is_some() || self.event_type.is_some()
    }

    /// `event`: where its event was asked for and is known.
    pub(super) fn delivery(&self, row: &delivery::Row, event: Option<&event::Model>) -> bool {
        self.destination.is_none_or(|wanted| row.destination_id == wanted)
            && self.state.is_none_or(|wanted| Delivery::show(row).state == wanted)
            && (!self.asks_of_events() || event.is_some_and(|event| self.event(event)))
    }

    pub(super) fn rejection(&self, row: &rejection::Model) -> bool {
        self.source.is_none_or(|wanted| SourceId::from(row.source_id) == wanted)
    }
}
