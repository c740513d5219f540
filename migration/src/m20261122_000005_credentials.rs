//! Credentials of every kind, and the access tokens that our token server issued.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CREDENTIAL: &str = "
-- What of a credential is no secret where its kind has such a thing: a user name, a header. `stored` is a hash of what is
-- only compared, sealed where it must be read again, and as it is where it is no secret (a public key, an id).
ALTER TABLE credential ADD COLUMN name text;
UPDATE credential SET name = username;
ALTER TABLE credential DROP COLUMN username;

-- Finds an OAuth2 client by its id alone, which is all that it presents. One entry a credential.
CREATE INDEX credential_id ON credential (id);
";

const ACCESS_TOKEN: &str = "
-- hash: SHA-256 of the whole token.
CREATE TABLE access_token (
    hash {bytes} PRIMARY KEY,
    tenant_id {uuid} NOT NULL,
    source_id {uuid} NOT NULL,
    credential_id {uuid} NOT NULL,
    expires_at bigint NOT NULL
);
-- Forgets expired tokens. One entry a token.
CREATE INDEX access_token_expires ON access_token (expires_at);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, CREDENTIAL).await?;
        dialect::run(manager, ACCESS_TOKEN).await
    }
}
