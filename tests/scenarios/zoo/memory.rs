//! However much a receiver has to say, the relay does not keep it.

use harness::wait::PATIENCE;
use harness::{
    Authority, Client, Database, Process, Relay, Tenant, eventually, on_each_database_alone, system, within,
};

use super::cage::Then::{Holds, Repeats};
use super::cage::{Cage, DELIVERED, TIMED_OUT, fields, unreachable};
use super::{CHUNKED, HEADERS, HINTS, LONG, OK, bomb};

on_each_database_alone![memory_stays_flat];

/// Each of the receivers that say 200 is asked so often; those that fail, as often as they may before they are left alone.
const TIMES: usize = 100;
const TIMES_FAILING: usize = 10;
/// They would say a terabyte; so much, at least, is written before the relay closes.
const OFFERED: u64 = 512 << 20;
/// Of all that, in KiB: far below what one of them says in a second.
const MOST_KIB: u64 = 64 << 10;

async fn memory_stays_flat(database: Database) {
    let (relay, authority) = (Relay::start(database).await, Authority::new());
    let tenant = relay.tenant("zoo").await;
    let tame = vec![Cage::http("is tame", OK, Holds, DELIVERED)];
    let (well, ill, slow) = (well(), ill(), slow());
    for (cages, event_type) in [(&tame, "Tame"), (&well, "Well"), (&ill, "Ill"), (&slow, "Slow")] {
        for cage in cages {
            let destination = tenant.destination_of(fields(&authority, cage)).await;
            tenant.subscribe(&destination, &[event_type]).await;
        }
    }
    let worker = &relay.workers[0];
    all_tried(worker, &tenant, ("Tame", TIMES), TIMES).await;
    system::forget_peak(worker.pid());
    let before = system::peak_memory_kib(worker.pid());

    let mut tried = TIMES;
    for (cages, event_type, times) in [(&well, "Well", TIMES), (&ill, "Ill", TIMES_FAILING), (&slow, "Slow", 1)] {
        tried += times * cages.len();
        let all_tried = all_tried(worker, &tenant, (event_type, times), tried);
        let growth = async || {
            let growth = system::peak_memory_kib(worker.pid()).saturating_sub(before);
            (growth > MOST_KIB).then_some(growth)
        };
        tokio::select! {
            () = all_tried => {}
            growth = within(PATIENCE * 4, "more memory than there may be", growth) => {
                panic!("{event_type}: from {before} KiB by {growth} KiB");
            }
        }
    }
    let taken: u64 = well.iter().chain(&ill).chain(&slow).map(|cage| cage.beast.written()).sum();
    assert!(taken > OFFERED, "they got rid of {taken} bytes only");
    for cage in well.iter().chain(&ill) {
        let what = format!("the connections to be let go: {}", cage.name);
        eventually(&what, async || (cage.beast.open() == 0).then_some(())).await;
    }
}

fn well() -> Vec<Cage> {
    vec![
        Cage::http("goes on", LONG, Repeats(b"x".into()), DELIVERED),
        Cage::http("goes on in chunks", CHUNKED, Repeats(b"1\r\nx\r\n".into()), DELIVERED),
        Cage::http("never ends its trailers", [CHUNKED, "0\r\n"].concat(), Repeats(b"a: b\r\n".into()), DELIVERED),
        bomb("explodes"),
    ]
}

fn ill() -> Vec<Cage> {
    let too_large = unreachable("too large");
    vec![
        Cage::http("never ends its headers", HEADERS, Repeats(b"a: b\r\n".into()), too_large),
        Cage::http("never ends a header", [HEADERS, "a: "].concat(), Repeats(b"b".into()), too_large),
    ]
}

/// One of each: they keep a processor busy until they are left.
fn slow() -> Vec<Cage> {
    vec![
        Cage::http("hints", "", Repeats(HINTS.into()), TIMED_OUT),
        Cage::http("never ends a chunk's size", CHUNKED, Repeats(b"0".into()), DELIVERED),
    ]
}

/// Sends so many events of a type, and waits until the worker has made so many attempts in all.
async fn all_tried(worker: &Process, tenant: &Tenant, (event_type, times): (&str, usize), attempts: usize) {
    tenant.source().await.send_many(times, 4, |_| event_type.to_owned()).await;
    let worker = Client::of(worker);
    within(PATIENCE * 2, &format!("{attempts} attempts"), async || {
        let counted = worker.metric("hookyard_attempts_total").await;
        (counted >= f64::from(u32::try_from(attempts).unwrap())).then_some(())
    })
    .await;
}
