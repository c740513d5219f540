//! What a destination can be told besides, what a subscription filters, which destinations fail, and which keys sealed
//! what is sealed.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- settings: JSON, see entity::destination::Settings. tls_key: sealed; null without a client certificate.
ALTER TABLE destination ADD COLUMN settings text NOT NULL DEFAULT '{}';
ALTER TABLE destination ADD COLUMN tls_key text;
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
