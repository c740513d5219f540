//! What Linux knows about a process.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

/// Memory of its own, without files that are mapped, in KiB.
#[must_use]
pub fn memory_kib(pid: u32) -> u64 {
    kib(pid, "RssAnon:")
}

/// The most memory that it ever had since [`forget_peak`], with files that are mapped, in KiB.
#[must_use]
pub fn peak_memory_kib(pid: u32) -> u64 {
    kib(pid, "VmHWM:")
}

/// The peak is what it has now.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

fn kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Processor time used so far, in all threads.
#[must_use]
pub fn processor_time(pid: u32) -> Duration {
    ticks(pid, 11)
}

/// How many files and sockets it has open.
#[must_use]
pub fn descriptors(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// Lets a running process have so many files and sockets open and no more.
pub fn allow_descriptors(pid: u32, count: u64) {
    let pid = Pid::from_raw(pid.try_into().unwrap());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::prlimit(pid, Resource::Nofile, Rlimit { current: Some(count), maximum }).unwrap();
}

/// Lets this process itself have as many as it may. Gives how many that is.
#[must_use]
pub fn raise_descriptors() -> u64 {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
}

/// Whether `near_end` is the local address of a TCP connection of the process.
#[must_use]
pub fn owns_connection(pid: u32, near_end: SocketAddr) -> bool {
    let sockets: Vec<String> = inodes_of(near_end).into_iter().map(|inode| format!("socket:[{inode}]")).collect();
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        std::fs::read_link(descriptor.path())
            .is_ok_and(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    })
}

/// `/proc/net/tcp` writes addresses as the bytes of the machine, in hexadecimal. Connections to different far ends may
/// share a port, so there may be several.
fn inodes_of(near_end: SocketAddr) -> Vec<String> {
    let SocketAddr::V4(address) = near_end else { return Vec::new() };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let rows = table.lines().filter(|row| row.split_whitespace().nth(1) == Some(&local));
    rows.filter_map(|row| row.split_whitespace().nth(9).map(str::to_owned)).collect()
}

/// Processor time of its children that have ended.
#[must_use]
pub fn processor_time_of_the_dead(pid: u32) -> Duration {
    ticks(pid, 13)
}

/// Two fields of `/proc/PID/stat` together, counted behind the name, in the clock's ticks of 10 ms.
fn ticks(pid: u32, first: usize) -> Duration {
    // It may have ended in this moment: then its parent has its time.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, after_name)) = stat.rsplit_once(')') else { return Duration::ZERO };
    let ticks = after_name.split_whitespace().skip(first).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// The processes that it started and that still run.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Bytes that it had written to disks.
#[must_use]
pub fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}
