//! Finding events and deliveries by more, and sending many of them again.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- What the last attempt came to; null if there was none, and for what an older version finished.
ALTER TABLE delivery ADD COLUMN last_outcome smallint;
-- The replay that made it.
ALTER TABLE delivery ADD COLUMN replay_id {uuid};
ALTER TABLE pending ADD COLUMN replay_id {uuid};

-- Lists events by type, by the finer type, by source. One entry an event, and one more where it has a finer type.
CREATE INDEX event_type ON event (tenant_id, event_type, id) WHERE event_type IS NOT NULL;
CREATE INDEX event_derived ON event (tenant_id, derived_type, id) WHERE derived_type IS NOT NULL;
CREATE INDEX event_source ON event (tenant_id, source_id, id);
-- Lists what was not delivered. One entry a delivery that failed, was filtered or cancelled.
CREATE INDEX delivery_undelivered ON delivery (tenant_id, id) WHERE state <> 1;
-- Lists and counts what a replay made. One entry each of those.
CREATE INDEX delivery_of_replay ON delivery (tenant_id, replay_id, id) WHERE replay_id IS NOT NULL;
CREATE INDEX delivery_replayed ON delivery (tenant_id, replay_id, state) WHERE replay_id IS NOT NULL;
CREATE INDEX pending_of_replay ON pending (tenant_id, replay_id, id) WHERE replay_id IS NOT NULL;

-- Many events or deliveries that are sent again. filter, destination_ids: JSON, see entity::replay. rate: deliveries in a
-- second. position: the id of the last event or delivery that was looked at. next_at: it is not gone on with before.
CREATE TABLE replay (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    filter text NOT NULL,
    destination_ids text,
    rate integer,
    dry_run boolean NOT NULL,
    state text NOT NULL,
    reason text,
    position {uuid},
    is_read boolean NOT NULL,
    planned_events bigint NOT NULL,
    planned_deliveries bigint NOT NULL,
    events bigint NOT NULL,
    deliveries bigint NOT NULL,
    skipped bigint NOT NULL,
    next_at bigint NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (tenant_id, id)
);
-- Finds those to go on with. One entry an unfinished replay.
CREATE INDEX replay_open ON replay (next_at) WHERE finished_at IS NULL;
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
