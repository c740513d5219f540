//! One inbound URL of a tenant, for one provider account.

use relay::id::{SourceId, TenantId};
use relay::preset::{self, Extract, Preset};
/// What a source demands of a request.
pub use relay::verification::Verification;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect};

use crate::tenant::Limits;
use crate::{credential, tenant};

pub mod built_in;
mod settings;

pub use settings::{Allowlist, Mode, Response, Settings};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "source")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// A preset's name.
    pub provider: String,
    /// JSON, `{"kind": "…"}`: see [`Model::verification`].
    pub verification: String,
    pub enabled: bool,
    /// JSON: see [`Model::settings`].
    pub settings: String,
    /// What its tenant calls it, if it said so; unique among its sources.
    pub key: Option<String>,
    pub version: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A source with what is needed to accept a request for it.
#[derive(Debug, Clone)]
pub struct Configured {
    pub source: Model,
    /// Its tenant's slug, as URLs have it.
    pub slug: String,
    /// Its tenant's.
    pub limits: Limits,
    /// What its requests must present; None if this version cannot check it.
    pub verification: Option<Verification>,
    pub settings: Settings,
    /// Where its events keep what they say of themselves.
    pub extract: Extract,
    /// Expired ones too: expiry is checked at each use.
    pub credentials: Vec<credential::Model>,
}

impl Configured {
    /// The preset of its provider; the generic one where a newer version knew another.
    #[must_use]
    pub fn preset(&self) -> &'static Preset {
        preset::find(&self.source.provider).unwrap_or(preset::GENERIC)
    }

    /// The headers that deliveries of its events take along, in lower case.
    #[must_use]
    pub fn forwarded(&self) -> Vec<String> {
        let usual = || self.preset().forward_headers.iter().map(|name| (*name).to_owned()).collect();
        self.settings.forward_headers.clone().unwrap_or_else(usual)
    }
}

impl Model {
    #[must_use]
    pub fn id(&self) -> SourceId {
        self.id.into()
    }

    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant_id.into()
    }

    /// What the source demands; None if a newer version wrote what this one cannot check, so that nothing may pass.
    #[must_use]
    pub fn verification(&self) -> Option<Verification> {
        serde_json::from_str(&self.verification).ok()
    }

    /// What it was told besides.
    pub fn settings(&self) -> Result<Settings, DbErr> {
        serde_json::from_str(&self.settings).map_err(|error| DbErr::Json(error.to_string()))
    }
}

/// What the column says for a demand.
#[must_use]
pub fn verification_column(verification: &Verification) -> String {
    serde_json::to_string(verification).expect("a verification is JSON")
}

/// What the column says for settings.
#[must_use]
pub fn settings_column(settings: &Settings) -> String {
    serde_json::to_string(settings).expect("settings are JSON")
}

/// A tenant's source, the built-in one among them.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: SourceId) -> Result<Option<Model>, DbErr> {
    if built_in::is(tenant, id) {
        return Ok(Some(built_in::row(tenant)));
    }
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// A tenant's source that nobody else changes until the transaction ends; never the built-in one, which nobody changes.
pub async fn lock(txn: &impl ConnectionTrait, tenant: TenantId, id: SourceId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).lock_exclusive().one(txn).await
}

/// A tenant's source of this key, which nobody else changes until the transaction ends.
pub async fn lock_by_key(txn: &impl ConnectionTrait, tenant: TenantId, key: &str) -> Result<Option<Model>, DbErr> {
    let of_key = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::Key.eq(key));
    Entity::find().filter(of_key).lock_exclusive().one(txn).await
}

/// How many a tenant has.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64, DbErr> {
    Entity::find().filter(Column::TenantId.eq(tenant.uuid())).count(db).await
}

/// A tenant's source with its slug and credentials.
pub async fn configured(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    id: SourceId,
) -> Result<Option<Configured>, DbErr> {
    let Some(source) = find(db, tenant, id).await? else { return Ok(None) };
    let Some(owner) = tenant::find(db, tenant).await? else { return Ok(None) };
    let credentials = credential::all(db, tenant, id).await?;
    let settings = source.settings()?;
    let extract = preset::find(&source.provider).map(|preset| Extract::of(preset, &settings.extract));
    Ok(Some(Configured {
        verification: source.verification(),
        slug: owner.slug.clone(),
        limits: owner.limits()?,
        extract: extract.unwrap_or_default(),
        settings,
        credentials,
        source,
    }))
}

/// All sources of a tenant.
pub async fn ids(db: &impl ConnectionTrait, tenant: TenantId) -> Result<Vec<SourceId>, DbErr> {
    let ids = Entity::find().select_only().column(Column::Id).filter(Column::TenantId.eq(tenant.uuid()));
    Ok(ids.into_tuple::<Uuid>().all(db).await?.into_iter().map(Into::into).collect())
}

/// Which of these ids are sources of this tenant.
pub async fn existing(db: &impl ConnectionTrait, tenant: TenantId, ids: &[SourceId]) -> Result<Vec<SourceId>, DbErr> {
    let among = Column::Id.is_in(ids.iter().map(|id| id.uuid()));
    let rows = Entity::find().filter(Column::TenantId.eq(tenant.uuid())).filter(among).all(db).await?;
    let built_in = ids.iter().copied().filter(|id| built_in::is(tenant, *id));
    Ok(rows.iter().map(Model::id).chain(built_in).collect())
}

/// A tenant's sources from before `before`, newest first: of this key, if one is given. The built-in one is as old as the
/// tenant, and so the last.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    key: Option<&str>,
    before: Option<SourceId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let (of_key, older) = (key.map(|key| Column::Key.eq(key)), before.map(|id| Column::Id.lt(id.uuid())));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(of_key).add_option(older);
    let mut rows = Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await?;
    let is_last_page = u64::try_from(rows.len()).is_ok_and(|count| count < limit);
    if is_last_page && key.is_none() && before.is_none_or(|before| built_in::id(tenant) < before) {
        rows.push(built_in::row(tenant));
    }
    Ok(rows)
}

/// A new source.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

/// The source is gone. Its keys and credentials are deleted beside it.
pub async fn delete(txn: &impl ConnectionTrait, tenant: TenantId, id: SourceId) -> Result<(), DbErr> {
    Entity::delete_by_id((tenant.uuid(), id.uuid())).exec(txn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verification_reads_back_and_an_unknown_one_is_none() {
        let mut row = Model {
            tenant_id: Uuid::nil(),
            id: Uuid::nil(),
            name: String::new(),
            provider: String::new(),
            verification: String::new(),
            enabled: true,
            settings: String::new(),
            key: None,
            version: 1,
            created_at: 0,
        };
        for verification in [Verification::None {}, Verification::Credentials {}, Verification::Provider {}] {
            row.verification = verification_column(&verification);
            assert_eq!(row.verification(), Some(verification), "{}", row.verification);
        }
        for unknown in ["", "{}", r#"{"kind": "hmac"}"#, r#"{"kind": "future"}"#] {
            row.verification = unknown.to_owned();
            assert_eq!(row.verification(), None, "{unknown}");
        }
    }

    #[test]
    fn settings_read_back_and_are_written_short() {
        let default = Settings::default();
        assert_eq!(settings_column(&default), "{}");
        let told = Settings { max_body_bytes: Some(5), ..Settings::default() };
        assert_eq!(serde_json::from_str::<Settings>(&settings_column(&told)).unwrap(), told);
    }
}
