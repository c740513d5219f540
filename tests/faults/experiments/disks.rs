//! Disks that are full or take nothing.

use harness::program::{Program, words};
use harness::relay::settings_of;
use harness::{Database, Relay};

use super::databases::{database_on, is_whole};
use crate::checker::Findings;
use crate::disk::Disk;
use crate::experiment::Context;
use crate::stage::{RATE, Stage};

/// Not a byte fits any more, of data or of logs: nothing is called accepted that is not stored, and when there is room again the
/// same processes go on.
pub(super) async fn full(context: Context) -> Result<Findings, String> {
    let disk = Disk::mount(if context.kind == harness::Kind::Sqlite { 96 } else { 256 });
    let (server, database) = database_on(context.kind, &disk).await;
    let mut stage = Stage::under_load(Relay::plan(database).setting("HOOKYARD_LOG", "warn"), RATE).await;
    for _ in 0..context.rounds(3, 1) {
        stage.count_fault();
        disk.fill();
        stage.refuses(100).await;
        let before = stage.ledger.answers().accepted;
        stage.refuses(50).await;
        if stage.ledger.answers().accepted > before + 20 {
            return Err("events are accepted on a disk that is full".to_owned());
        }
        for process in stage.relay.processes() {
            if process.has_ended() {
                return Err(format!("on a full disk it ended with {}:\n{}", process.ended().await, process.log()));
            }
        }
        disk.free();
        if let Some(server) = server.as_ref().filter(|server| !server.is_running()) {
            // It ends itself rather than go on without its log.
            server.start();
        }
        stage.recovers().await;
    }
    let findings = stage.settle().await?;
    is_whole(&stage.relay.database).await?;
    drop((stage, server));
    Ok(findings)
}

/// A relay that cannot write does not start, and says why; nothing that it held is lost by that.
pub(super) async fn read_only(context: Context) -> Result<Findings, String> {
    let disk = Disk::mount(96);
    let database = Database::create_in(context.kind, disk.path()).await;
    let mut stage = Stage::set(Relay::plan(database).setting("HOOKYARD_LOG", "warn")).await;
    stage.sink.fail_one_in(1);
    stage.load(RATE).await;
    stage.relay.kill();
    stage.allow_what_is_unwritten().await;
    disk.let_write(false);
    let settings = settings_of(Program::Hookyard, &stage.relay.database, &stage.relay.clock);
    let elsewhere = tempfile::TempDir::new().unwrap();
    let output = Program::Hookyard.run(&[], &settings, elsewhere.path()).await;
    let said = words(&output);
    if output.status.success() || !said.to_lowercase().contains("read") {
        return Err(format!("on a disk that is read-only it ended with {} and said:\n{said}", output.status));
    }
    disk.let_write(true);
    stage.sink.fail_one_in(0);
    stage.relay.start_again().await;
    stage.recovers().await;
    let findings = stage.settle().await?;
    is_whole(&stage.relay.database).await?;
    drop(stage);
    Ok(findings)
}
