//! Where a tenant wants events.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use relay::id::{DestinationId, TenantId};
use relay::retry::RetryPolicy;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ArrayType;
use sea_orm::{
    Condition, DbBackend, IdenStatic, IntoActiveModel, Iterable, PaginatorTrait, QueryOrder, QuerySelect, Statement,
    Value,
};

use crate::Database;
use crate::sealing::Sealed;

mod auth;
mod opened;
mod settings;
mod signing;
mod tls;
mod transition;

pub use auth::{Auth, ClientAuth, OAuth2Client, open_auth, sealed_auth};
pub use opened::{Opened, Unopened};
pub use settings::{Settings, Styles};
pub use signing::{Signer, Signers, TooManySecrets};
pub use tls::{Tls, TlsUnusable, open_tls, open_tls_key, sealed_tls_key, tls_column};
pub use transition::{FAILING_MS, Transition, step};

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
    /// Sealed; see [`Signers`].
    pub signing_secrets: String,
    pub timeout_s: i16,
    /// JSON; None for the default schedule.
    pub retry: Option<String>,
    /// JSON: see [`Model::settings`].
    pub settings: String,
    /// JSON: see [`Model::tls`].
    pub tls: Option<String>,
    /// The client certificate's private key, sealed.
    pub tls_key: Option<String>,
    /// See [`State`].
    pub state: String,
    pub state_reason: Option<String>,
    pub state_since: i64,
    /// What its tenant calls it, if it said so; unique among its destinations.
    pub key: Option<String>,
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

/// Why a destination is disabled, as `state_reason` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It answered 410.
    Gone,
    /// No delivery succeeded for too long.
    Failing,
}

impl Cause {
    /// As the column has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
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

impl Model {
    pub(crate) fn sealed(&self) -> Vec<Sealed<Column>> {
        let (tenant, id) = (self.tenant(), self.id());
        let texts = [
            (Column::Auth, self.auth.clone(), auth::owner(tenant, id)),
            (Column::SigningSecrets, Some(self.signing_secrets.clone()), signing::owner(tenant, id)),
            (Column::TlsKey, self.tls_key.clone(), tls::owner(tenant, id)),
        ];
        let sealed =
            |(column, text, owner): (Column, Option<String>, String)| Some(Sealed { column, text: text?, owner });
        texts.into_iter().filter_map(sealed).collect()
    }

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

    /// Why it is disabled; None where it is not, or a newer version knows why.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        [Cause::Gone, Cause::Failing].into_iter().find(|cause| self.state_reason.as_deref() == Some(cause.as_str()))
    }

    /// The row with this state from `now` on.
    #[must_use]
    pub fn in_state(&self, state: State, reason: Option<String>, now: i64) -> Self {
        Self {
            state: state.as_str().to_owned(),
            state_reason: reason,
            state_since: now,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// What it was told besides.
    pub fn settings(&self) -> Result<Settings, DbErr> {
        read_settings(&self.settings)
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

fn read_settings(column: &str) -> Result<Settings, DbErr> {
    serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()))
}

/// What the column says for settings.
#[must_use]
pub fn settings_column(settings: &Settings) -> String {
    serde_json::to_string(settings).expect("settings are JSON")
}

/// A tenant's destination.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: DestinationId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// Columns by name: a newer schema may have more.
static THESE: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = Column::iter().map(|column| format!("d.{}", column.as_str())).collect();
    format!(
        "SELECT {} FROM unnest($1::uuid[], $2::uuid[]) x(tenant_id, id)
        CROSS JOIN LATERAL (SELECT * FROM destination d WHERE d.tenant_id = x.tenant_id AND d.id = x.id LIMIT 1) d",
        columns.join(", ")
    )
});

/// Several destinations, each of its tenant, in no order; without those that there are not. One statement on PostgreSQL.
pub(crate) async fn these(db: &Database, wanted: &[(TenantId, DestinationId)]) -> Result<Vec<Model>, DbErr> {
    let mut found = Vec::with_capacity(wanted.len());
    if db.is_sqlite() || wanted.len() < 2 {
        for (tenant, id) in wanted {
            found.extend(find(&db.steady, *tenant, *id).await?);
        }
        return Ok(found);
    }
    let array = |values: Vec<Value>| Value::Array(ArrayType::Uuid, Some(Box::new(values)));
    let values: [Value; 2] = [
        array(wanted.iter().map(|(tenant, _)| tenant.uuid().into()).collect()),
        array(wanted.iter().map(|(_, id)| id.uuid().into()).collect()),
    ];
    Entity::find()
        .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, THESE.as_str(), values))
        .all(&db.steady)
        .await
}

/// A tenant's destination that nobody else changes until the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait, tenant: TenantId, id: DestinationId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).lock_exclusive().one(txn).await
}

/// A tenant's destination of this key, which nobody else changes until the transaction ends.
pub async fn lock_by_key(txn: &impl ConnectionTrait, tenant: TenantId, key: &str) -> Result<Option<Model>, DbErr> {
    let of_key = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::Key.eq(key));
    Entity::find().filter(of_key).lock_exclusive().one(txn).await
}

/// How many a tenant has.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64, DbErr> {
    Entity::find().filter(Column::TenantId.eq(tenant.uuid())).count(db).await
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

/// A tenant's destinations from before `before`, newest first: of this key, if one is given.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    key: Option<&str>,
    before: Option<DestinationId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let (of_key, older) = (key.map(|key| Column::Key.eq(key)), before.map(|id| Column::Id.lt(id.uuid())));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(of_key).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// What each of a tenant's destinations was told besides, if anything.
pub(crate) async fn settings(db: &impl ConnectionTrait, tenant: TenantId) -> Result<HashMap<Uuid, Settings>, DbErr> {
    settings_where(db, Condition::all().add(Column::TenantId.eq(tenant.uuid()))).await
}

/// The same of those of these that there are.
pub async fn settings_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl IntoIterator<Item = DestinationId>,
) -> Result<HashMap<Uuid, Settings>, DbErr> {
    let these = Column::Id.is_in(ids.into_iter().map(relay::id::Id::uuid));
    settings_where(db, Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(these)).await
}

async fn settings_where(db: &impl ConnectionTrait, wanted: Condition) -> Result<HashMap<Uuid, Settings>, DbErr> {
    let columns = Entity::find().select_only().column(Column::Id).column(Column::Settings);
    let rows: Vec<(Uuid, String)> = columns.filter(wanted).into_tuple().all(db).await?;
    // One that cannot be read is sent nothing (see [`Opened`]); the others' events are accepted all the same.
    let read = |column: &str| {
        read_settings(column).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a destination's settings cannot be read");
            Settings::default()
        })
    };
    Ok(rows.into_iter().map(|(id, column)| (id, read(&column))).collect())
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
pub(crate) mod tests {
    use relay::order::Order;

    use super::*;

    /// A row that says nothing but whose it is.
    pub(crate) fn row(tenant: TenantId, id: DestinationId) -> Model {
        Model {
            tenant_id: tenant.uuid(),
            id: id.uuid(),
            name: String::new(),
            url: String::new(),
            auth_kind: "none".into(),
            auth: None,
            signing_secrets: String::new(),
            timeout_s: 15,
            retry: None,
            settings: "{}".into(),
            tls: None,
            tls_key: None,
            state: "active".into(),
            state_reason: None,
            state_since: 0,
            key: None,
            version: 1,
            created_at: 0,
        }
    }

    #[test]
    fn an_unknown_state_is_not_delivered_to() {
        for state in [State::Active, State::Paused, State::Disabled] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("archived".parse::<State>().is_err());
    }

    #[test]
    fn settings_read_back_and_are_written_short() {
        assert_eq!(settings_column(&Settings::default()), "{}");
        let told = Settings {
            signing: Styles { v1a: true, ..Styles::default() },
            headers: [("x-type".to_owned(), "{event_type}".parse().unwrap())].into(),
            rate_per_second: Some(0.5),
            max_in_flight: Some(1),
            order: Order::Fifo { key: Some("json:/id".parse().unwrap()) },
            keep_responses: true,
            operational: true,
        };
        let row = Model { settings: settings_column(&told), ..row(TenantId::at(1), DestinationId::at(1)) };
        assert_eq!(row.settings().unwrap(), told);
        let newer = Model { settings: r#"{"newer": true}"#.into(), ..row };
        assert!(newer.settings().is_err());
    }
}
