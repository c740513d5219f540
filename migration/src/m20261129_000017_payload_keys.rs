//! Headers and bodies can be sealed at rest, each tenant's with a key of its own.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- What opens the payloads of a tenant, itself sealed with one of the operator's keys. Gone as soon as the tenant is deleted.
CREATE TABLE payload_key (
    tenant_id {uuid} NOT NULL PRIMARY KEY,
    sealed text NOT NULL
);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, TABLES).await
    }
}
