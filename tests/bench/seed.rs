//! What takes too long to be made through the front door: written into the database while the relay is stopped.

use std::fmt::Write as _;

use entity::destination::Signers;
use harness::{Database, Tenant};
use relay::id::{DestinationId, SubscriptionId, TenantId};
use relay::keyring::Keyring;
use uuid::Uuid;

use crate::body;
use crate::relay::Storage;

/// Rows in one statement.
const AT_A_TIME: usize = 500;

/// So many more destinations for each of these tenants, as their first one is; events of the type with its number go to each.
pub(crate) async fn destinations(
    storage: Storage,
    database: &Database,
    keyring: &Keyring,
    tenants: &[Tenant],
    each: u32,
) {
    for tenant in tenants {
        let id: TenantId = tenant.id.parse().unwrap();
        let (mut destinations, mut subscriptions) = (Vec::new(), Vec::new());
        for number in 1..each {
            let (new, subscription) = (DestinationId::at(now()), SubscriptionId::at(now()));
            let secrets = Signers::generate(false).sealed(keyring, (id, new));
            destinations.push(format!("({}, '{secrets}')", storage.uuid(new.uuid())));
            let types = format!("[\"{}\"]", body::type_name(number));
            subscriptions.push(format!(
                "({}, {}, '{types}')",
                storage.uuid(subscription.uuid()),
                storage.uuid(new.uuid())
            ));
        }
        let tenant = storage.uuid(id.uuid());
        for rows in destinations.chunks(AT_A_TIME) {
            let text = format!(
                "INSERT INTO destination (tenant_id, id, name, url, auth_kind, signing_secrets, timeout_s, state,
                    state_since, version, created_at)
                SELECT d.tenant_id, v.column1, d.name, d.url, d.auth_kind, v.column2, d.timeout_s, d.state, d.state_since,
                    d.version, d.created_at
                FROM (VALUES {}) v, (SELECT * FROM destination WHERE tenant_id = {tenant} LIMIT 1) d",
                rows.join(", ")
            );
            database.execute(&text).await;
        }
        for rows in subscriptions.chunks(AT_A_TIME) {
            let text = format!(
                "INSERT INTO subscription (tenant_id, id, destination_id, event_types, enabled, version, created_at)
                SELECT s.tenant_id, v.column1, v.column2, v.column3, s.enabled, s.version, s.created_at
                FROM (VALUES {}) v, (SELECT * FROM subscription WHERE tenant_id = {tenant} LIMIT 1) s",
                rows.join(", ")
            );
            database.execute(&text).await;
        }
    }
}

/// So many events that wait to be delivered, in turn by every second subscription that there is; their numbers begin at `first`.
pub(crate) async fn backlog(storage: Storage, database: &Database, count: u32, first: u32) {
    let (before, after) = body::halves(1024);
    let mut text = String::new();
    let from = now() - i64::from(count / 1000);
    for (begin, end) in (0..count).step_by(100_000).map(|begin| (begin, (begin + 100_000).min(count))) {
        text.clear();
        let series = match storage {
            Storage::Postgres => format!("generate_series({begin}, {end} - 1) AS g(n)"),
            Storage::Sqlite => format!(
                "(WITH RECURSIVE g(n) AS (SELECT {begin} UNION ALL SELECT n + 1 FROM g WHERE n < {end} - 1) SELECT n FROM g) g"
            ),
        };
        // An event and its delivery share their millisecond; a thousand of them have each.
        let id = |kind: &str| match storage {
            Storage::Postgres => format!(
                "(lpad(to_hex({from} + g.n / 1000), 12, '0') || '7000{kind}' || lpad(to_hex(g.n), 12, '0'))::uuid"
            ),
            Storage::Sqlite => format!("unhex(printf('%012x7000{kind}%012x', {from} + g.n / 1000, g.n))"),
        };
        let (event, delivery) = (id("8000"), id("9000"));
        let (body, shard) = match storage {
            Storage::Postgres => (
                format!("convert_to('{before}' || lpad((g.n + {first})::text, 12, '0') || '{after}', 'UTF8')"),
                "get_byte(uuid_send(s.destination_id), 15) & 63".to_owned(),
            ),
            Storage::Sqlite => (
                format!("CAST('{before}' || printf('%012d', g.n + {first}) || '{after}' AS BLOB)"),
                "(instr('0123456789ABCDEF', substr(hex(s.destination_id), 31, 1)) - 1) % 4 * 16
                    + instr('0123456789ABCDEF', substr(hex(s.destination_id), 32, 1)) - 1"
                    .to_owned(),
            ),
        };
        let of = format!(
            "{series} JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS place, tenant_id, id, destination_id FROM subscription) s
            ON s.place = 1 + 2 * (g.n % (SELECT count(*) / 2 FROM subscription))"
        );
        write!(
            text,
            "INSERT INTO event (tenant_id, id, event_type, received_at, method, path, content_type, size, matched, test, hops, attributes)
            SELECT s.tenant_id, {event}, 'Bench.00000', {from}, 'POST', '', 'application/json', 1024, 1, {no}, 0, '{{}}' FROM {of};
            INSERT INTO payload (tenant_id, event_id, headers, body)
            SELECT s.tenant_id, {event}, '[[\"content-type\",\"application/json\"]]', {body} FROM {of};
            INSERT INTO pending (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, attempts, trigger, size)
            SELECT s.tenant_id, {delivery}, {shard}, {from} + g.n / 1000, {event}, s.id, s.destination_id, 0, 0, 1024 FROM {of}",
            no = if storage == Storage::Postgres { "false" } else { "0" },
        )
        .unwrap();
        database.execute(&text).await;
    }
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Storage {
    pub(crate) fn uuid(self, id: Uuid) -> String {
        match self {
            Self::Sqlite => format!("X'{}'", id.simple()),
            Self::Postgres => format!("'{id}'::uuid"),
        }
    }
}
