//! How a database's schema stands to this program: whether it lacks something, and whether it is newer.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait, SchemaManager};

use crate::Migrator;

/// How a schema stands to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// What this program knows and the database lacks, oldest first.
    pub pending: Vec<String>,
    /// What the database has and this program does not know, oldest first: a newer version's.
    pub unknown: Vec<String>,
    /// The newest migration that a program must know to run here; none where nothing was migrated, or only by a version
    /// that said nothing of it.
    floor: Option<String>,
}

/// Why this program does not run on the schema.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("the database lacks {}; run `hookyard migrate` first", .0.join(", "))]
    Pending(Vec<String>),
    #[error(
        "the database is too new for this program: it has {}, and who runs on it must know {floor}. Start the \
         version that migrated it, or the one before",
        unknown.join(", ")
    )]
    TooNew { unknown: Vec<String>, floor: String },
    #[error(
        "the database has another history than this program: it lacks {}, and has {}, which this program does not \
         know. It was migrated by a program that is not of this line of versions",
        pending.join(", "),
        unknown.join(", ")
    )]
    Strange { pending: Vec<String>, unknown: Vec<String> },
    #[error("what the database was migrated to could not be read")]
    Database(#[from] DbErr),
}

/// Insists that this program runs on the schema, and says so in the log where that is newer. Reads only.
pub async fn check(db: &sea_orm_migration::sea_orm::DatabaseConnection) -> Result<(), Unfit> {
    let schema = Schema::read(db).await?;
    schema.fits()?;
    if !schema.unknown.is_empty() {
        let newer = schema.unknown.join(", ");
        tracing::warn!(newer, "the database was migrated by a newer version, on which this one runs: start that one");
    }
    Ok(())
}

/// Since which migration programs can open payloads that are sealed.
pub const SEALED_PAYLOADS: &str = "m20261129_000017_payload_keys";

/// From now on only programs that know this migration start on the database.
pub async fn raise_floor(db: &sea_orm_migration::sea_orm::DatabaseConnection, to: &'static str) -> Result<(), DbErr> {
    let raise = "UPDATE schema_floor SET migration = $1 WHERE migration < $1";
    let raise = Statement::from_sql_and_values(db.get_database_backend(), raise, [to.into()]);
    db.execute_raw(raise).await.map(drop)
}

impl Schema {
    /// That of a database in which nothing is.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&names(), Vec::new(), None)
    }

    /// Reads only, and nothing that a database may lack.
    pub async fn read(db: impl IntoSchemaManagerConnection<'_>) -> Result<Self, DbErr> {
        let manager = SchemaManager::new(db);
        let applied = column(&manager, "seaql_migrations", "version").await?;
        let floor = column(&manager, "schema_floor", "migration").await?.pop();
        Ok(Self::of(&names(), applied, floor))
    }

    fn of(known: &[String], applied: Vec<String>, floor: Option<String>) -> Self {
        let pending = known.iter().filter(|name| !applied.contains(name)).cloned().collect();
        let unknown = applied.into_iter().filter(|name| !known.contains(name)).collect();
        Self { pending, unknown, floor }
    }

    /// Whether this program runs on it.
    ///
    /// # Errors
    /// Why it does not.
    pub fn fits(&self) -> Result<(), Unfit> {
        self.fits_whoever_knows(&names())
    }

    fn fits_whoever_knows(&self, known: &[String]) -> Result<(), Unfit> {
        let Self { pending, unknown, floor } = self.clone();
        match (pending.is_empty(), unknown.is_empty()) {
            (true, true) => Ok(()),
            (false, true) => Err(Unfit::Pending(pending)),
            (false, false) => Err(Unfit::Strange { pending, unknown }),
            (true, false) => match floor {
                Some(floor) if known.contains(&floor) => Ok(()),
                floor => Err(Unfit::TooNew { unknown, floor: floor.unwrap_or_else(|| "all of it".to_owned()) }),
            },
        }
    }
}

/// What this program knows, oldest first.
fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// A column of texts, in order; empty where there is no such table.
async fn column(manager: &SchemaManager<'_>, table: &str, column: &str) -> Result<Vec<String>, DbErr> {
    if !manager.has_table(table).await? {
        return Ok(Vec::new());
    }
    let text = format!("SELECT {column} FROM {table} ORDER BY {column}");
    let read = Statement::from_string(manager.get_database_backend(), text);
    manager.get_connection().query_all_raw(read).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn who_knows_the_floor_runs_on_what_is_newer() {
        let known = all(&["1", "2", "3"]);
        for (applied, floor, verdict) in [
            (&[][..], None, "lacks 1, 2, 3;"),
            (&["1", "2"], Some("2"), "lacks 3;"),
            (&["1", "2", "3"], Some("1"), ""),
            (&["1", "2", "3"], Some("3"), ""),
            // A release ahead, which takes away at most what ours does without.
            (&["1", "2", "3", "4", "5"], Some("1"), ""),
            (&["1", "2", "3", "4", "5"], Some("3"), ""),
            (&["1", "2", "3", "4", "5"], Some("4"), "it has 4, 5, and who runs on it must know 4."),
            (&["1", "2", "3", "4"], None, "too new"),
            (&["1", "2", "4"], Some("1"), "it lacks 3, and has 4,"),
        ] {
            let schema = Schema::of(&known, all(applied), floor.map(str::to_owned));
            let judged = schema.fits_whoever_knows(&known).map_err(|error| error.to_string());
            match (judged, verdict) {
                (Ok(()), "") => {}
                (Err(text), verdict) if !verdict.is_empty() => assert!(text.contains(verdict), "{applied:?}: {text}"),
                (judged, _) => panic!("{applied:?}, {floor:?}: {judged:?}"),
            }
        }
    }
}
