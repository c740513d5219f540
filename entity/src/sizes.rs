//! How large the database has grown, for the operators' numbers.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::Database;

const TABLE_BYTES: &str = "hookyard_table_bytes";

/// Days count for their table, indexes and what is stored apart with it.
const ON_POSTGRES: &str = "
SELECT coalesce(parent.relname, class.relname)::text, sum(pg_total_relation_size(class.oid))::bigint
FROM pg_class class
LEFT JOIN pg_inherits ON inhrelid = class.oid
LEFT JOIN pg_class parent ON parent.oid = inhparent
WHERE class.relkind = 'r' AND class.relnamespace = current_schema()::regnamespace
GROUP BY 1";

/// The file does not say whose its pages are.
const ON_SQLITE: &str = "SELECT 'all', page_count * page_size FROM pragma_page_count(), pragma_page_size()";

/// Says it to whoever scrapes.
pub(crate) async fn tell(db: &Database) -> Result<(), DbErr> {
    metrics::describe_gauge!(TABLE_BYTES, metrics::Unit::Bytes, "What a table takes on disk; on SQLite all of them");
    let (backend, text) =
        if db.is_sqlite() { (DbBackend::Sqlite, ON_SQLITE) } else { (DbBackend::Postgres, ON_POSTGRES) };
    for row in db.read.query_all_raw(Statement::from_string(backend, text)).await? {
        let bytes: i64 = row.try_get_by_index(1)?;
        #[expect(clippy::cast_precision_loss, reason = "nobody minds the last bytes of a petabyte")]
        metrics::gauge!(TABLE_BYTES, "table" => row.try_get_by_index::<String>(0)?).set(bytes as f64);
    }
    Ok(())
}
