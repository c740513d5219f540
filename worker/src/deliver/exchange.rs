//! What goes over the wire for one attempt: a token where the destination wants one, the request, and once more where that
//! harms nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::destination::Auth;
use entity::request::{self, Facts};
use relay::egress::{Outgoing, Response, SendError};
use relay::failpoint;
use secrecy::SecretString;

use super::wanted::is_judged;
use super::{Errand, Fault, Sender, Unsent, number};
use crate::outcome::Unanswered;
use crate::token::{Asking, Token, TokenError};

/// A connection that is refused or closed later than this was not refused by the receiver's own machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A token that was there at once made nothing old.
const STILL_FRESH: Duration = Duration::from_millis(100);

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
                let token = self.token(errand, began).await?;
                Ok(self.request(errand, token.as_ref(), began).await?)
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
            Ok(token) => {
                self.look_again(errand, began).await?;
                Ok(Some(token))
            }
            Err(TokenError::None(why)) => Err(why.into()),
            Err(TokenError::Ours(error)) => Err(error.into()),
        }
    }

    /// Rule C, once more: while a token was waited for, what had been looked up before may have become old.
    async fn look_again(&self, errand: &Errand<'_>, began: Instant) -> Result<(), Unanswered> {
        if began.elapsed() < STILL_FRESH {
            return Ok(());
        }
        match tokio::time::timeout(left(errand, began), self.is_unchanged(errand)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Unanswered::Changed),
            Ok(Err(_)) | Err(_) => Err(Unanswered::NotLookedUp),
        }
    }

    async fn is_unchanged(&self, errand: &Errand<'_>) -> Result<bool, Fault> {
        let due = &errand.start.due;
        let known = self.configuration.destination(due.tenant_id, due.destination_id).await;
        let known = known.map_err(Fault::Configuration)?;
        if known.is_none_or(|known| known.version != errand.destination.version) {
            return Ok(false);
        }
        let is_wanted = async {
            match self.rule(due).await?.filter(|_| is_judged(due)) {
                Some(rule) => self.judge(due, errand.work, &rule).await,
                None => Ok(()),
            }
        };
        match is_wanted.await {
            Ok(()) => Ok(true),
            Err(Unsent::Ended(_)) => Ok(false),
            Err(Unsent::Fault(fault)) => Err(fault),
        }
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
        let (leases, due, epoch) = (Arc::clone(&self.leases), errand.start.due, errand.start.epoch);
        Arc::new(move || {
            failpoint::note("may-write", &format_args!("{} {}", due.event_id, due.destination_id));
            leases.may_send(due.shard, epoch)
        })
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
