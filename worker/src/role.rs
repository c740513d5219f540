//! On SQLite there is one worker: who holds the lock on a file beside the database. The system lets go of it when its
//! holder dies, so nobody waits for a lease to expire.

use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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

/// The file is its owner's only: whoever may open it may take the role, and then nothing is delivered.
const PRIVATE: u32 = 0o600;

fn lock(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).mode(PRIVATE).open(path)?;
    // It may have been made by a version that left it to all; somebody else's file stays as it is.
    let _ = file.set_permissions(Permissions::from_mode(PRIVATE));
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}
