//! The secret part of a source's URL: hashed to be found, sealed to be shown. Several while a rotation overlaps.

use relay::id::{SourceId, TenantId};
use relay::keyring::{Keyring, OpenError};
use relay::secret::fingerprint;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel};
use secrecy::{ExposeSecret, SecretString};

use crate::sealing::Sealed;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "source_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    pub tenant_id: Uuid,
    pub source_id: Uuid,
    pub sealed: String,
    /// None for the one that is shown.
    pub expires_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant_id.into()
    }

    #[must_use]
    pub fn source(&self) -> SourceId {
        self.source_id.into()
    }

    /// What the row is found by.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.hash.as_slice().try_into().unwrap_or_default()
    }

    /// A row for a key that was just made.
    #[must_use]
    pub fn sealing(keyring: &Keyring, tenant: TenantId, source: SourceId, key: &SecretString) -> Self {
        let key = key.expose_secret().as_bytes();
        Self {
            hash: fingerprint(key).to_vec(),
            tenant_id: tenant.uuid(),
            source_id: source.uuid(),
            sealed: keyring.seal(key, &owner(tenant, source)),
            expires_at: None,
        }
    }

    pub(crate) fn sealed(&self) -> Sealed<Column> {
        let owner = owner(self.tenant(), self.source());
        Sealed { column: Column::Sealed, text: self.sealed.clone(), owner }
    }

    /// The key itself.
    pub fn open(&self, keyring: &Keyring) -> Result<SecretString, OpenError> {
        keyring.open_text(&self.sealed, &owner(self.tenant(), self.source()))
    }
}

fn owner(tenant: TenantId, source: SourceId) -> String {
    format!("{tenant}/{source}/key")
}

/// The source key with this fingerprint, expired or not. A finder without a tenant: the caller compares the URL's.
pub async fn find_by_hash(db: &impl ConnectionTrait, hash: [u8; 32]) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(hash.to_vec()).one(db).await
}

/// The key that a source's URL is shown with.
pub async fn current(db: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(of(tenant, source)).filter(Column::ExpiresAt.is_null()).one(db).await
}

/// Every key of a source, expired ones too.
pub async fn all(db: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(of(tenant, source)).all(db).await
}

/// A new key.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// A key of this tenant is good until `at` only.
pub async fn expire(txn: &impl ConnectionTrait, row: Model, at: i64) -> Result<(), DbErr> {
    let expiring = Model { expires_at: Some(at), ..row };
    expiring.into_active_model().reset_all().update(txn).await.map(drop)
}

/// A key that has ended is forgotten.
pub async fn delete(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    Entity::delete_by_id(row.hash).exec(txn).await.map(drop)
}

/// The source has no keys any more.
pub async fn delete_all(txn: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<(), DbErr> {
    Entity::delete_many().filter(of(tenant, source)).exec(txn).await.map(drop)
}

fn of(tenant: TenantId, source: SourceId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::SourceId.eq(source.uuid()))
}
