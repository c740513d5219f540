//! The access tokens that this process has seen, so that not every event costs a look into the database.

use std::time::Duration;

use entity::{Database, DbErr, access_token};
use moka::sync::Cache;
use relay::id::{CredentialId, SourceId, TenantId};
use relay::secret;

/// Cheap to clone; all clones are one memory.
#[derive(Debug, Clone)]
pub struct Tokens(Cache<[u8; 32], Grant>);

/// What a token stands for. It opens its source as long as its credential is live, which the caller looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub tenant: TenantId,
    pub source: SourceId,
    pub credential: CredentialId,
    /// Milliseconds since 1970.
    pub expires_at: i64,
}

/// Longer than the pauses of a busy sender.
const REMEMBERED: Duration = Duration::from_secs(30);
/// About 15 MiB; what does not fit is looked up again.
const MAX_REMEMBERED: u64 = 100_000;

impl Tokens {
    /// A memory that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBERED).build())
    }

    /// Remembers a token that is stored.
    pub(crate) fn keep(&self, hash: [u8; 32], grant: Grant) {
        self.0.insert(hash, grant);
    }

    /// What `presented` stands for, expired or not. What is unknown is not remembered: it may be issued elsewhere at any
    /// moment, and would let a stranger fill the memory.
    pub(crate) async fn find(&self, db: &Database, presented: &[u8]) -> Result<Option<Grant>, DbErr> {
        if !secret::is_access_token(presented) {
            return Ok(None);
        }
        let hash = secret::fingerprint(presented);
        if let Some(grant) = self.0.get(&hash) {
            return Ok(Some(grant));
        }
        let grant = access_token::find(&db.steady, hash).await?.map(Grant::from);
        if let Some(grant) = grant {
            self.keep(hash, grant);
        }
        Ok(grant)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Grant {
    /// Whether the token is taken at `now`.
    pub(crate) fn is_live(&self, now: i64) -> bool {
        now < self.expires_at.saturating_add(access_token::GRACE_MS)
    }

    /// As it is stored.
    pub(super) fn row(self, hash: [u8; 32]) -> access_token::Model {
        access_token::Model {
            hash: hash.to_vec(),
            tenant_id: self.tenant.uuid(),
            source_id: self.source.uuid(),
            credential_id: self.credential.uuid(),
            expires_at: self.expires_at,
        }
    }
}

impl From<access_token::Model> for Grant {
    fn from(row: access_token::Model) -> Self {
        Self {
            tenant: row.tenant_id.into(),
            source: row.source_id.into(),
            credential: row.credential_id.into(),
            expires_at: row.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_for_a_minute_after_its_end() {
        let (tenant, source, credential) = (TenantId::at(1), SourceId::at(1), CredentialId::at(1));
        let grant = Grant { tenant, source, credential, expires_at: 1_000_000 };
        for (now, is_live) in [(0, true), (1_000_000, true), (1_059_999, true), (1_060_000, false)] {
            assert_eq!(grant.is_live(now), is_live, "{now}");
        }
    }
}
