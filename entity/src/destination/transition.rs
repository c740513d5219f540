//! What the owner of a destination's shard does to it without being asked: disabled after too many failures, well again.

use relay::id::{AuditId, DestinationId, TenantId};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use super::{Cause, Model, State, lock, save};
use crate::audit;
use crate::change::{self, Changed};
use crate::operational::{self, Happening, Notice};
use crate::shard::Lease;
use crate::{Database, health};

/// After so long without a success, in milliseconds, a destination is disabled. As long as a weekend and its holiday.
pub const FAILING_MS: i64 = 120 * 3_600_000;

/// A step that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Its deliveries wait from now on.
    Disable(Cause),
    /// A probe was taken: what waited is delivered.
    Heal,
}

/// Makes the step, tells the tenant, and writes it into the audit log, in one transaction. False: nothing was to be done,
/// since a person was faster, or the shard has another owner.
pub async fn step(
    db: &Database,
    (owner, lease): (Uuid, Lease),
    (tenant, id): (TenantId, DestinationId),
    transition: Transition,
    now: i64,
) -> Result<bool, DbErr> {
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    if !is_owned(&txn, owner, lease).await? {
        return Ok(false);
    }
    let Some(before) = lock(&txn, tenant, id).await? else { return Ok(false) };
    let since = health::failing_since(&txn, tenant, id).await?;
    let Some(row) = stepped(&before, transition, since, now) else { return Ok(false) };
    let row = save(&txn, row).await?;
    let (action, happening) = match transition {
        Transition::Disable(_) => ("disable", Happening::Disabled),
        Transition::Heal => ("heal", Happening::Healed),
    };
    if transition == Transition::Heal {
        // Nobody sees it active and failing.
        health::forget(&txn, tenant, id).await?;
    }
    operational::tell(&txn, &Notice::of_destination(&row, happening), now).await?;
    audit::insert(&txn, audit_row(action, &before, &row, now)).await?;
    change::record(&txn, &[Changed::Destination(id)], now).await?;
    txn.commit().await?;
    Ok(true)
}

/// Rule K: the shard's row is held against a takeover.
async fn is_owned(txn: &DatabaseTransaction, owner: Uuid, lease: Lease) -> Result<bool, DbErr> {
    let backend = txn.get_database_backend();
    let hold = if backend == sea_orm::DbBackend::Postgres { "FOR KEY SHARE" } else { "" };
    let text = format!("SELECT id FROM shard WHERE id = $1 AND owner = $2 AND epoch = $3 {hold}");
    let values: [Value; 3] = [lease.shard.into(), owner.into(), lease.epoch.into()];
    Ok(txn.query_one_raw(Statement::from_sql_and_values(backend, text, values)).await?.is_some())
}

/// The row as it is from now on; None where the step does not apply.
fn stepped(row: &Model, transition: Transition, failing_since: Option<i64>, now: i64) -> Option<Model> {
    let applies = match transition {
        Transition::Disable(Cause::Gone) => row.state() == State::Active,
        Transition::Disable(Cause::Failing) => {
            row.state() == State::Active && failing_since.is_some_and(|since| now - since >= FAILING_MS)
        }
        Transition::Heal => row.state() == State::Disabled && row.cause() == Some(Cause::Failing),
    };
    let (state, reason) = match transition {
        Transition::Disable(cause) => (State::Disabled, Some(cause.as_str().to_owned())),
        Transition::Heal => (State::Active, None),
    };
    applies.then(|| row.in_state(state, reason, now))
}

fn audit_row(action: &str, before: &Model, after: &Model, now: i64) -> audit::Model {
    let shown = |row: &Model| json!({ "state": row.state, "state_reason": row.state_reason }).to_string();
    audit::Model {
        id: AuditId::at(now).uuid(),
        tenant_id: Some(before.tenant_id),
        at: now,
        // Nobody asked.
        actor: None,
        action: action.to_owned(),
        object: "destination".to_owned(),
        object_id: before.id,
        before: Some(shown(before)),
        after: Some(shown(after)),
        request_id: String::new(),
        remote_address: None,
    }
}

#[cfg(test)]
mod tests {
    use relay::id::Id;

    use super::*;
    use crate::destination::tests::row;

    #[test]
    fn a_step_applies_to_what_it_was_decided_for_only() {
        let of = |state: State, cause: Option<Cause>| Model {
            state: state.as_str().into(),
            state_reason: cause.map(|cause| cause.as_str().into()),
            ..row(Id::at(1), Id::at(2))
        };
        let active = of(State::Active, None);
        let paused = of(State::Paused, None);
        let gone = of(State::Disabled, Some(Cause::Gone));
        let failing = of(State::Disabled, Some(Cause::Failing));
        let now = 10 * FAILING_MS;
        let (long, short) = (Some(now - FAILING_MS), Some(now - FAILING_MS + 1));
        let disable = Transition::Disable;
        for (row, transition, since, state) in [
            (&active, disable(Cause::Failing), long, Some(State::Disabled)),
            (&active, disable(Cause::Failing), short, None),
            (&active, disable(Cause::Failing), None, None),
            (&active, disable(Cause::Gone), None, Some(State::Disabled)),
            (&active, Transition::Heal, long, None),
            (&paused, disable(Cause::Failing), long, None),
            (&paused, disable(Cause::Gone), None, None),
            (&paused, Transition::Heal, long, None),
            (&gone, disable(Cause::Failing), long, None),
            (&gone, Transition::Heal, long, None),
            (&failing, disable(Cause::Gone), long, None),
            (&failing, Transition::Heal, None, Some(State::Active)),
        ] {
            let after = stepped(row, transition, since, now);
            assert_eq!(after.as_ref().map(Model::state), state, "{transition:?} of {} since {since:?}", row.state);
            if let Some(after) = after {
                assert_eq!((after.version, after.state_since), (row.version + 1, now));
            }
        }
    }
}
