//! The system calls of a process, as `strace` tells them, and what a disk would hold had the machine lost its power at any of
//! them: only what a finished `fsync` or `fdatasync` covers.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// What is asked of `strace`.
pub(crate) const CALLS: &str =
    "trace=lseek,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,rename";
/// Longer than any buffer that the relay writes.
const LONGEST: &str = "4194304";

/// Why this machine does not let us.
pub(crate) fn refusal() -> Option<String> {
    let tried = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("strace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("strace: {error}")),
    }
}

/// The program under `strace`, which writes to `file`.
pub(crate) fn traced(file: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-xx", "-s", LONGEST, "-e", CALLS, "-o"]).arg(file);
    command
}

/// Files as they are, and as they would be after a loss of power.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: HashMap<String, File>,
    /// Calls that have begun in a thread and not ended.
    begun: HashMap<String, Begun>,
    places: HashMap<(String, String), usize>,
    /// Calls that make safe, counted as they begin.
    flushes: usize,
}

#[derive(Debug, Default)]
struct File {
    written: Vec<u8>,
    safe: Vec<u8>,
    /// Which flush made it safe: one that began before it and ends after it says nothing new.
    made_safe_by: usize,
}

#[derive(Debug)]
struct Begun {
    text: String,
    /// For those that make safe: what they make safe.
    snapshot: Option<Snapshot>,
}

/// What a flush covers, and which one it is.
type Snapshot = (usize, Vec<u8>);

impl Disk {
    /// What is safe of the file whose path ends so.
    pub(crate) fn safe(&self, end: &str) -> Option<&[u8]> {
        let (_, file) = self.files.iter().find(|(path, _)| path.ends_with(end))?;
        Some(&file.safe)
    }

    /// One line of the trace. Gives what begins to go out over a socket by it.
    pub(crate) fn read(&mut self, line: &str) -> Option<Vec<u8>> {
        let (thread, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let begun = self.begun.remove(thread)?;
            let (_, end) = resumed.split_once(" resumed>")?;
            self.ends(thread, &format!("{}{end}", begun.text), begun.snapshot);
            return None;
        }
        let snapshot = self.snapshot(rest);
        let sent = sent(rest);
        if let Some(text) = rest.strip_suffix("<unfinished ...>") {
            self.begun.insert(thread.to_owned(), Begun { text: text.to_owned(), snapshot });
        } else {
            self.ends(thread, rest, snapshot);
        }
        sent
    }

    /// Only what was written before such a call began is sure to be covered by it.
    fn snapshot(&mut self, call: &str) -> Option<Snapshot> {
        let is_one = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        let path = path(call).filter(|_| is_one)?;
        self.flushes += 1;
        Some((self.flushes, self.files.get(&path).map(|file| file.written.clone()).unwrap_or_default()))
    }

    fn ends(&mut self, thread: &str, call: &str, snapshot: Option<Snapshot>) {
        let Some((name, _)) = call.split_once('(') else { return };
        let Some(result) = call.rsplit_once(" = ").and_then(|(_, it)| it.split(' ').next()?.parse::<usize>().ok())
        else {
            return;
        };
        let Some(path) = path(call).filter(|path| path.starts_with('/')) else { return };
        match name {
            "lseek" => {
                self.places.insert((thread.to_owned(), path), result);
            }
            "pwrite64" => {
                let place = call.rsplit_once(')').and_then(|(it, _)| it.rsplit_once(", ")?.1.trim().parse().ok());
                self.write(path, place.expect("a place to write to"), &buffers(call)[..result]);
            }
            "write" => {
                let place = self.places.get(&(thread.to_owned(), path.clone())).copied().unwrap_or(0);
                self.places.insert((thread.to_owned(), path.clone()), place + result);
                self.write(path, place, &buffers(call)[..result]);
            }
            "ftruncate" => {
                let length = call.rsplit_once(')').and_then(|(it, _)| it.rsplit_once(", ")?.1.trim().parse().ok());
                self.files.entry(path).or_default().written.resize(length.expect("a length"), 0);
            }
            "fsync" | "fdatasync" => {
                let file = self.files.entry(path).or_default();
                if let Some((flush, snapshot)) = snapshot.filter(|(flush, _)| *flush > file.made_safe_by) {
                    (file.made_safe_by, file.safe) = (flush, snapshot);
                }
            }
            _ => {}
        }
    }

    fn write(&mut self, path: String, place: usize, bytes: &[u8]) {
        let written = &mut self.files.entry(path).or_default().written;
        if written.len() < place + bytes.len() {
            written.resize(place + bytes.len(), 0);
        }
        written[place..place + bytes.len()].copy_from_slice(bytes);
    }
}

/// What stands between `<` and `>` behind the descriptor.
fn path(call: &str) -> Option<String> {
    let (_, rest) = call.split_once('(')?;
    let (descriptor, rest) = rest.split_once('<')?;
    descriptor.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some(String::from_utf8_lossy(&decoded(rest.split_once('>')?.0)).into_owned())
}

/// What a call writes to a socket.
fn sent(call: &str) -> Option<Vec<u8>> {
    let name = call.split_once('(')?.0;
    let is_one = ["write", "writev", "sendto", "sendmsg"].contains(&name);
    path(call).filter(|path| is_one && path.starts_with("socket:"))?;
    Some(buffers(call))
}

/// All quoted texts of a call, one behind the other.
fn buffers(call: &str) -> Vec<u8> {
    call.split('"').skip(1).step_by(2).flat_map(decoded).collect()
}

/// Each letter is written `\xHH`.
fn decoded(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap()).collect()
}
