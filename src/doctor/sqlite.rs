//! What only SQLite has: a file, who may open it, and the disk that it lies on.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use entity::{DbErr, inspection};
use migration::sea_orm::DatabaseConnection;
use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;

pub(super) async fn examine(db: &DatabaseConnection, path: &Path) -> Result<Vec<Finding>, DbErr> {
    let file = inspection::file(db).await?;
    let reached = format!("SQLite in {}, {}", path.display(), size(u64::try_from(file.bytes).unwrap_or_default()));
    let mut findings = vec![Finding::ok("database", reached)];
    findings.push(writable(path));
    findings.push(private(path));
    findings.push(journal(&file.journal));
    findings.extend(statvfs(directory(path)).ok().map(|disk| free(disk.f_bavail.saturating_mul(disk.f_frsize))));
    Ok(findings)
}

/// SQLite writes other files beside its own.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn writable(path: &Path) -> Finding {
    const CHECK: &str = "writable";
    let opened = File::options().write(true).open(path).map(drop);
    let beside = access(directory(path), Access::WRITE_OK).map_err(std::io::Error::from);
    match opened.and(beside) {
        Ok(()) => Finding::ok(CHECK, "the file and its directory can be written"),
        Err(error) => Finding::problem(
            CHECK,
            format!("{} or its directory cannot be written: {error}", path.display()),
            "run this, and the relay, as the user who owns both",
        ),
    }
}

fn private(path: &Path) -> Finding {
    const CHECK: &str = "private";
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Finding::ok(CHECK, "the file is its owner's only");
    }
    Finding::warning(
        CHECK,
        format!(
            "others on this machine can open {} (its mode is {mode:o}): it holds what providers say of people",
            path.display()
        ),
        format!("chmod 600 {path}*", path = path.display()),
    )
}

fn journal(mode: &str) -> Finding {
    const CHECK: &str = "journal";
    match mode {
        "wal" => Finding::ok(CHECK, "a log is written ahead (WAL)"),
        other => Finding::warning(
            CHECK,
            format!("the file is in the mode {other}: readers and the writer keep each other waiting"),
            "start the relay, which sets WAL; if that does not last, the disk may be a network's, where SQLite is not safe",
        ),
    }
}

const MIB: u64 = 1 << 20;
const LITTLE: u64 = 1024 * MIB;
const TOO_LITTLE: u64 = 100 * MIB;

fn free(bytes: u64) -> Finding {
    const CHECK: &str = "disk";
    let found = format!("{} are free beside the database", size(bytes));
    let mend = "make room, or keep bodies for fewer days (HOOKYARD_RETENTION_PAYLOAD)";
    match bytes {
        0..TOO_LITTLE => Finding::problem(CHECK, format!("{found}: soon no event can be stored"), mend),
        TOO_LITTLE..LITTLE => Finding::warning(CHECK, found, mend),
        LITTLE.. => Finding::ok(CHECK, found),
    }
}

fn size(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_before_it_is_full() {
        for (bytes, verdict) in [
            (0, "problem"),
            (TOO_LITTLE - 1, "problem"),
            (TOO_LITTLE, "warning"),
            (LITTLE - 1, "warning"),
            (LITTLE, "ok"),
        ] {
            assert_eq!(free(bytes).told(), ("disk", verdict), "{bytes}");
        }
    }

    #[test]
    fn a_file_without_a_directory_lies_here() {
        for (path, parent) in [("hookyard.db", "."), ("data/hookyard.db", "data"), ("/hookyard.db", "/")] {
            assert_eq!(directory(Path::new(path)), Path::new(parent), "{path}");
        }
    }
}
