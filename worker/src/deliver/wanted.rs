//! Whether the delivery's subscription wants the event after all: what was not known, or too dear to find out, when the event
//! was accepted.

use entity::delivery::Trigger;
use entity::own_request;
use entity::pending::Due;
use entity::subscription::{self, Origin, Rules, Unreadable};
use entity::work::Work;
use relay::filter::Filter;
use relay::id::SubscriptionId;

use super::{Fault, Sender, Unsent, cancelled, failed, filtered};

/// What of a subscription is judged here.
pub(super) struct Wanted {
    origin: Origin,
    filter: Result<Option<Filter>, Unreadable>,
}

impl Wanted {
    fn of(rules: &Rules, subscription: SubscriptionId) -> Option<Self> {
        let rule = rules.get(subscription)?;
        Some(Self { origin: rule.origin, filter: rule.filter.clone() })
    }
}

impl Sender {
    /// None where anything is wanted: by a test, and by a replay that was forced.
    pub(super) async fn rule(&self, due: &Due) -> Result<Option<Wanted>, Unsent> {
        let Some(subscription) = due.subscription_id else { return Ok(None) };
        let known = self.configuration.subscriptions(due.tenant_id).await.map_err(Fault::Configuration)?;
        if let Some(wanted) = Wanted::of(&known, subscription) {
            return Ok(Some(wanted));
        }
        // What is known may be a second old, and the subscription newer: the database itself knows whether it is gone.
        let rules = subscription::rules(&self.db.steady, due.tenant_id).await.map_err(Fault::Configuration)?;
        Ok(Some(Wanted::of(&rules, subscription).ok_or_else(|| cancelled("subscription deleted"))?))
    }

    pub(super) async fn judge(&self, due: &Due, work: &Work, wanted: &Wanted) -> Result<(), Unsent> {
        if wanted.origin.is_judged_later() && self.is_own(due, work).await? {
            return Err(filtered("own request").into());
        }
        match &wanted.filter {
            Ok(None) => Ok(()),
            Ok(Some(filter)) => work.passes(filter).map_err(|clause| filtered(&clause.to_string()).into()),
            Err(unreadable) => Err(failed(&unreadable.to_string()).into()),
        }
    }

    /// Whether the event answers to a request that the tenant registered. Asked of the database itself: the registration
    /// may have been committed a moment ago.
    async fn is_own(&self, due: &Due, work: &Work) -> Result<bool, Fault> {
        let Some(request) = &work.request_id else { return Ok(false) };
        let own = own_request::is_own(&self.db.steady, due.tenant_id, work.source_id, request, self.clock.now()).await;
        own.map_err(Fault::OwnRequests)
    }
}

/// Before the first attempt only, since what the destination may have seen is not taken back; and not where a person asked
/// for this very delivery.
pub(super) fn is_judged(due: &Due) -> bool {
    due.attempts == 0 && !matches!(due.trigger, Trigger::Retry | Trigger::Test)
}
