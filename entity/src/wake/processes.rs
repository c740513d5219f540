//! Between processes PostgreSQL carries the words. SQLite has one process.

use std::fmt;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use tokio_util::sync::CancellationToken;

use super::Wake;
use crate::Database;
use crate::database::fault;

/// The channel on which they are said.
const CHANNEL: &str = "hookyard_due";

/// What one process says to all others, and to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Something is due.
    Due,
    /// A shard was given back: whoever has fewer than its share may take it at once.
    Freed,
}

const FREED: &str = "freed";

impl Word {
    /// What another process said. A version that does not understand it looks for what is due.
    fn read(text: &str) -> Self {
        if text == FREED { Self::Freed } else { Self::Due }
    }
}

/// As it is said.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Due => "",
            Self::Freed => FREED,
        })
    }
}

/// Says it to the other processes. Outside the transaction that it is about: a word may be lost, and must not make commits
/// stand in line.
pub async fn say(db: &Database, word: Word) -> Result<(), DbErr> {
    if db.is_sqlite() {
        return Ok(());
    }
    let values: [Value; 2] = [CHANNEL.into(), word.to_string().into()];
    let notify = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, $2)", values);
    db.finish.execute_raw(notify).await.map(drop)
}

/// Hears what others [`say`]. It takes one connection of the reading pool for itself.
pub struct Listener(sea_orm::sqlx::postgres::PgListener);

impl Listener {
    /// Begins to listen.
    pub async fn open(db: &Database) -> Result<Self, DbErr> {
        let pool = db.steady.get_postgres_connection_pool();
        let mut listener = sea_orm::sqlx::postgres::PgListener::connect_with(pool).await.map_err(fault)?;
        listener.listen(CHANNEL).await.map_err(fault)?;
        Ok(Self(listener))
    }

    /// Waits for the next word. None: the connection was lost, and is a new one; so may words be.
    pub async fn heard(&mut self) -> Result<Option<Word>, DbErr> {
        let said = self.0.try_recv().await.map_err(fault)?;
        Ok(said.map(|said| Word::read(said.payload())))
    }
}

/// At most one wake-up in this time: listeners read everything that is due anyway. Commits come in batches, so that there
/// are few more of them; with 5 ms, half of what a delivery took was this.
const BETWEEN: Duration = Duration::from_millis(1);
/// And where one could not be said.
const AGAIN: Duration = Duration::from_millis(100);

/// How long an end waits for the last word.
pub const LAST_WORD: Duration = Duration::from_secs(1);

/// Passes every ring of `wake` on to other processes, until `stop`, and what was rung for before. PostgreSQL only.
pub async fn pass_on(db: Database, wake: Wake, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = wake.rung() => {}
            () = stop.cancelled() => return,
        }
        let Err(error) = say(&db, Word::Due).await else {
            tokio::time::sleep(BETWEEN).await;
            continue;
        };
        if stop.is_cancelled() {
            return;
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "a wake-up was not passed on; workers poll");
        wake.ring();
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard_and_what_is_not_understood_may_be_due() {
        for word in [Word::Freed, Word::Due] {
            assert_eq!(Word::read(&word.to_string()), word);
        }
        assert_eq!(Word::read("of a newer version"), Word::Due);
    }
}
