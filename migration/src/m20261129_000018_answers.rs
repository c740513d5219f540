//! What destinations answered is forgotten with the bodies that it may repeat, before the attempts that it belongs to.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEX: &str = "
-- Finds the answers that are old. One entry an attempt whose answer is kept, until it is forgotten.
CREATE INDEX attempt_answered ON attempt (tenant_id, delivery_id) WHERE response_body IS NOT NULL;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, INDEX).await
    }
}
