//! When each API key and credential was last used, to the minute, written beside the requests and never on their way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::{Database, DbErr, api_key, credential};
use relay::id::{ApiKeyId, CredentialId, SourceId, TenantId};
use tokio_util::sync::CancellationToken;

/// Cheap to clone; all clones are one process's notes.
#[derive(Debug, Clone, Default)]
pub struct LastUsed(Arc<Mutex<HashMap<Used, Note>>>);

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Used {
    ApiKey(ApiKeyId),
    Credential(TenantId, SourceId, CredentialId),
}

#[derive(Debug, Clone, Copy)]
struct Note {
    at: i64,
    is_written: bool,
}

/// A use this soon after one that was noted is not news.
const MINUTE_MS: i64 = 60_000;
/// How often notes are written.
const EVERY: Duration = Duration::from_secs(5);

impl LastUsed {
    /// It was used `now`; its row says `known`.
    pub(crate) fn note(&self, used: Used, known: Option<i64>, now: i64) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = notes.get(&used).map(|note| note.at);
        if known.max(noted).is_none_or(|last| now - last >= MINUTE_MS) {
            notes.insert(used, Note { at: now, is_written: false });
        }
    }

    /// Writes notes until told to stop, and what is left then.
    pub async fn keep(self, db: Database, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            if let Err(error) = self.write(&db).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "when keys were used was not noted");
            }
            if stopped {
                return;
            }
        }
    }

    /// What could not be written is lost: the next use is noted again.
    async fn write(&self, db: &Database) -> Result<(), DbErr> {
        for (used, at) in self.unwritten() {
            match used {
                Used::ApiKey(id) => api_key::touch(&db.finish, id, at).await?,
                Used::Credential(tenant, source, id) => {
                    credential::touch(&db.finish, (tenant, source), id, at).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes what is to be written, and forgets what is old enough to be news again.
    fn unwritten(&self) -> Vec<(Used, i64)> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = notes.values().map(|note| note.at).max().unwrap_or(0);
        let unwritten =
            notes.iter().filter(|(_, note)| !note.is_written).map(|(used, note)| (*used, note.at)).collect();
        notes.retain(|_, note| newest - note.at < MINUTE_MS);
        notes.values_mut().for_each(|note| note.is_written = true);
        unwritten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_noted_once_a_minute() {
        let uses = LastUsed::default();
        let key = Used::ApiKey(ApiKeyId::at(1));
        uses.note(key, None, 100_000);
        uses.note(key, None, 159_999);
        assert_eq!(uses.unwritten(), [(key, 100_000)]);
        uses.note(key, None, 159_999);
        assert_eq!(uses.unwritten(), []);
        uses.note(key, None, 160_000);
        assert_eq!(uses.unwritten(), [(key, 160_000)]);
    }

    #[test]
    fn what_the_row_says_counts() {
        let uses = LastUsed::default();
        uses.note(Used::ApiKey(ApiKeyId::at(1)), Some(100_000), 159_999);
        assert_eq!(uses.unwritten(), []);
    }
}
