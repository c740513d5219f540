//! On SQLite there is one worker: who holds the lock on a file beside the database. The system lets go of it when its
//! holder dies, so nobody waits for a lease to expire.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;

/// How often a second process asks again.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The role, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Role {
    _locked: Option<File>,
}

/// Waits for the role. None: `stop` came first.
pub(crate) async fn take(file: Option<&Path>, stop: &CancellationToken) -> Option<Role> {
    let Some(path) = file else { return Some(Role { _locked: None }) };
    let mut told = false;
    loop {
        match lock(path) {
            Ok(file) => return Some(Role { _locked: Some(file) }),
            Err(error) if !told => {
                told = true;
                tracing::warn!(path = %path.display(), %error, "another process delivers from this database; waiting for it to end");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
    }
}

fn lock(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}
