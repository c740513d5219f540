//! A limit of the memory that one process may have: a control group of its own, of either version.

use std::path::{Path, PathBuf};

pub(crate) struct Limit {
    group: PathBuf,
    is_second_version: bool,
    pid: u32,
    name: &'static str,
    mebibytes: u64,
}

/// Why this machine does not let us.
pub(crate) fn refusal() -> Option<String> {
    Limit::try_on(std::process::id(), ("faults", 1 << 20)).err()
}

impl Limit {
    /// The process may have so much from now on; for more, the kernel kills it.
    pub(crate) fn on(pid: u32, name: &'static str, mebibytes: u64) -> Self {
        Self::try_on(pid, (name, mebibytes)).unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_on(pid: u32, (name, mebibytes): (&'static str, u64)) -> Result<Self, String> {
        let (first, second) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let is_second_version = !first.join("memory.limit_in_bytes").exists();
        let group = if is_second_version { second } else { first }.join(format!("hookyard-faults-{pid}"));
        let refused = |error| format!("memory cannot be limited by {}: {error}", group.display());
        std::fs::create_dir(&group).map_err(refused)?;
        let limit = Self { group: group.clone(), is_second_version, pid, name, mebibytes };
        let maximum = if is_second_version { "memory.max" } else { "memory.limit_in_bytes" };
        limit
            .write(maximum, mebibytes << 20)
            .and_then(|()| limit.write("cgroup.procs", pid.into()))
            .map_err(refused)?;
        Ok(limit)
    }

    /// The file must be there: the groups of a kernel that cannot limit memory have none.
    fn write(&self, file: &str, what: u64) -> std::io::Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::File::options().write(true).open(self.group.join(file))?;
        file.write_all(what.to_string().as_bytes())
    }

    /// What it was, and what became of it.
    pub(crate) fn check(&self) -> Result<String, String> {
        let (name, events) = (self.name, if self.is_second_version { "memory.events" } else { "memory.oom_control" });
        let events = std::fs::read_to_string(self.group.join(events)).unwrap();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap();
        if killed != "0" {
            return Err(format!("{name} was killed for having more than {} MiB", self.mebibytes));
        }
        let most = harness::system::peak_memory_kib(self.pid) >> 10;
        Ok(format!("{name} had {most} of {} MiB at most", self.mebibytes))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // A group goes when nobody is in it: whoever still lives goes back to where everybody is.
        let all = self.group.parent().unwrap().join("cgroup.procs");
        let _ = std::fs::write(all, self.pid.to_string());
        if let Err(error) = std::fs::remove_dir(&self.group) {
            eprintln!("{} is left behind: {error}", self.group.display());
        }
    }
}
