//! The one way to change something: a transaction that also holds the audit row, the numbers of the change log and the
//! answer that is kept for an `Idempotency-Key`. What was committed holds in this process at once.

use entity::change::{self, Changed};
use entity::{Transaction, audit};
use poem_openapi::types::ToJSON;
use relay::id::{AuditId, Id, TenantId};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::{Answer, Parts};
use crate::auth::{Access, Caller};
use crate::error::Error;
use crate::idempotency::Once;
use crate::wire::Thing;

/// A change that is being made. Dropped without [`Mutation::commit`], nothing was changed.
#[derive(Debug)]
pub struct Mutation<'a> {
    caller: &'a Caller,
    pub txn: Transaction,
    /// The present, the same in all that this writes.
    pub now: i64,
    once: Option<Once>,
    /// Given back when the change ends, one way or the other.
    _leave: OwnedSemaphorePermit,
}

/// What was done, as the audit log, the other processes and the workers need to know it.
#[derive(Debug)]
pub struct Done {
    row: audit::Model,
    changed: Vec<Changed>,
    rings: bool,
}

impl Caller {
    /// Begins a change. A request that was answered before leaves here, with its answer.
    pub async fn begin(&self) -> Result<Mutation<'_>, Error> {
        let once = Once::of(self)?;
        let now = self.app.clock.now();
        let leave = self.app.db.may_change().await;
        let txn = self.app.db.begin().await?;
        if let Some(once) = &once {
            once.or_kept(&txn, &self.app.keyring, now).await?;
        }
        Ok(Mutation { caller: self, txn, now, once, _leave: leave })
    }
}

impl Caller {
    /// Refuses to make what the request's preconditions say is there.
    pub fn expect_nothing(&self) -> Result<(), Error> {
        self.facts.preconditions.check(None).map_err(Error::PreconditionFailed)
    }
}

impl Access {
    /// See [`Caller::begin`].
    pub async fn begin(&self) -> Result<Mutation<'_>, Error> {
        self.caller.begin().await
    }
}

impl Mutation<'_> {
    /// Refuses to change another version than the one that the request's preconditions allow.
    pub fn expect(&self, version: i64) -> Result<(), Error> {
        self.caller.facts.preconditions.check(Some(version)).map_err(Error::PreconditionFailed)
    }

    /// See [`Caller::expect_nothing`].
    pub fn expect_nothing(&self) -> Result<(), Error> {
        self.caller.expect_nothing()
    }

    /// Makes the change durable, and known to this process before its caller hears of it.
    pub async fn commit<const STATUS: u16, T: ToJSON>(
        self,
        done: Done,
        answer: Answer<STATUS, T>,
    ) -> Result<Answer<STATUS, T>, Error> {
        self.write(done, &answer.parts()).await?;
        Ok(answer)
    }

    async fn write(self, done: Done, parts: &Parts) -> Result<(), Error> {
        let app = &self.caller.app;
        audit::insert(&self.txn, self.signed(done.row)).await?;
        if let Some(once) = &self.once {
            once.keep(&self.txn, &app.keyring, parts, self.now).await?;
        }
        if !done.changed.is_empty() {
            change::record(&self.txn, &done.changed, self.now).await?;
        }
        self.txn.commit().await?;
        if !done.changed.is_empty()
            && let Err(error) = app.configuration.poll().await
        {
            // It is committed, and holds within a second as everywhere else.
            let (request_id, error) = (&self.caller.facts.request_id, &error as &dyn std::error::Error);
            tracing::warn!(request_id, error, "reading one's own change");
        }
        if done.rings {
            app.wake.ring();
        }
        Ok(())
    }

    /// The audit row with what is known of the caller.
    fn signed(&self, row: audit::Model) -> audit::Model {
        let facts = &self.caller.facts;
        audit::Model {
            id: AuditId::at(self.now).uuid(),
            at: self.now,
            actor: self.caller.key.map(Id::uuid),
            request_id: facts.request_id.clone(),
            remote_address: facts.remote_address.map(|address| address.to_string()),
            ..row
        }
    }
}

impl Done {
    /// This was done to this thing, which belongs to this tenant if to any.
    #[must_use]
    pub fn new<K: Thing>(action: &'static str, id: Id<K>, tenant: Option<TenantId>) -> Self {
        let row = audit::Model {
            id: id.uuid(),
            tenant_id: tenant.map(Id::uuid),
            at: 0,
            actor: None,
            action: action.to_owned(),
            object: K::OBJECT.to_owned(),
            object_id: id.uuid(),
            before: None,
            after: None,
            request_id: String::new(),
            remote_address: None,
        };
        Self { row, changed: Vec::new(), rings: false }
    }

    /// How it was, as the API shows it: that holds no secret.
    #[must_use]
    pub fn before(mut self, shown: &impl ToJSON) -> Self {
        self.row.before = text(shown.to_json());
        self
    }

    /// How it is now, as the API shows it: never the answer to a creation, which may hold a secret.
    #[must_use]
    pub fn after(mut self, shown: &impl ToJSON) -> Self {
        self.row.after = text(shown.to_json());
        self
    }

    /// Cached entries that are stale from now on.
    #[must_use]
    pub fn changes(mut self, changed: impl IntoIterator<Item = Changed>) -> Self {
        self.changed.extend(changed);
        self
    }

    /// Something in the queue wants a worker.
    #[must_use]
    pub fn rings(mut self) -> Self {
        self.rings = true;
        self
    }
}

fn text(shown: Option<Value>) -> Option<String> {
    shown.map(|value| value.to_string())
}
