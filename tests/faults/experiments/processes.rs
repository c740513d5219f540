//! Processes that die, freeze, are told to end, or get too little of the machine.

use std::time::Duration;

use harness::{Client, Process, system, within};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::checker::Findings;
use crate::experiment::Context;
use crate::memory::Limit;
use crate::providers::Traffic;
use crate::stage::{LEASE_AND_MORE, RATE, Stage, plan};

/// One of two: providers go to the other meanwhile.
pub(super) async fn kill_api(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await.apis(2), RATE).await;
    for round in 0..context.rounds(200, 10) {
        stage.goes_on(round).await;
        let api = stage.relay.apis[round % 2].clone();
        stage.count_fault();
        api.kill();
        stage.recovers().await;
        api.start_again().await;
        stage.recovers().await;
    }
    stage.settle().await
}

/// The worker, which is also the api where both are one.
pub(super) async fn kill_worker(context: Context) -> Result<Findings, String> {
    killed(Stage::under_load(plan(context.kind).await, RATE).await, context.rounds(200, 10)).await
}

/// One process for all on PostgreSQL: what it commits it sends without reading it, and leases say whose its shards are.
pub(super) async fn kill_all_in_one(context: Context) -> Result<Findings, String> {
    killed(Stage::under_load(plan(context.kind).await.together(), RATE).await, context.rounds(200, 10)).await
}

async fn killed(mut stage: Stage, rounds: usize) -> Result<Findings, String> {
    for round in 0..rounds {
        stage.goes_on(round).await;
        let worker = stage.relay.workers[0].clone();
        worker.kill();
        stage.allow_what_is_unwritten().await;
        stage.let_leases_end();
        worker.start_again().await;
        stage.recovers().await;
    }
    stage.settle().await
}

async fn end(process: &Process) -> Result<(), String> {
    process.terminate();
    let status = process.ended().await;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}:\n{}", process.log())) }
}

/// Whoever ended in order is nobody's neighbour any more, and owns nothing: who is left takes all of it at once.
async fn nothing_is_left(stage: &Stage) -> Result<(), String> {
    if stage.relay.is_one_process() {
        // On SQLite the lock on a file says who is the worker.
        return Ok(());
    }
    let live = stage.relay.workers.iter().filter(|worker| !worker.has_ended()).count();
    let beats = stage.relay.database.number("SELECT count(*) FROM worker").await;
    let owned = "SELECT count(*) FROM shard WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM worker)";
    let owned = stage.relay.database.number(owned).await;
    if usize::try_from(beats).is_ok_and(|beats| beats <= live) && owned == 0 {
        return Ok(());
    }
    Err(format!("of {live} workers that live there are {beats} heartbeats, and {owned} shards are a dead one's"))
}

/// Nothing arrives twice, since nothing is in flight when a process has ended in order.
pub(super) async fn terminate(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    stage.sink.think(Duration::from_millis(30));
    for round in 0..context.rounds(30, 3) {
        stage.goes_on(round).await;
        let processes: Vec<Process> = stage.relay.processes().into_iter().cloned().collect();
        stage.count_fault();
        for process in &processes {
            end(process).await?;
        }
        nothing_is_left(&stage).await?;
        stage.relay.start_again().await;
        stage.recovers().await;
    }
    stage.settle().await
}

/// Asked to end while its destinations take their time, and killed before they are done.
pub(super) async fn terminate_and_kill(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    for round in 0..context.rounds(20, 2) {
        stage.sink.think(Duration::from_secs(3));
        stage.goes_on(round).await;
        let worker = stage.relay.workers[0].clone();
        worker.terminate();
        let client = Client::of(&worker);
        within(Duration::from_secs(10), "it to be about to end", async || {
            client.try_operations("/readyz").await.map_or(true, |answer| answer.status == 503).then_some(())
        })
        .await;
        worker.kill();
        stage.allow_what_is_unwritten().await;
        stage.sink.think(Duration::ZERO);
        stage.let_leases_end();
        worker.start_again().await;
        stage.recovers().await;
    }
    stage.settle().await
}

/// Another takes over what a frozen one held; when it wakes up it sends nothing and writes nothing.
pub(super) async fn freeze_worker(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await.workers(2), RATE).await;
    stage.relay.arm("may-write.log", "");
    for round in 0..context.rounds(20, 2) {
        // Its destinations take less than comes: it knows of much that it has not sent yet.
        stage.sink.think(Duration::from_millis(250));
        stage.accepts(100).await;
        let worker = stage.relay.workers[round % 2].clone();
        worker.freeze();
        stage.allow_what_is_unwritten().await;
        stage.allow_what_is_about_to_be_written(&worker).await;
        stage.sink.think(Duration::ZERO);
        // Three leases, so nothing of the frozen one is its own any more.
        for _ in 0..3 {
            stage.pass(LEASE_AND_MORE).await;
            stage.recovers().await;
        }
        worker.thaw();
        stage.recovers().await;
    }
    stage.settle().await
}

/// One process after another is replaced while the others go on: nobody waits for a lease, and nothing arrives twice.
pub(super) async fn rolling_restart(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await.apis(2).workers(2), RATE).await;
    for _ in 0..context.rounds(5, 1) {
        let processes: Vec<Process> = stage.relay.processes().into_iter().cloned().collect();
        for process in processes {
            stage.count_fault();
            end(&process).await?;
            nothing_is_left(&stage).await?;
            stage.recovers().await;
            process.start_again().await;
            stage.recovers().await;
        }
    }
    stage.settle().await
}

/// More bodies of 1 MiB than there is room for, while destinations take their time, and as much memory as
/// `packaging/kubernetes` gives: what does not fit is refused, and nobody is killed for its memory.
pub(super) async fn little_memory(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::set(plan(context.kind).await).await;
    let limits: Vec<Limit> = if stage.relay.is_one_process() {
        vec![Limit::on(stage.relay.apis[0].pid(), "hookyard", 1_024)]
    } else {
        let (api, worker) = (stage.relay.apis[0].pid(), stage.relay.workers[0].pid());
        vec![Limit::on(api, "hookyard-api", 768), Limit::on(worker, "hookyard-worker", 512)]
    };
    stage.count_fault();
    stage.sink.think(Duration::from_millis(500));
    stage.begin_load(Traffic { per_second: RATE * 10, free: 80, bytes: 1 << 20 });
    let enough = context.rounds(1_000, 100);
    let had = within(Duration::from_secs(120), "enough to be accepted, and some to be refused", async || {
        let answers = stage.ledger.answers();
        let had = limits.iter().map(Limit::check).collect::<Result<Vec<_>, _>>();
        (had.is_err() || answers.accepted >= enough && answers.refused >= enough).then_some(had)
    })
    .await?;
    println!("{}", had.join(", "));
    stage.sink.think(Duration::ZERO);
    stage.recovers().await;
    let findings = stage.settle().await?;
    for limit in &limits {
        limit.check()?;
    }
    Ok(findings)
}

/// Idle clients take every descriptor; when they go, all is well again, and none of it costs the processor anything.
pub(super) async fn few_descriptors(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE / 4).await;
    for _ in 0..context.rounds(5, 1) {
        let api = stage.relay.apis[0].clone();
        let has = system::descriptors(api.pid());
        stage.count_fault();
        system::allow_descriptors(api.pid(), has + 8);
        let mut idle = Vec::new();
        for _ in 0..100 {
            if let Ok(Ok(mut stream)) =
                tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(api.address())).await
            {
                let _ = stream.write_all(b"POST ").await;
                idle.push(stream);
            }
        }
        // What it uses in a while is what is asked for.
        let before = system::processor_time(api.pid());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let used = system::processor_time(api.pid()) - before;
        if used > Duration::from_millis(2_500) {
            return Err(format!("with no descriptor left it used {used:?} of processor time in 5 s"));
        }
        drop(idle);
        system::allow_descriptors(api.pid(), 4_096);
        stage.recovers().await;
    }
    stage.settle().await
}

/// The worker gets a tenth of a processor (it is stopped for 90 of every 100 ms): leases are kept, and nothing arrives twice.
pub(super) async fn little_processor(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await.workers(2), RATE / 2).await;
    stage.count_fault();
    let worker = stage.relay.workers[0].clone();
    for _ in 0..context.rounds(400, 50) {
        worker.freeze();
        tokio::time::sleep(Duration::from_millis(90)).await;
        worker.thaw();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.recovers().await;
    let lost = stage.relay.counted("hookyard_leases_lost_total").await;
    if lost > 0 {
        return Err(format!("{lost} leases were lost"));
    }
    stage.settle().await
}
