//! What the operator's collector hears of an attempt.

use std::time::Duration;

use entity::attempt::Outcome;
use relay::stored::Headers;
use relay::trace::{self, Kind, Span, Trace};

use super::{Errand, Sender, number, numbers};
use crate::outcome::Judged;

impl Sender {
    /// Below the request that brought the event, where one did.
    pub(super) fn tell(&self, errand: &Errand<'_>, judged: &Judged, (at, took): (i64, Duration)) {
        if !self.tracer.is_on() {
            return;
        }
        let due = &errand.start.due;
        let trace = Trace::of_stored(due.event_id, &Headers::read(&errand.work.headers));
        self.tracer.tell(&trace, || {
            let mut attributes = vec![
                ("hookyard.tenant.id", due.tenant_id.to_string().into()),
                ("hookyard.event.id", due.event_id.to_string().into()),
                ("hookyard.delivery.id", due.id.to_string().into()),
                ("hookyard.destination.id", due.destination_id.to_string().into()),
                ("hookyard.attempt", i64::from(number(errand.start)).into()),
                ("hookyard.outcome", numbers::name(judged.outcome).into()),
                ("http.request.method", "POST".into()),
            ];
            attributes.extend(judged.status.map(|status| ("http.response.status_code", i64::from(status).into())));
            Span {
                trace: trace.id,
                id: errand.span,
                parent: errand.work.was_received(due.tenant_id).then(|| trace::arrival(due.event_id)),
                kind: Kind::Client,
                name: "attempt",
                began_at: at,
                took,
                attributes,
                error: judged.error.clone().filter(|_| judged.outcome != Outcome::Delivered),
            }
        });
    }
}
