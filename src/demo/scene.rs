//! Everything that happened, to be looked at: by the table and by the checks.

use std::collections::HashMap;

use super::delivery::Delivery;
use super::provider::Posted;
use super::tenant::{Subscription, Tenant};

/// Who took part, and what came of it.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) tenants: &'a [&'a Tenant],
    pub(super) posted: Vec<Posted<'a>>,
    /// The id that the repeat of the first event was answered with, and how many repeats that event counts.
    pub(super) repeat: String,
    pub(super) duplicates: u64,
    /// The status that a wrong password was answered with.
    pub(super) intruder: u16,
    /// By event id, where the provider's preset made one.
    pub(super) derived_types: HashMap<String, String>,
    pub(super) deliveries: Vec<Delivery>,
}

impl Scene<'_> {
    /// Every event with every subscription that should get it.
    pub(super) fn expected(&self) -> impl Iterator<Item = (&Posted<'_>, &Subscription)> {
        self.posted.iter().flat_map(|posted| {
            let wanting = posted.tenant.subscriptions.iter().filter(|it| it.wants(posted.event_type));
            wanting.map(move |subscription| (posted, subscription))
        })
    }

    /// Which event a delivery is of, and because of which subscription.
    pub(super) fn way_of(&self, delivery: &Delivery) -> Option<(&Posted<'_>, &Subscription)> {
        self.expected().find(|(posted, subscription)| {
            posted.event_id == delivery.event_id && subscription.id == delivery.subscription_id
        })
    }
}
