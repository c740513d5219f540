//! Which programs may run on a schema that is newer than they are.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A migration that takes something away moves it, to the migration since which programs do without.
const TABLES: &str = "
-- One row: the newest migration that a program must know to run here.
CREATE TABLE schema_floor (
    migration text NOT NULL
);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, TABLES).await?;
        dialect::run(manager, &format!("INSERT INTO schema_floor (migration) VALUES ('{}')", self.name())).await
    }
}
