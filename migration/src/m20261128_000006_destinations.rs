//! What a destination can be told besides, what a subscription filters, which destinations fail, and which keys sealed
//! what is sealed.

use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- settings: JSON, see entity::destination::Settings. tls: JSON, see entity::destination::Tls; tls_key: sealed; null without.
ALTER TABLE destination ADD COLUMN settings text NOT NULL DEFAULT '{}';
ALTER TABLE destination ADD COLUMN tls text;
ALTER TABLE destination ADD COLUMN tls_key text;

-- JSON, see relay::filter; null where everything is wanted.
ALTER TABLE subscription ADD COLUMN filter text;

-- Destinations that fail, since when without a success. Written at the first failure and at the next success only.
CREATE TABLE health (
    tenant_id {uuid} NOT NULL,
    destination_id {uuid} NOT NULL,
    shard smallint NOT NULL,
    failing_since bigint NOT NULL,
    PRIMARY KEY (tenant_id, destination_id)
);
-- Read when a shard is taken over. One entry a failing destination.
CREATE INDEX health_shard ON health (shard);

-- The keys that sealed something here, each with what opens with it alone; sealing_at: when a process last said that it
-- seals with it. The id of the canary's key stands between `v1|` and two texts of 32 letters.
CREATE TABLE sealing_key (
    id text PRIMARY KEY,
    canary text NOT NULL,
    sealing_at bigint NOT NULL
);
INSERT INTO sealing_key (id, canary, sealing_at) SELECT substr(sealed, 4, length(sealed) - 69), sealed, {now} FROM canary;
DROP TABLE canary;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Whoever sealed with it may still do so.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        dialect::run(manager, &TABLES.replace("{now}", &now.to_string())).await
    }
}
