//! Days are made beside whoever reads or writes: a partition that is attached wants a weaker lock than one that is created
//! as such, behind which every webhook would wait while somebody reads the table for long.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Indexes and keys of the parent are made when a day is attached.
const ADD_DAY: &str = "
CREATE OR REPLACE FUNCTION hookyard_add_day(day date) RETURNS void LANGUAGE plpgsql AS '
DECLARE
    lower uuid := hookyard_first_id((extract(epoch FROM day::timestamp) * 1000)::bigint);
    upper uuid := hookyard_first_id((extract(epoch FROM (day + 1)::timestamp) * 1000)::bigint);
    parent text;
    child text;
BEGIN
    FOREACH parent IN ARRAY ARRAY[''event'', ''payload'', ''delivery'', ''attempt''] LOOP
        child := parent || to_char(day, ''_YYYYMMDD'');
        IF to_regclass(child) IS NULL THEN
            EXECUTE format(''CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'', child, parent);
            EXECUTE format(''ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)'', parent, child, lower, upper);
        END IF;
    END LOOP;
END';
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Postgres => dialect::run(manager, ADD_DAY).await,
            _ => Ok(()),
        }
    }
}
