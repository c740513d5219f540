//! The database of one scenario.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A handle; all clones are one database.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// PostgreSQL: its name. SQLite: the name of its file.
    name: String,
    /// PostgreSQL: the URL of its server.
    server: Mutex<String>,
    /// Where the processes may leave files; SQLite's own are here.
    directory: TempDir,
}

impl Database {
    pub async fn create(kind: Kind) -> Self {
        Self::create_in(kind, &std::env::temp_dir()).await
    }

    /// Its files, and those of its processes, below this directory.
    pub async fn create_in(kind: Kind, parent: &Path) -> Self {
        let server = if kind == Kind::Postgres { server() } else { String::new() };
        Self::create_by(kind, server, parent).await
    }

    /// On another PostgreSQL server, as whoever this URL says.
    pub async fn create_at(server: &str) -> Self {
        Self::create_by(Kind::Postgres, server.to_owned(), &std::env::temp_dir()).await
    }

    async fn create_by(kind: Kind, server: String, parent: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = match kind {
            Kind::Sqlite => "hookyard.db".to_owned(),
            Kind::Postgres => format!("hookyard_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst)),
        };
        if kind == Kind::Postgres {
            run(&connect(&server).await, &format!("CREATE DATABASE {name}")).await;
        }
        let directory = TempDir::with_prefix_in("hookyard-scenario.", parent).unwrap();
        Self(Arc::new(Inner { kind, name, server: Mutex::new(server), directory }))
    }

    /// Whatever still uses it is thrown out.
    pub async fn drop(self) {
        if self.0.kind == Kind::Postgres {
            run(&connect(&self.server()).await, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.0.name)).await;
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.0.kind == Kind::Postgres
    }

    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.0.directory.path().to_owned()
    }

    #[must_use]
    pub fn url(&self) -> String {
        match self.0.kind {
            Kind::Sqlite => format!("sqlite://{}", self.0.directory.path().join(&self.0.name).display()),
            Kind::Postgres => {
                let server = self.server();
                let (place, socket) = server.find('?').map_or((&*server, ""), |at| server.split_at(at));
                let (place, _) = place.rsplit_once('/').expect("a URL with a database");
                format!("{place}/{}{socket}", self.0.name)
            }
        }
    }

    fn server(&self) -> String {
        self.0.server.lock().unwrap().clone()
    }

    /// From now on it is where this URL says.
    pub fn moved_to(&self, server: &str) {
        server.clone_into(&mut self.0.server.lock().unwrap());
    }

    /// Host and port of the server.
    #[must_use]
    pub fn server_address(&self) -> String {
        let url = self.url();
        let after_user = url.rsplit_once('@').expect("a URL with a user").1;
        after_user.split('/').next().unwrap().to_owned()
    }

    /// One connection of the test's own.
    pub async fn connection(&self) -> DatabaseConnection {
        connect(&self.url()).await
    }

    /// One number that the database knows.
    pub async fn number(&self, sql: &str) -> i64 {
        let backend = if self.is_postgres() { DbBackend::Postgres } else { DbBackend::Sqlite };
        let connection = self.connection().await;
        let row = connection.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().expect("one row");
        let number = row.try_get_by_index(0).unwrap();
        connection.close().await.unwrap();
        number
    }

    /// In which columns of all tables one of these texts stands.
    pub async fn columns_with(&self, texts: &[&str]) -> Vec<String> {
        let columns = if self.is_postgres() {
            "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name
            WHERE c.table_schema = 'public' AND NOT t.relispartition AND t.relkind IN ('r', 'p')"
        } else {
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
        };
        let db = self.connection().await;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), columns)).await.unwrap();
        let mut found = Vec::new();
        for row in &rows {
            let name = |at| row.try_get_by_index::<String>(at).unwrap();
            let (table, column) = (name(0), name(1));
            let stands = |text: &&str| {
                if self.is_postgres() {
                    format!(
                        r#"position('{text}' in "{column}"::text) > 0
                        OR position(encode('{text}'::bytea, 'hex') in "{column}"::text) > 0"#
                    )
                } else {
                    format!(r#"instr(CAST("{column}" AS BLOB), CAST('{text}' AS BLOB)) > 0"#)
                }
            };
            let stands: Vec<String> = texts.iter().map(stands).collect();
            let sql = format!("SELECT 1 FROM {table} WHERE {} LIMIT 1", stands.join(" OR "));
            let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
            found.extend(row.map(|_| format!("{table}.{column}")));
        }
        db.close().await.unwrap();
        found
    }

    /// What somebody does behind the relay's back.
    pub async fn execute(&self, sql: &str) {
        let connection = self.connection().await;
        run(&connection, sql).await;
        connection.close().await.unwrap();
    }

    /// From now on no event can be written, until it is released.
    pub async fn hold_writes(&self) -> HeldWrites {
        self.hold_writes_to("event").await
    }

    /// From now on nothing can be written to this table (SQLite: to any), until it is released.
    pub async fn hold_writes_to(&self, table: &str) -> HeldWrites {
        let connection = self.connection().await;
        match self.0.kind {
            Kind::Sqlite => run(&connection, "BEGIN IMMEDIATE").await,
            Kind::Postgres => run(&connection, &format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).await,
        }
        HeldWrites(connection)
    }
}

/// A transaction that stands in the way.
#[derive(Debug)]
pub struct HeldWrites(DatabaseConnection);

impl HeldWrites {
    /// PostgreSQL: ends the connections of everybody else, and whatever they wait for.
    pub async fn end_the_others(&self) {
        let others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        run(&self.0, others).await;
    }

    pub async fn release(self) {
        run(&self.0, "ROLLBACK").await;
        self.0.close().await.unwrap();
    }
}

/// The server that `tests/run` started.
fn server() -> String {
    #[expect(clippy::disallowed_methods, reason = "a setting of the suite, not of the relay")]
    std::env::var("HOOKYARD_TEST_POSTGRES")
        .expect("HOOKYARD_TEST_POSTGRES is not set: use tests/run, or tests/postgres cargo test …")
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).min_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap_or_else(|error| panic!("connecting to {url}: {error}"))
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
