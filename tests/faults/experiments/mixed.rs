//! Destinations that fail now and then, and everything at once.

use std::time::{Duration, Instant};

use harness::Kind;

use crate::checker::Findings;
use crate::experiment::Context;
use crate::server::Server;
use crate::stage::{RATE, Stage, plan};

/// Every second request is refused, for a while; then all of them are well at once.
pub(super) async fn ill_destinations(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::set(plan(context.kind).await).await;
    stage.sink.fail_one_in(2);
    stage.load(RATE / 2).await;
    stage.accepts(context.rounds(2_000, 150)).await;
    stage.count_fault();
    stage.sink.fail_one_in(0);
    stage.recovers().await;
    stage.settle().await
}

/// Whatever comes next is chosen by a die whose throws are always the same.
pub(super) async fn chaos(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::set(plan(context.kind).await).await;
    let server = (context.kind == Kind::Postgres).then(Server::of_the_run);
    stage.relay.arm("may-write.log", "");
    let mut die = 0x9e37_79b9_7f4a_7c15_u64;
    let end = Instant::now() + context.lasts(Duration::from_secs(240), Duration::from_secs(20));
    stage.sink.fail_one_in(20);
    stage.load(RATE).await;
    while Instant::now() < end {
        die = die.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let throw = die >> 33;
        stage.sink.think(Duration::from_millis(throw % 40));
        stage.pace(RATE / 2 + throw % RATE);
        stage.goes_on(usize::try_from(throw).unwrap()).await;
        let worker = stage.relay.workers[0].clone();
        let api = stage.relay.apis[0].clone();
        match (throw >> 8) % 6 {
            0 => {
                api.kill();
                stage.allow_what_is_unwritten().await;
                api.start_again().await;
            }
            1 if api.pid() != worker.pid() => {
                worker.kill();
                stage.allow_what_is_unwritten().await;
                stage.let_leases_end();
                worker.start_again().await;
            }
            2 => {
                worker.terminate();
                worker.ended().await;
                worker.start_again().await;
            }
            3 => {
                worker.freeze();
                stage.allow_what_is_unwritten().await;
                stage.allow_what_is_about_to_be_written(&worker).await;
                stage.let_leases_end();
                worker.thaw();
            }
            4 => {
                stage.count_fault();
                stage.pass(Duration::from_secs(3_600)).await;
            }
            _ => {
                if let Some(server) = &server {
                    server.kill();
                    server.start();
                }
            }
        }
        stage.recovers().await;
    }
    stage.sink.think(Duration::ZERO);
    stage.sink.fail_one_in(0);
    stage.settle().await
}
