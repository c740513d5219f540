//! What a provider presents at a source, or signs with. Several may be live at once.

use relay::id::{CredentialId, SourceId, TenantId};
use relay::keyring::{Keyring, OpenError};
use relay::verification::{Key, Keys};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};
use secrecy::{ExposeSecret, SecretString};

use crate::sealing::Sealed;

mod kind;

pub use kind::Kind;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credential")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// See [`Model::kind`].
    pub kind: String,
    /// A user name, or the name of a header in lower case; None for kinds that have neither.
    pub name: Option<String>,
    /// By kind: the text form of [`relay::password::Stored`], sealed, or as it is.
    pub stored: String,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    /// What its tenant calls it, if it said so; unique in its source.
    pub key: Option<String>,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Whose a credential is: what a sealed secret is bound to.
pub type Owner = (TenantId, SourceId, CredentialId);

impl Model {
    #[must_use]
    pub fn id(&self) -> CredentialId {
        self.id.into()
    }

    #[must_use]
    pub fn owner(&self) -> Owner {
        (self.tenant_id.into(), self.source_id.into(), self.id())
    }

    /// What `ETag` shows: all that ever changes of it is when it ends.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.expires_at.unwrap_or(0)
    }

    /// None if a newer version made it: such a one opens nothing here.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind.parse().ok()
    }

    /// Whether it is of this kind.
    #[must_use]
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind.as_str()
    }

    /// Whether it has not ended at `now`.
    #[must_use]
    pub fn is_live(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// None for kinds that are not sealed.
    pub(crate) fn sealed(&self) -> Option<Sealed<Column>> {
        let is_sealed = matches!(self.kind(), Some(Kind::Hmac | Kind::VerifyToken));
        let owner = owned(self.owner());
        is_sealed.then(|| Sealed { column: Column::Stored, text: self.stored.clone(), owner })
    }

    /// What signatures are checked with; None for kinds of which only a hash is kept.
    pub fn key(&self, keyring: &Keyring) -> Result<Option<Key>, OpenError> {
        let value = match self.kind() {
            Some(Kind::Hmac | Kind::VerifyToken) => keyring.open_text(&self.stored, &owned(self.owner()))?,
            Some(Kind::PublicKey | Kind::External) => SecretString::from(self.stored.as_str()),
            _ => return Ok(None),
        };
        Ok(Some(Key { id: self.id(), value }))
    }
}

/// What is stored of a secret that must be read again.
#[must_use]
pub fn sealed(keyring: &Keyring, owner: Owner, secret: &SecretString) -> String {
    keyring.seal(secret.expose_secret().as_bytes(), &owned(owner))
}

fn owned((tenant, source, id): Owner) -> String {
    format!("{tenant}/{source}/{id}")
}

/// What is live at `now` of a source's credentials and needed to check signatures, opened.
pub fn keys(credentials: &[Model], keyring: &Keyring, now: i64) -> Result<Keys, OpenError> {
    let mut keys = Keys::default();
    for credential in credentials.iter().filter(|credential| credential.is_live(now)) {
        let Some(key) = credential.key(keyring)? else { continue };
        match credential.kind() {
            Some(Kind::Hmac) => keys.hmac.push(key),
            Some(Kind::PublicKey) => keys.public.push(key),
            Some(Kind::VerifyToken) => keys.tokens.push(key),
            Some(Kind::External) => keys.external.push(key),
            _ => {}
        }
    }
    Ok(keys)
}

/// A credential of a tenant's source.
pub async fn find(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    source: SourceId,
    id: CredentialId,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), source.uuid(), id.uuid())).one(db).await
}

/// The credential of a tenant's source that has this key.
pub async fn find_by_key(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    source: SourceId,
    key: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(of(tenant, source)).filter(Column::Key.eq(key)).one(db).await
}

/// The credential of this id, whosever it is, of any kind, expired or not. A finder without a tenant: an OAuth2 client
/// presents nothing but its id and proves the rest by its secret.
pub async fn find_anywhere(db: &impl ConnectionTrait, id: CredentialId) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Id.eq(id.uuid())).one(db).await
}

/// Every credential of a tenant's source, expired ones too.
pub async fn all(db: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(of(tenant, source)).order_by_desc(Column::Id).all(db).await
}

/// The credentials of a tenant's source from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    (tenant, source): (TenantId, SourceId),
    before: Option<CredentialId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let wanted = of(tenant, source).add_option(before.map(|id| Column::Id.lt(id.uuid())));
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A new credential.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// The credential ends at `at`, or never.
pub async fn expire(txn: &impl ConnectionTrait, row: Model, at: Option<i64>) -> Result<Model, DbErr> {
    let mut row = row.into_active_model();
    row.expires_at = sea_orm::ActiveValue::Set(at);
    row.update(txn).await
}

/// The credential is gone.
pub async fn delete(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    Entity::delete_by_id((row.tenant_id, row.source_id, row.id)).exec(txn).await.map(drop)
}

/// The source has no credentials any more.
pub async fn delete_all(txn: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<(), DbErr> {
    Entity::delete_many().filter(of(tenant, source)).exec(txn).await.map(drop)
}

fn of(tenant: TenantId, source: SourceId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::SourceId.eq(source.uuid()))
}

/// Notes that a credential was used.
pub async fn touch(
    db: &impl ConnectionTrait,
    (tenant, source): (TenantId, SourceId),
    id: CredentialId,
    at: i64,
) -> Result<(), DbErr> {
    let used = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(at)).filter(of(tenant, source));
    used.filter(Column::Id.eq(id.uuid())).exec(db).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(keyring: &Keyring, kind: Kind, value: &str, expires_at: Option<i64>) -> Model {
        let owner = (TenantId::at(1), SourceId::at(1), CredentialId::at(1));
        let stored = match kind {
            Kind::Hmac | Kind::VerifyToken => sealed(keyring, owner, &SecretString::from(value)),
            _ => value.to_owned(),
        };
        Model {
            tenant_id: owner.0.uuid(),
            source_id: owner.1.uuid(),
            id: owner.2.uuid(),
            kind: kind.to_string(),
            name: None,
            stored,
            expires_at,
            last_used_at: None,
            key: None,
            created_at: 0,
        }
    }

    fn keyring() -> Keyring {
        Keyring::parse(Keyring::generate_text().expose_secret()).unwrap()
    }

    #[test]
    fn the_live_ones_are_opened_each_among_its_kind() {
        let keyring = keyring();
        let credentials = [
            credential(&keyring, Kind::Hmac, "live", None),
            credential(&keyring, Kind::Hmac, "ends at 1000", Some(1_000)),
            credential(&keyring, Kind::PublicKey, "public", None),
            credential(&keyring, Kind::VerifyToken, "token", Some(1_001)),
            credential(&keyring, Kind::External, "external", None),
            credential(&keyring, Kind::Basic, "a hash", None),
            credential(&keyring, Kind::Oauth2Client, "a hash", None),
            Model { kind: "of a newer version".to_owned(), ..credential(&keyring, Kind::Bearer, "x", None) },
        ];
        let keys = keys(&credentials, &keyring, 1_000).unwrap();
        let values = |keys: &[Key]| keys.iter().map(|key| key.value.expose_secret().to_owned()).collect::<Vec<_>>();
        assert_eq!(values(&keys.hmac), ["live"]);
        assert_eq!(values(&keys.public), ["public"]);
        assert_eq!(values(&keys.tokens), ["token"]);
        assert_eq!(values(&keys.external), ["external"]);
    }

    #[test]
    fn a_sealed_secret_opens_for_its_own_credential_only() {
        let keyring = keyring();
        let mine = credential(&keyring, Kind::Hmac, "secret", None);
        let stolen = Model { stored: mine.stored.clone(), ..credential(&keyring, Kind::Hmac, "other", None) };
        assert!(!mine.stored.contains("secret"));
        assert!(mine.key(&keyring).is_ok());
        assert!(matches!(stolen.key(&keyring), Err(OpenError::Tampered)));
        assert!(keys(&[stolen], &keyring, 0).is_err());
    }
}
