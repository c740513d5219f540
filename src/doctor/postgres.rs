//! What only PostgreSQL has: a version, settings that a promise rests on, connections to share, days.

use std::time::Instant;

use entity::DbErr;
use entity::database::CONNECTIONS;
use entity::inspection::{self, ENOUGH_DAYS, Server};
use migration::sea_orm::DatabaseConnection;

use super::finding::Finding;

pub(super) async fn examine(db: &DatabaseConnection, place: &str) -> Result<Vec<Finding>, DbErr> {
    let server = inspection::server(db).await?;
    // The second question, which plans nothing new and needs no connection.
    let asked = Instant::now();
    inspection::server(db).await?;
    let took = asked.elapsed().as_millis();
    let slow = u128::from(SLOW_MS);
    let reached = format!("PostgreSQL {} at {place} answers in {took} ms", server.version);
    let database = match server.major {
        ..OLDEST => Finding::problem(
            DATABASE,
            format!("{reached}, and is too old: statements of the relay need {OLDEST}"),
            "upgrade the server",
        ),
        _ if took > slow => Finding::warning(
            DATABASE,
            format!("{reached}: each webhook waits for that at least"),
            "have the relay run in the same network as the database",
        ),
        _ => Finding::ok(DATABASE, reached),
    };
    let mut findings = vec![database];
    findings.extend(writes(&server));
    findings.push(connections(&server));
    Ok(findings)
}

const DATABASE: &str = "database";
const OLDEST: i64 = 15;
const SLOW_MS: u64 = 100;

/// Whether what was committed is kept: a 202 says so.
fn writes(server: &Server) -> Vec<Finding> {
    const WRITABLE: &str = "writable";
    const DURABLE: &str = "durability";
    let mut findings = Vec::new();
    if server.is_standby {
        let found = "this server is a replica, in which nothing can be written";
        findings.push(Finding::problem(WRITABLE, found, "set HOOKYARD_DATABASE_URL to the primary"));
    } else if server.is_read_only {
        let found = "sessions here are read only (default_transaction_read_only)";
        let mend =
            "ALTER DATABASE … RESET default_transaction_read_only, or the same with ALTER ROLE, or in postgresql.conf";
        findings.push(Finding::problem(WRITABLE, found, mend));
    }
    if server.isolation != "read committed" {
        let found = format!(
            "transactions here are {} (default_transaction_isolation), for which the relay is not written",
            server.isolation
        );
        findings.push(Finding::problem(
            WRITABLE,
            found,
            "ALTER DATABASE … SET default_transaction_isolation = 'read committed'",
        ));
    }
    let unsafe_settings = [
        (!server.fsync, "fsync", "a crash of the machine may destroy the whole database"),
        (!server.full_page_writes, "full_page_writes", "a crash of the machine may destroy pages"),
        (server.synchronous_commit == "off", "synchronous_commit", "a webhook that was answered with 202 may be lost"),
    ];
    for (_, name, why) in unsafe_settings.iter().filter(|(is_off, ..)| *is_off) {
        findings.push(Finding::problem(DURABLE, format!("{name} is off: {why}"), format!("set {name} = on")));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            DURABLE,
            "what is committed is kept: fsync, full_page_writes and synchronous_commit are on",
        ));
    }
    findings
}

/// Whether one more process finds connections.
fn connections(server: &Server) -> Finding {
    const CHECK: &str = "connections";
    let free = server.connections - server.connections_used;
    let found =
        format!("{free} of {} connections are free, and a process takes up to {CONNECTIONS}", server.connections);
    if free < i64::from(CONNECTIONS) {
        let mend = "raise max_connections on the server, or run fewer processes";
        return Finding::warning(CHECK, format!("{found}: one more may find none"), mend);
    }
    Finding::ok(CHECK, found)
}

/// Of partitions.
pub(super) fn days(ahead: Option<i64>) -> Finding {
    const CHECK: &str = "days";
    let Some(ahead) = ahead else {
        return Finding::ok(CHECK, "there are no partitions yet: the first start of a relay makes them");
    };
    let found = format!("partitions for {ahead} days after today are made");
    if ahead < ENOUGH_DAYS {
        let mend =
            "start a relay, which makes them; if one runs, see in its log why not (it needs the right to CREATE)";
        return Finding::problem(CHECK, format!("{found}: soon no event can be stored"), mend);
    }
    Finding::ok(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            version: "15.6".to_owned(),
            major: 15,
            is_standby: false,
            is_read_only: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            isolation: "read committed".to_owned(),
            connections: 97,
            connections_used: 20,
        }
    }

    #[test]
    fn what_a_202_rests_on_is_looked_at() {
        let ok = vec![("durability", "ok")];
        let (durability, writable) = (vec![("durability", "problem")], vec![("writable", "problem")]);
        for (server, told) in [
            (server(), ok.clone()),
            (Server { synchronous_commit: "remote_apply".to_owned(), ..server() }, ok.clone()),
            (Server { synchronous_commit: "local".to_owned(), ..server() }, ok),
            (Server { synchronous_commit: "off".to_owned(), ..server() }, durability.clone()),
            (Server { fsync: false, ..server() }, durability.clone()),
            (Server { full_page_writes: false, ..server() }, durability),
            (Server { is_standby: true, is_read_only: true, ..server() }, writable.clone()),
            (Server { is_read_only: true, ..server() }, writable.clone()),
            (Server { isolation: "serializable".to_owned(), ..server() }, writable),
        ] {
            assert_eq!(writes(&server).iter().map(Finding::told).collect::<Vec<_>>(), told, "{server:?}");
        }
    }

    #[test]
    fn days_are_made_ahead() {
        for (ahead, verdict) in
            [(None, "ok"), (Some(0), "problem"), (Some(1), "problem"), (Some(2), "ok"), (Some(14), "ok")]
        {
            assert_eq!(days(ahead).told(), ("days", verdict), "{ahead:?}");
        }
    }

    #[test]
    fn there_is_room_for_one_more_process() {
        for (used, verdict) in [(0, "ok"), (82, "ok"), (83, "warning"), (97, "warning")] {
            let server = Server { connections_used: used, ..server() };
            assert_eq!(connections(&server).told(), ("connections", verdict), "{used}");
        }
    }
}
