//! A PostgreSQL server that can be stopped, killed and followed: the one that `tests/postgres` made for this run, or one more.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{port::Port, system};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Server {
    data: PathBuf,
    /// Ends with this, if it was made for one experiment.
    is_own: bool,
}

impl Server {
    /// Where everybody's databases are.
    pub(crate) fn of_the_run() -> Self {
        let directory = std::env::var("HOOKYARD_TEST_POSTGRES_DIRECTORY").expect("tests/postgres sets it");
        Self { data: Path::new(&directory).join("data"), is_own: false }
    }

    /// A new one below this directory, which everybody may enter. Gives its host and port as well.
    pub(crate) fn create(directory: &Path) -> (Self, String) {
        let data = directory.join("data");
        give_to_server(directory);
        let arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        run(as_server("initdb").arg("--pgdata").arg(&data).args(arguments));
        let server = Self { data, is_own: true };
        let place = server.start_on_a_port(directory);
        (server, place)
    }

    /// A second one that holds whatever this one, at `place`, has committed. Gives its host and port as well.
    pub(crate) fn standby(place: &str, directory: &Path) -> (Self, String) {
        let data = directory.join("data");
        give_to_server(directory);
        let (host, port) = place.split_once(':').unwrap();
        let mut copy = as_server("pg_basebackup");
        copy.arg("--pgdata").arg(&data).args(["--host", host, "--port", port, "--username=postgres"]);
        run(copy.args(["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"]));
        let server = Self { data, is_own: true };
        let place = server.start_on_a_port(directory);
        (server, place)
    }

    fn start_on_a_port(&self, directory: &Path) -> String {
        let address = Port::reserve().address();
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=100 -c jit=off -c shared_buffers=32MB -c fsync=off \
             -c min_wal_size=32MB -c max_wal_size=64MB",
            address.port(),
            directory.display()
        );
        run(as_server("pg_ctl")
            .args(["--silent", "--wait", "--timeout=60", "--pgdata"])
            .arg(&self.data)
            .arg("--log")
            .arg(self.data.with_extension("log"))
            .arg("--options")
            .arg(options)
            .arg("start"));
        address.to_string()
    }

    /// As an operator would: connections break, and what was acknowledged is on disk.
    pub(crate) fn stop(&self) {
        run(self.control().args(["--mode=fast", "stop"]));
    }

    /// `kill -9` for all of its processes at once.
    pub(crate) fn kill(&self) {
        let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let postmaster: u32 = file.lines().next().unwrap().trim().parse().unwrap();
        let signal = |pid: u32, signal| {
            let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal);
        };
        // While it stands still nobody new comes; whoever was missed would keep the next server from starting.
        signal(postmaster, Signal::STOP);
        let all: Vec<u32> = [postmaster].into_iter().chain(system::children(postmaster)).collect();
        all.iter().for_each(|pid| signal(*pid, Signal::KILL));
        while all.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists() && !is_a_zombie(*pid)) {
            std::thread::yield_now();
        }
    }

    /// Starts a stopped or dead one again, with the options it had.
    pub(crate) fn start(&self) {
        let options = std::fs::read_to_string(self.data.join("postmaster.opts")).unwrap();
        // What it was started with: each in double quotes, the program and its directory first.
        let options: Vec<_> = options.split('"').skip(1).step_by(2).skip(2).collect();
        // It is known that nobody is there, though the number of a process whose parent does not care is in use for ever.
        let _ = std::fs::remove_file(self.data.join("postmaster.pid"));
        let of = |flag: &str| options.iter().skip_while(|it| **it != flag).nth(1).expect("we gave it");
        let _ = std::fs::remove_file(Path::new(of("-k")).join(format!(".s.PGSQL.{}.lock", of("-p"))));
        let options: Vec<_> = options.iter().map(|it| format!("'{it}'")).collect();
        let mut start = self.control();
        start.arg("--log").arg(self.data.with_extension("log")).arg("--options").arg(options.join(" "));
        run(start.arg("start"));
    }

    pub(crate) fn is_running(&self) -> bool {
        self.control().arg("status").output().unwrap().status.success()
    }

    /// A standby becomes the one that is written to.
    pub(crate) fn promote(&self) {
        run(self.control().arg("promote"));
    }

    fn control(&self) -> Command {
        let mut command = as_server("pg_ctl");
        command.args(["--silent", "--wait", "--timeout=60", "--pgdata"]).arg(&self.data);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_own {
            let _ = self.control().args(["--mode=immediate", "stop"]).output();
        }
    }
}

/// A copy of one database, in one file.
pub(crate) fn dump(url: &str, file: &Path) {
    run(Command::new(programs().join("pg_dump")).arg("--format=custom").arg("--file").arg(file).arg(url));
}

/// Into another, which is empty.
pub(crate) fn restore(file: &Path, url: &str) {
    let arguments = ["--exit-on-error", "--no-owner", "--dbname", url];
    run(Command::new(programs().join("pg_restore")).args(arguments).arg(file));
}

fn is_a_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The newest that Debian's packages left.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's postgresql is installed").flatten();
    let newest = versions.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok()).max().unwrap();
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The server refuses to run as root.
fn as_server(program: &str) -> Command {
    let program = programs().join(program);
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn give_to_server(directory: &Path) {
    if is_root() {
        run(Command::new("chown").arg("postgres").arg(directory));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    // What it starts keeps what it inherits: a pipe would never end.
    let said = tempfile::NamedTempFile::new().unwrap();
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(said.reopen().unwrap())
        .stderr(said.reopen().unwrap())
        .status();
    let said = std::fs::read_to_string(said.path()).unwrap();
    assert!(status.unwrap().success(), "{command:?}\n{said}");
}
