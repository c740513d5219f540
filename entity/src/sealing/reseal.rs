//! Seals everything anew with the first key, so that the others are needed no more.

use relay::keyring::{Keyring, OpenError, key_of};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{Condition, QueryOrder, QuerySelect};
use secrecy::ExposeSecret;

use super::{Column as Key, Entity as Keys, KeysError, SILENT_MS};
use crate::{Database, credential, destination, idempotency, payload_key, source_key};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// How many secrets were sealed anew.
    pub count: u64,
    /// The keys that are needed no more.
    pub retired: Vec<String>,
    /// Keys with which a process has begun to seal meanwhile.
    pub needed: Vec<String>,
}

/// Why not everything is sealed anew. What is stays so: it can be begun again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    #[error("the database could not be read or written")]
    Database(#[from] DbErr),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(
        "within the last {minutes} minutes a process had another key in the first place: {keys}. Nothing was changed. Start \
         every process with the new key first, wait as long, and run this again",
        minutes = SILENT_MS / 60_000
    )]
    StillSeals { keys: String },
    #[error("what {0} holds could not be opened")]
    Open(String, #[source] OpenError),
}

/// Rows that are read at a time.
const PAGE: u64 = 200;

/// A sealed text in a column of a row.
pub(crate) struct Sealed<C> {
    pub(crate) column: C,
    pub(crate) text: String,
    /// What it is bound to.
    pub(crate) owner: String,
}

/// A table that holds sealed texts.
trait Sealing: EntityTrait {
    /// Where the sealed texts of a row are, and whose they are.
    fn sealed(row: &Self::Model) -> Vec<Sealed<Self::Column>>;
    /// The row by its key.
    fn row(row: &Self::Model) -> Condition;
    /// The rows behind this one.
    fn behind(row: &Self::Model) -> Condition;
    /// The columns of the key, in their order.
    fn key() -> Vec<Self::Column>;
}

/// Seals with the first key whatever another has sealed. May run while the relay does: nothing changes but how secrets are
/// kept.
pub async fn reseal(db: &Database, keyring: &Keyring, now: i64) -> Result<Resealed, ResealError> {
    let txn = super::alone(db).await?;
    super::compare(&txn, keyring).await?;
    // A process that has another key in front may not know this one: what is sealed with it would be lost to that process.
    let others = Keys::find().filter(Key::Id.ne(first(keyring))).order_by_asc(Key::Id);
    let seals = others.clone().filter(Key::SealingAt.gt(now - SILENT_MS)).all(&txn).await?;
    if !seals.is_empty() {
        let ago = |key: super::Model| (now - key.sealing_at).max(0) / 1_000;
        let seals = seals.into_iter().map(|key| format!("`{}` ({} s ago)", key.id.clone(), ago(key)));
        return Err(ResealError::StillSeals { keys: seals.collect::<Vec<_>>().join(", ") });
    }
    super::note(&txn, keyring, now).await?;
    txn.commit().await?;
    let mut count = table::<source_key::Entity>(db, keyring).await?;
    count += table::<credential::Entity>(db, keyring).await?;
    count += table::<destination::Entity>(db, keyring).await?;
    count += table::<idempotency::Entity>(db, keyring).await?;
    count += table::<payload_key::Entity>(db, keyring).await?;
    let (mut retired, mut needed) = (Vec::new(), Vec::new());
    for key in others.all(&db.write).await? {
        // Not by a look and then a deletion: a process may say in between that it seals with it.
        let silent = Condition::all().add(Key::Id.eq(&*key.id)).add(Key::SealingAt.lte(now - SILENT_MS));
        let gone = Keys::delete_many().filter(silent).exec(&db.write).await?.rows_affected == 1;
        if gone { &mut retired } else { &mut needed }.push(key.id);
    }
    Ok(Resealed { count, retired, needed })
}

fn first(keyring: &Keyring) -> &str {
    keyring.ids().first().copied().unwrap_or_default()
}

async fn table<E: Sealing>(db: &Database, keyring: &Keyring) -> Result<u64, ResealError> {
    let (mut count, mut last): (u64, Option<E::Model>) = (0, None);
    loop {
        let mut page = E::find().filter(last.as_ref().map_or_else(Condition::all, E::behind)).limit(PAGE);
        for column in E::key() {
            page = page.order_by_asc(column);
        }
        let rows = page.all(&db.steady).await?;
        for row in &rows {
            for found in E::sealed(row) {
                count += one::<E>(db, keyring, row, found).await?;
            }
        }
        match rows.into_iter().next_back() {
            Some(row) => last = Some(row),
            None => return Ok(count),
        }
    }
}

async fn one<E: Sealing>(
    db: &Database,
    keyring: &Keyring,
    row: &E::Model,
    found: Sealed<E::Column>,
) -> Result<u64, ResealError> {
    if key_of(&found.text).is_none_or(|key| key == first(keyring)) {
        return Ok(0);
    }
    let plain = keyring.open(&found.text, &found.owner);
    let plain = plain.map_err(|error| ResealError::Open(found.owner.clone(), error))?;
    let anew = SimpleExpr::from(keyring.seal(plain.expose_secret(), &found.owner));
    // What was changed since it was read was sealed by a process of today.
    let unchanged = E::row(row).add(found.column.eq(found.text));
    let update = E::update_many().col_expr(found.column, anew).filter(unchanged);
    Ok(update.exec(&db.write).await?.rows_affected)
}

impl Sealing for source_key::Entity {
    fn sealed(row: &source_key::Model) -> Vec<Sealed<source_key::Column>> {
        vec![row.sealed()]
    }

    fn row(row: &source_key::Model) -> Condition {
        Condition::all().add(source_key::Column::Hash.eq(row.hash.clone()))
    }

    fn behind(row: &source_key::Model) -> Condition {
        Condition::all().add(source_key::Column::Hash.gt(row.hash.clone()))
    }

    fn key() -> Vec<source_key::Column> {
        vec![source_key::Column::Hash]
    }
}

impl Sealing for credential::Entity {
    fn sealed(row: &credential::Model) -> Vec<Sealed<credential::Column>> {
        row.sealed().into_iter().collect()
    }

    fn row(row: &credential::Model) -> Condition {
        Condition::all()
            .add(credential::Column::TenantId.eq(row.tenant_id))
            .add(credential::Column::SourceId.eq(row.source_id))
            .add(credential::Column::Id.eq(row.id))
    }

    fn behind(row: &credential::Model) -> Condition {
        use credential::Column::{Id, SourceId, TenantId};
        let same_source = Condition::all().add(SourceId.eq(row.source_id)).add(Id.gt(row.id));
        let same_tenant = Condition::any().add(SourceId.gt(row.source_id)).add(same_source);
        let same_tenant = Condition::all().add(TenantId.eq(row.tenant_id)).add(same_tenant);
        Condition::any().add(TenantId.gt(row.tenant_id)).add(same_tenant)
    }

    fn key() -> Vec<credential::Column> {
        vec![credential::Column::TenantId, credential::Column::SourceId, credential::Column::Id]
    }
}

impl Sealing for destination::Entity {
    fn sealed(row: &destination::Model) -> Vec<Sealed<destination::Column>> {
        row.sealed()
    }

    fn row(row: &destination::Model) -> Condition {
        Condition::all().add(destination::Column::TenantId.eq(row.tenant_id)).add(destination::Column::Id.eq(row.id))
    }

    fn behind(row: &destination::Model) -> Condition {
        use destination::Column::{Id, TenantId};
        let same_tenant = Condition::all().add(TenantId.eq(row.tenant_id)).add(Id.gt(row.id));
        Condition::any().add(TenantId.gt(row.tenant_id)).add(same_tenant)
    }

    fn key() -> Vec<destination::Column> {
        vec![destination::Column::TenantId, destination::Column::Id]
    }
}

impl Sealing for idempotency::Entity {
    fn sealed(row: &idempotency::Model) -> Vec<Sealed<idempotency::Column>> {
        vec![row.sealed()]
    }

    fn row(row: &idempotency::Model) -> Condition {
        Condition::all().add(idempotency::Column::Id.eq(row.id.clone()))
    }

    fn behind(row: &idempotency::Model) -> Condition {
        Condition::all().add(idempotency::Column::Id.gt(row.id.clone()))
    }

    fn key() -> Vec<idempotency::Column> {
        vec![idempotency::Column::Id]
    }
}

impl Sealing for payload_key::Entity {
    fn sealed(row: &payload_key::Model) -> Vec<Sealed<payload_key::Column>> {
        vec![row.sealed()]
    }

    fn row(row: &payload_key::Model) -> Condition {
        Condition::all().add(payload_key::Column::TenantId.eq(row.tenant_id))
    }

    fn behind(row: &payload_key::Model) -> Condition {
        Condition::all().add(payload_key::Column::TenantId.gt(row.tenant_id))
    }

    fn key() -> Vec<payload_key::Column> {
        vec![payload_key::Column::TenantId]
    }
}
