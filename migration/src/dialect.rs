//! One text for both databases: ids and bytes have another type name on SQLite, and nothing is partitioned there.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Runs `text`, in which `{uuid}`, `{bytes}` and `{serial}` stand for the database's own type names, and `{days by X}`
/// for day partitions by the time in the id `X`.
pub(crate) async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    manager.get_connection().execute_unprepared(&translate(text, backend)).await.map(drop)
}

fn translate(text: &str, backend: DbBackend) -> String {
    let (uuid, bytes, days) = match backend {
        DbBackend::Postgres => ("uuid", "bytea", "PARTITION BY RANGE "),
        _ => ("BLOB", "BLOB", ""),
    };
    let mut text = text.replace("{uuid}", uuid).replace("{bytes}", bytes);
    while let Some((before, rest)) = text.split_once("{days by ") {
        let (column, after) = rest.split_once('}').expect("the texts of this crate close their braces");
        let partitions = if days.is_empty() { String::new() } else { format!("{days}({column})") };
        text = format!("{before}{partitions}{after}");
    }
    text
}
