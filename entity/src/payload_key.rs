//! The keys that seal headers and bodies at rest: one for each tenant, made when it is first needed, kept sealed with the
//! operator's, and destroyed as soon as the tenant is deleted.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use relay::id::{DeliveryId, EventId, Id, TenantId};
use relay::keyring::{DataKey, Keyring, OpenError};
use sea_orm::entity::prelude::*;
use sea_orm::{DbErr, Statement};
use secrecy::ExposeSecret;

use crate::Database;
use crate::sealing::Sealed;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payload_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    pub sealed: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn open(&self, keyring: &Keyring) -> Result<DataKey, OpenError> {
        let bytes = keyring.open(&self.sealed, &owner(self.tenant_id.into()))?;
        DataKey::read(&bytes).ok_or(OpenError::Malformed)
    }

    pub(crate) fn sealed(&self) -> Sealed<Column> {
        Sealed { column: Column::Sealed, text: self.sealed.clone(), owner: owner(self.tenant_id.into()) }
    }
}

fn owner(tenant: TenantId) -> String {
    format!("{tenant}/payloads")
}

/// Why a payload is not read, or not sealed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error("the key of the tenant's payloads could not be opened")]
    Key(#[source] OpenError),
    #[error("what is kept of {0} could not be opened")]
    Payload(Owner, #[source] OpenError),
    /// A payload is sealed, and what opens it is not there any more.
    #[error("the key of the tenant's payloads is gone")]
    Gone,
}

/// The keys of all tenants. Cheap to clone; all clones are one process's.
#[derive(Debug, Clone)]
pub struct PayloadKeys {
    db: Database,
    keyring: Arc<Keyring>,
    /// Whether what comes is sealed. What is sealed is opened in any case.
    seals: bool,
    opened: Cache<TenantId, Arc<DataKey>>,
}

/// Whoever is first makes it for all; and nobody for a tenant that is being deleted.
const MAKE: &str = "
INSERT INTO payload_key (tenant_id, sealed) SELECT id, $2 FROM tenant WHERE id = $1 AND erasing_since IS NULL
ON CONFLICT (tenant_id) DO NOTHING";

/// Keys kept open, and for how long: that of a deleted tenant leaves every process so soon.
const KEPT: u64 = 10_000;
const KEPT_FOR: Duration = Duration::from_secs(60);

impl PayloadKeys {
    #[must_use]
    pub fn new(db: Database, keyring: Arc<Keyring>, seals: bool) -> Self {
        let opened = Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).build();
        Self { db, keyring, seals, opened }
    }

    /// What seals a tenant's payloads, made if there is none; None where they are stored as they are. To be asked before a
    /// transaction begins: a key that is undone with it would seal what nobody can open.
    pub async fn sealing(&self, tenant: TenantId) -> Result<Option<Arc<DataKey>>, KeyError> {
        if !self.seals {
            return Ok(None);
        }
        match self.opening(tenant).await {
            Err(KeyError::Gone) => {}
            result => return result.map(Some),
        }
        let sealed = self.keyring.seal(DataKey::generate().expose_secret(), &owner(tenant));
        let values: [Value; 2] = [tenant.uuid().into(), sealed.into()];
        let db = &self.db.write;
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), MAKE, values)).await?;
        self.opening(tenant).await.map(Some)
    }

    /// Reads at once what is to be asked for one by one.
    pub(crate) async fn prepare(&self, tenants: impl IntoIterator<Item = TenantId>) -> Result<(), DbErr> {
        let unknown: HashSet<Uuid> =
            tenants.into_iter().filter(|tenant| !self.opened.contains_key(tenant)).map(Id::uuid).collect();
        if unknown.len() < 2 {
            return Ok(());
        }
        for row in Entity::find().filter(Column::TenantId.is_in(unknown)).all(&self.db.steady).await? {
            if let Ok(key) = row.open(&self.keyring) {
                self.opened.insert(row.tenant_id.into(), Arc::new(key));
            }
        }
        Ok(())
    }

    /// What opens a tenant's payloads.
    async fn opening(&self, tenant: TenantId) -> Result<Arc<DataKey>, KeyError> {
        if let Some(key) = self.opened.get(&tenant) {
            return Ok(key);
        }
        let row = Entity::find_by_id(tenant.uuid()).one(&self.db.steady).await?.ok_or(KeyError::Gone)?;
        let key = Arc::new(row.open(&self.keyring).map_err(KeyError::Key)?);
        self.opened.insert(tenant, Arc::clone(&key));
        Ok(key)
    }
}

impl PayloadKeys {
    /// Headers and body as they came, of two columns of theirs.
    pub(crate) async fn open(&self, of: Owner, headers: String, body: Bytes) -> Result<(String, Bytes), KeyError> {
        if headers != SEALED {
            return Ok((headers, body));
        }
        let key = self.opening(of.tenant()).await?;
        of.open(&key, &body).map_err(|error| KeyError::Payload(of, error))
    }
}

/// What the column of the headers says where they are sealed, together with the body and in its column. No JSON array.
pub(crate) const SEALED: &str = "sealed";

/// What has headers and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Event(TenantId, EventId),
    /// What was answered to an attempt of this number.
    Answer(TenantId, DeliveryId, i16),
}

impl Owner {
    const fn tenant(self) -> TenantId {
        match self {
            Self::Event(tenant, _) | Self::Answer(tenant, ..) => tenant,
        }
    }

    /// As the column of the body has them: how long the headers are, and then both.
    pub(crate) fn seal(self, key: &DataKey, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(headers.len()).expect("a request's headers are some KiB");
        key.seal(&[&length.to_be_bytes(), headers.as_bytes(), body], &self.to_string())
    }

    fn open(self, key: &DataKey, sealed: &[u8]) -> Result<(String, Bytes), OpenError> {
        let plain = Bytes::from(key.open(sealed, &self.to_string())?);
        let (length, rest) = plain.split_first_chunk().ok_or(OpenError::Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let headers = rest.get(..length).and_then(|headers| std::str::from_utf8(headers).ok());
        Ok((headers.ok_or(OpenError::Malformed)?.to_owned(), plain.slice(plain.len() - rest.len() + length..)))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(tenant, event) => write!(out, "{tenant}/{event}"),
            Self::Answer(tenant, delivery, number) => write!(out, "{tenant}/{delivery}/{number}"),
        }
    }
}

/// From now on nothing opens a tenant's payloads, wherever copies of them are left.
pub(crate) async fn destroy(txn: &impl ConnectionTrait, tenant: TenantId) -> Result<(), DbErr> {
    Entity::delete_by_id(tenant.uuid()).exec(txn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_for_its_event_only_and_byte_by_byte() {
        let key = DataKey::read(&DataKey::generate()).unwrap();
        let (tenant, event, delivery) = (TenantId::at(1), EventId::at(2), DeliveryId::at(2));
        let of = Owner::Event(tenant, event);
        let answer = |number| Owner::Answer(tenant, delivery, number);
        for (headers, body) in [("[]", &b""[..]), (r#"[["a","b"]]"#, b"\0\xff"), ("", b"x")] {
            let sealed = of.seal(&key, headers, body);
            assert_eq!(of.open(&key, &sealed).unwrap(), (headers.to_owned(), Bytes::copy_from_slice(body)));
            for stranger in [Owner::Event(tenant, EventId::at(3)), Owner::Event(TenantId::at(2), event), answer(1)] {
                assert_eq!(stranger.open(&key, &sealed).unwrap_err(), OpenError::Tampered);
            }
            let sealed = answer(1).seal(&key, headers, body);
            assert!(answer(1).open(&key, &sealed).is_ok());
            assert_eq!(answer(2).open(&key, &sealed).unwrap_err(), OpenError::Tampered);
        }
    }

    #[test]
    fn what_holds_no_headers_is_malformed() {
        let key = DataKey::read(&DataKey::generate()).unwrap();
        let of = Owner::Event(TenantId::at(1), EventId::at(2));
        for plain in [&b""[..], b"\0\0\0", b"\0\0\0\x02x", b"\0\0\0\x01\xff", b"\xff\xff\xff\xffx"] {
            assert_eq!(
                of.open(&key, &key.seal(&[plain], &of.to_string())).unwrap_err(),
                OpenError::Malformed,
                "{plain:?}"
            );
        }
    }
}
