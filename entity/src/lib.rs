//! One file a table: the row, its ids, and every query on it. All SQL lives here, in both dialects side by side.

pub mod access_token;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod change;
pub mod command;
pub mod configuration;
pub mod credential;
pub mod database;
pub mod dedupe;
pub mod delivery;
pub mod destination;
pub mod erasure;
pub mod event;
pub mod finish;
pub mod health;
pub mod housekeeping;
pub mod idempotency;
pub mod ingest;
pub mod inspection;
pub mod notice;
pub mod operational;
pub mod own_request;
pub mod partition;
pub mod payload;
pub mod payload_key;
pub mod pending;
pub mod rejection;
pub mod replay;
pub mod request;
pub mod retention;
mod rows;
pub mod sealing;
pub mod search;
pub mod shard;
mod sizes;
pub mod source;
pub mod source_key;
pub mod start;
pub mod stat;
pub mod subscription;
pub mod tail;
pub mod tenant;
pub mod wake;
mod watch;
pub mod work;

pub use database::Database;
/// A transaction of [`Database::begin`].
pub use sea_orm::DatabaseTransaction as Transaction;
/// What the queries of this crate fail with: always our own fault, or the database's.
pub use sea_orm::DbErr;
