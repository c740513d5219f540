//! What goes over the wire for one attempt: a token where the destination wants one, the request, and once more where that
//! harms nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::destination::Auth;
use entity::request::{self, Facts};
use relay::egress::{Outgoing, Response, SendError};
use secrecy::SecretString;

use super::{Errand, Sender, number};
use crate::outcome::Unanswered;
use crate::token::{Asking, Token, TokenError};

/// A connection that is refused or closed later than this was not refused by the receiver's own machine.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Sender {
    /// All of it within the destination's time, counted from `began`.
    pub(super) async fn exchange(&self, errand: &Errand<'_>, began: Instant) -> Result<Response, Unanswered> {
        let token = self.token(errand, began).await?;
        let answer = self.request(errand, token.as_ref(), began).await;
        match (answer, token) {
            // Nothing was sent, and a receiver that starts anew is there again in a moment.
            (Err(SendError::NotSent(_)), token) if began.elapsed() < AT_ONCE => {
                Ok(self.request(errand, token.as_ref(), began).await?)
            }
            // The token ended before its time, or was withdrawn: one more is tried, once.
            (Ok(answer), Some(token)) if answer.status == 401 => {
                self.tokens.spurn(owner(errand), &token, left(errand, began)).await;
                match self.token(errand, began).await {
                    // The next attempt finds out what became of it.
                    Err(Unanswered::Changed) => Ok(answer),
                    token => Ok(self.request(errand, token?.as_ref(), began).await?),
                }
            }
            (answer, _) => Ok(answer?),
        }
    }

    /// The access token, where the destination wants one.
    async fn token(&self, errand: &Errand<'_>, began: Instant) -> Result<Option<Token>, Unanswered> {
        let Auth::OAuth2(client) = &errand.opened.auth else { return Ok(None) };
        errand.launch.is_under_way();
        let asking =
            Asking { egress: &self.egress, client, within: left(errand, began), may_write: self.fence(errand) };
        match self.tokens.get(owner(errand), &asking).await {
            Ok(token) => self.is_unchanged(errand).await.then_some(Some(token)).ok_or(Unanswered::Changed),
            Err(TokenError::None(why)) => Err(why.into()),
            Err(TokenError::Ours(error)) => Err(error.into()),
        }
    }

    /// Rule C, once more: while a token was waited for, what had been looked up before may have become old.
    async fn is_unchanged(&self, errand: &Errand<'_>) -> bool {
        let due = &errand.start.due;
        let known = self.configuration.destination(due.tenant_id, due.destination_id).await;
        let is_same = known.is_ok_and(|known| known.is_some_and(|known| known.version == errand.destination.version));
        is_same && self.rule(due).await.is_ok()
    }

    async fn request(&self, errand: &Errand<'_>, token: Option<&Token>, began: Instant) -> Result<Response, SendError> {
        let due = &errand.start.due;
        let facts = Facts {
            event: due.event_id,
            subscription: due.subscription_id,
            attempt: number(errand.start),
            now: self.clock.now(),
            span: errand.span,
            sampling: self.tracer.sampling(),
            passed_on: errand.passed_on.clone(),
        };
        let launch = Arc::clone(&errand.launch);
        let token: Option<&SecretString> = token.map(|token| &token.value);
        let outgoing = Outgoing {
            url: errand.destination.url.clone(),
            headers: request::headers(errand.work, &facts, &errand.opened, token),
            body: errand.work.body.clone(),
            tls: errand.opened.tls.clone(),
            timeout: left(errand, began),
            may_write: self.fence(errand),
            begun: Some(Box::new(move || launch.is_under_way())),
        };
        self.egress.send(outgoing).await
    }

    /// Rule A: looked at again before the first byte goes out.
    fn fence(&self, errand: &Errand<'_>) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let (leases, shard, epoch) = (Arc::clone(&self.leases), errand.start.due.shard, errand.start.epoch);
        Arc::new(move || leases.may_send(shard, epoch))
    }
}

fn owner(errand: &Errand<'_>) -> crate::token::Owner {
    (errand.start.due.tenant_id, errand.start.due.destination_id)
}

/// What is left of the destination's time.
fn left(errand: &Errand<'_>, began: Instant) -> Duration {
    let timeout = Duration::from_secs(u64::from(errand.destination.timeout_s.unsigned_abs()));
    timeout.saturating_sub(began.elapsed())
}
