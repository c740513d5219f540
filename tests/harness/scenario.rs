//! How a scenario becomes tests: one for each database, with a name that says which.

use std::sync::{PoisonError, RwLock};

use tokio::runtime::Runtime;

use crate::database::{Database, Kind};

/// Those that measure run while no other does.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a scenario beside others.
pub fn run<F: Future<Output = ()>>(kind: Kind, scenario: impl FnOnce(Database) -> F) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    on_own_database(kind, scenario);
}

/// Runs a scenario that needs the machine for itself.
pub fn run_alone<F: Future<Output = ()>>(kind: Kind, scenario: impl FnOnce(Database) -> F) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    on_own_database(kind, scenario);
}

fn on_own_database<F: Future<Output = ()>>(kind: Kind, scenario: impl FnOnce(Database) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = Some(runtime.block_on(Database::create(kind)));
    let owned = Owned { runtime, database };
    owned.runtime.block_on(scenario(owned.database.clone().expect("just made")));
}

/// Drops the database whatever becomes of the scenario, and after its processes.
struct Owned {
    runtime: Runtime,
    database: Option<Database>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            self.runtime.block_on(database.drop());
        }
    }
}

/// Two tests for each scenario named: `….::sqlite` in one process, `….::postgres` in several.
#[macro_export]
macro_rules! on_each_database {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn sqlite() {
                $crate::scenario::run($crate::Kind::Sqlite, super::$scenario);
            }
            #[test]
            fn postgres() {
                $crate::scenario::run($crate::Kind::Postgres, super::$scenario);
            }
        }
    )*};
}

/// The same, for scenarios that measure.
#[macro_export]
macro_rules! on_each_database_alone {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn sqlite() {
                $crate::scenario::run_alone($crate::Kind::Sqlite, super::$scenario);
            }
            #[test]
            fn postgres() {
                $crate::scenario::run_alone($crate::Kind::Postgres, super::$scenario);
            }
        }
    )*};
}

/// For what only separate processes can do.
#[macro_export]
macro_rules! on_postgres {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn postgres() {
                $crate::scenario::run($crate::Kind::Postgres, super::$scenario);
            }
        }
    )*};
}

/// For what only one process on a file can do.
#[macro_export]
macro_rules! on_sqlite {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn sqlite() {
                $crate::scenario::run($crate::Kind::Sqlite, super::$scenario);
            }
        }
    )*};
}
