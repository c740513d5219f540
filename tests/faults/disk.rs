//! A small file system in memory, which can be filled up and made read-only.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

pub(crate) struct Disk {
    directory: TempDir,
}

/// Why this machine gives us none.
pub(crate) fn refusal() -> Option<String> {
    static REFUSAL: LazyLock<Option<String>> = LazyLock::new(|| Disk::try_mount(1).err());
    REFUSAL.clone()
}

impl Disk {
    pub(crate) fn mount(mebibytes: usize) -> Self {
        Self::try_mount(mebibytes).unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_mount(mebibytes: usize) -> Result<Self, String> {
        let directory = TempDir::with_prefix("hookyard-disk.").unwrap();
        let options = format!("size={mebibytes}m,mode=0755");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "hookyard"]).arg(directory.path()).output();
        let mount = mount.map_err(|error| format!("mount: {error}"))?;
        if mount.status.success() {
            Ok(Self { directory })
        } else {
            Err(format!("a small file system cannot be mounted: {}", String::from_utf8_lossy(&mount.stderr).trim()))
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Until not a byte fits.
    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let mut filler = std::fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4_096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Nobody may have a file of it open for writing.
    pub(crate) fn let_write(&self, may: bool) {
        let options = if may { "remount,rw" } else { "remount,ro" };
        let mount = Command::new("mount").args(["-o", options]).arg(self.path()).output().unwrap();
        assert!(mount.status.success(), "{options}: {}", String::from_utf8_lossy(&mount.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since a file may still be open.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
