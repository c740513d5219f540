//! How many request ids tenants register.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- How many request ids a tenant has registered, by days since 1970 (UTC): counting own_request itself would be slow.
CREATE TABLE own_request_day (
    tenant_id {uuid} NOT NULL,
    day bigint NOT NULL,
    registered bigint NOT NULL,
    PRIMARY KEY (tenant_id, day)
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
