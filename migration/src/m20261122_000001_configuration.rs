//! What tenants and operators set up. Times are milliseconds since 1970, `version` is what `ETag` shows.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE TABLE tenant (
    id {uuid} PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);

-- tenant_id is null for an operator's key. hash: SHA-256 of the whole key.
CREATE TABLE api_key (
    id {uuid} PRIMARY KEY,
    tenant_id {uuid},
    name text NOT NULL,
    hash {bytes} NOT NULL UNIQUE,
    scopes text NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);
-- Lists a tenant's keys. One entry a key.
CREATE INDEX api_key_tenant ON api_key (tenant_id, id);

CREATE TABLE source (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name text NOT NULL,
    provider text NOT NULL,
    verification text NOT NULL,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- The secret part of a source's URL: hashed to be found, sealed to be shown. Several while a rotation overlaps.
CREATE TABLE source_key (
    hash {bytes} PRIMARY KEY,
    tenant_id {uuid} NOT NULL,
    source_id {uuid} NOT NULL,
    sealed text NOT NULL,
    expires_at bigint
);
-- Shows a source's URL, and deletes with it. One entry a key.
CREATE INDEX source_key_source ON source_key (tenant_id, source_id);

-- stored: an argon2id PHC string for what a person chose, sha256$hex for what we made.
CREATE TABLE credential (
    tenant_id {uuid} NOT NULL,
    source_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    kind text NOT NULL,
    username text NOT NULL,
    stored text NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, source_id, id)
);

-- auth and signing_secrets are sealed; retry is null for the default schedule.
CREATE TABLE destination (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    auth_kind text NOT NULL,
    auth text,
    signing_secrets text NOT NULL,
    timeout_s smallint NOT NULL,
    retry text,
    state text NOT NULL,
    state_reason text,
    state_since bigint NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- source_ids is null for all sources, else a JSON array; event_types is a JSON array of patterns.
CREATE TABLE subscription (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    destination_id {uuid} NOT NULL,
    source_ids text,
    event_types text NOT NULL,
    enabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- Deletes with the destination. One entry a subscription.
CREATE INDEX subscription_destination ON subscription (tenant_id, destination_id);

-- Who changed what. tenant_id is null for what belongs to no tenant.
CREATE TABLE audit (
    id {uuid} PRIMARY KEY,
    tenant_id {uuid},
    at bigint NOT NULL,
    actor {uuid},
    action text NOT NULL,
    object text NOT NULL,
    object_id {uuid} NOT NULL,
    before text,
    after text,
    request_id text NOT NULL,
    remote_address text
);
-- Reads a tenant's log. One entry a change.
CREATE INDEX audit_tenant ON audit (tenant_id, id);

-- The answers that were given to an Idempotency-Key. id: SHA-256 of API key, method, path and value.
CREATE TABLE idempotency (
    id {bytes} PRIMARY KEY,
    request {bytes} NOT NULL,
    status smallint NOT NULL,
    answer text NOT NULL,
    expires_at bigint NOT NULL
);
-- Forgets expired answers. One entry an answer.
CREATE INDEX idempotency_expires ON idempotency (expires_at);

-- Rule C: the number is taken under the row lock of change_head, so numbers appear in order and without gaps.
CREATE TABLE change (
    n bigint PRIMARY KEY,
    kind smallint NOT NULL,
    key {bytes} NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE change_head (
    n bigint NOT NULL
);
INSERT INTO change_head (n) VALUES (0);

-- One row: shows at the start whether the sealing keys are the ones that sealed this database.
CREATE TABLE canary (
    id smallint PRIMARY KEY,
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
