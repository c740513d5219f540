//! Where a tenant wants events.

use std::fmt;
use std::str::FromStr;

use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};
use relay::retry::RetryPolicy;
use relay::signature::SigningSecret;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "destination")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub url: String,
    /// See [`Auth`].
    pub auth_kind: String,
    /// Sealed; None where the kind needs nothing.
    pub auth: Option<String>,
    /// Sealed; see [`open_signing_secrets`].
    pub signing_secrets: String,
    pub timeout_s: i16,
    /// JSON; None for the default schedule.
    pub retry: Option<String>,
    /// See [`State`].
    pub state: String,
    pub state_reason: Option<String>,
    pub state_since: i64,
    pub version: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Whether deliveries go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Active,
    /// A person held it; its deliveries wait.
    Paused,
    /// It failed for too long, or said that it is gone; its deliveries wait.
    Disabled,
}

/// Not a state that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state of a destination")]
pub struct NotAState(String);

impl State {
    /// As the column and the API have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        let known = [Self::Active, Self::Paused, Self::Disabled].into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| NotAState(text.to_owned()))
    }
}

/// How deliveries authenticate.
#[derive(Debug, Clone)]
pub enum Auth {
    None,
    Basic { username: String, password: SecretString },
}

impl Auth {
    /// As `auth_kind` and the API have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic { .. } => "basic",
        }
    }
}

impl Model {
    #[must_use]
    pub fn id(&self) -> DestinationId {
        self.id.into()
    }

    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant_id.into()
    }

    /// Whether deliveries go there; not, if a newer version put it into a state that this one does not know.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.parse().unwrap_or(State::Disabled)
    }

    /// When its deliveries are tried again.
    #[must_use]
    pub fn retry_policy(&self) -> RetryPolicy {
        self.retry.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// What the column says for this policy.
#[must_use]
pub fn retry_column(policy: Option<&RetryPolicy>) -> Option<String> {
    policy.map(|policy| serde_json::to_string(policy).expect("numbers are JSON"))
}

/// The columns `auth_kind` and `auth`.
#[must_use]
pub fn sealed_auth(
    keyring: &Keyring,
    (tenant, id): (TenantId, DestinationId),
    auth: &Auth,
) -> (String, Option<String>) {
    let sealed = match auth {
        Auth::None => None,
        Auth::Basic { username, password } => {
            let plain = Basic { username: username.clone(), password: password.expose_secret().to_owned() };
            let plain = serde_json::to_vec(&plain).expect("texts are JSON");
            Some(keyring.seal(&plain, &auth_owner(tenant, id)))
        }
    };
    (auth.kind().to_owned(), sealed)
}

/// How deliveries authenticate. Malformed, too, if a newer version wrote a kind that this one does not know.
pub fn open_auth(keyring: &Keyring, row: &Model) -> Result<Auth, OpenError> {
    match (row.auth_kind.as_str(), &row.auth) {
        ("none", _) => Ok(Auth::None),
        ("basic", Some(sealed)) => {
            let plain = keyring.open(sealed, &auth_owner(row.tenant(), row.id()))?;
            let Basic { username, password } =
                serde_json::from_slice(plain.expose_secret()).map_err(|_| OpenError::Malformed)?;
            Ok(Auth::Basic { username, password: password.into() })
        }
        _ => Err(OpenError::Malformed),
    }
}

/// The column `signing_secrets` of a destination that has just this one.
#[must_use]
pub fn sealed_signing_secret(
    keyring: &Keyring,
    (tenant, id): (TenantId, DestinationId),
    secret: &SigningSecret,
) -> String {
    let secrets = [Signing { secret: secret.expose().expose_secret().to_owned(), expires_at: None }];
    keyring.seal(&serde_json::to_vec(&secrets).expect("texts are JSON"), &signing_owner(tenant, id))
}

/// The signing secrets that are live at `now`.
pub fn open_signing_secrets(keyring: &Keyring, row: &Model, now: i64) -> Result<Vec<SigningSecret>, OpenError> {
    let plain = keyring.open(&row.signing_secrets, &signing_owner(row.tenant(), row.id()))?;
    let secrets: Vec<Signing> = serde_json::from_slice(plain.expose_secret()).map_err(|_| OpenError::Malformed)?;
    let live = secrets.into_iter().filter(|signing| signing.expires_at.is_none_or(|at| at > now));
    live.map(|signing| signing.secret.parse().map_err(|_| OpenError::Malformed)).collect()
}

/// The sealed form of [`Auth::Basic`].
#[derive(Serialize, Deserialize)]
struct Basic {
    username: String,
    password: String,
}

/// The sealed form of one signing secret.
#[derive(Serialize, Deserialize)]
struct Signing {
    secret: String,
    expires_at: Option<i64>,
}

fn auth_owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/auth")
}

fn signing_owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/signing")
}

/// A tenant's destination.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: DestinationId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// A tenant's destination that nobody else changes until the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait, tenant: TenantId, id: DestinationId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).lock_exclusive().one(txn).await
}

/// Which of these ids are destinations of this tenant.
pub async fn existing(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[DestinationId],
) -> Result<Vec<DestinationId>, DbErr> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.uuid()));
    let rows = Entity::find().filter(Column::TenantId.eq(tenant.uuid())).filter(among).all(db).await?;
    Ok(rows.iter().map(Model::id).collect())
}

/// A tenant's destinations from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    before: Option<DestinationId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let older = before.map(|id| Column::Id.lt(id.uuid()));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A new destination.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

/// The destination is gone. Its subscriptions are deleted beside it, its deliveries ended by a command.
pub async fn delete(txn: &impl ConnectionTrait, tenant: TenantId, id: DestinationId) -> Result<(), DbErr> {
    Entity::delete_by_id((tenant.uuid(), id.uuid())).exec(txn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(keyring: &Keyring, auth: &Auth, secret: &SigningSecret) -> Model {
        let (tenant, id) = (TenantId::at(1), DestinationId::at(1));
        let (auth_kind, auth) = sealed_auth(keyring, (tenant, id), auth);
        Model {
            tenant_id: tenant.uuid(),
            id: id.uuid(),
            name: String::new(),
            url: String::new(),
            auth_kind,
            auth,
            signing_secrets: sealed_signing_secret(keyring, (tenant, id), secret),
            timeout_s: 15,
            retry: None,
            state: "active".into(),
            state_reason: None,
            state_since: 0,
            version: 1,
            created_at: 0,
        }
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_destination_only() {
        let keyring = Keyring::parse(Keyring::generate_text().expose_secret()).unwrap();
        let auth = Auth::Basic { username: "u".into(), password: "p".to_owned().into() };
        let secret = SigningSecret::generate();
        let mut row = row(&keyring, &auth, &secret);
        let Auth::Basic { username, password } = open_auth(&keyring, &row).unwrap() else { panic!("basic") };
        assert_eq!((username.as_str(), password.expose_secret()), ("u", "p"));
        let opened = open_signing_secrets(&keyring, &row, 0).unwrap();
        assert_eq!(opened[0].expose().expose_secret(), secret.expose().expose_secret());
        row.id = DestinationId::at(2).uuid();
        assert_eq!(open_auth(&keyring, &row).unwrap_err(), OpenError::Tampered);
        assert_eq!(open_signing_secrets(&keyring, &row, 0).unwrap_err(), OpenError::Tampered);
    }

    #[test]
    fn an_expired_signing_secret_signs_no_more() {
        let keyring = Keyring::parse(Keyring::generate_text().expose_secret()).unwrap();
        let mut row = row(&keyring, &Auth::None, &SigningSecret::generate());
        let secret = SigningSecret::generate().expose().expose_secret().to_owned();
        let secrets = [Signing { secret: secret.clone(), expires_at: None }, Signing { secret, expires_at: Some(10) }];
        let plain = serde_json::to_vec(&secrets).unwrap();
        row.signing_secrets = keyring.seal(&plain, &signing_owner(row.tenant(), row.id()));
        let live = |now| open_signing_secrets(&keyring, &row, now).unwrap().len();
        assert_eq!((live(9), live(10)), (2, 1));
    }

    #[test]
    fn an_unknown_state_is_not_delivered_to() {
        for state in [State::Active, State::Paused, State::Disabled] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("archived".parse::<State>().is_err());
    }
}
