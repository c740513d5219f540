//! One running program.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, Settings};
use crate::system;
use crate::wait::{PATIENCE, within};

/// A handle; all clones are one process, also after it was started again. It ends with the last of them.
#[derive(Debug, Clone)]
pub struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    settings: Settings,
    directory: PathBuf,
    name: String,
    life: Mutex<Life>,
}

/// One start of the program, with files of its own for what it says.
#[derive(Debug)]
struct Life {
    child: Child,
    number: usize,
    said: PathBuf,
    logged: PathBuf,
}

impl Process {
    #[must_use]
    pub fn spawn(program: Program, settings: Settings, directory: &Path, name: &str) -> Self {
        let life = live(program, &settings, directory, (name, 1));
        let (directory, name) = (directory.to_owned(), name.to_owned());
        Self(Arc::new(Inner { program, settings, directory, name, life: Mutex::new(life) }))
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        within(PATIENCE * 2, &format!("{} to be ready\n{}", self.0.name, self.log()), async || {
            assert!(!self.has_ended(), "{} ended instead of starting:\n{}", self.0.name, self.log());
            self.said().lines().any(|line| line == "ready").then_some(())
        })
        .await;
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.announced("listening on ")
    }

    /// The same, where it may be dead or still starting.
    #[must_use]
    pub fn listens(&self) -> Option<SocketAddr> {
        let said = self.said();
        let url = said.lines().find_map(|line| line.strip_prefix("listening on "))?;
        url.split_once("://")?.1.parse().ok()
    }

    /// Where it answers operators.
    #[must_use]
    pub fn operations(&self) -> SocketAddr {
        self.announced("operations on ")
    }

    fn announced(&self, words: &str) -> SocketAddr {
        let said = self.said();
        let url = said.lines().find_map(|line| line.strip_prefix(words));
        url.and_then(|url| url.split_once("://")?.1.parse().ok())
            .unwrap_or_else(|| panic!("{} announced no {words:?}:\n{said}", self.0.name))
    }

    /// All that it printed since its last start.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.life().said).unwrap()
    }

    /// All that it logged since its last start.
    #[must_use]
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.life().logged).unwrap_or_default()).into_owned()
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.logged();
        let lines: Vec<_> = log.lines().collect();
        format!("--- {}\n{}\n", self.0.name, lines[lines.len().saturating_sub(60)..].join("\n"))
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.life().child.id()
    }

    /// `kill -9`, and it is gone when this returns.
    pub fn kill(&self) {
        let mut life = self.life();
        life.child.kill().unwrap();
        life.child.wait().unwrap();
    }

    /// Asks it to end, as an operator's machine does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it stands.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for the end that it was asked for.
    pub async fn ended(&self) -> ExitStatus {
        within(PATIENCE * 2, &format!("the end of {}", self.0.name), async || self.life().child.try_wait().unwrap())
            .await
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.life().child.try_wait().unwrap().is_some()
    }

    /// Starts a dead one again, with the same settings and on the same files.
    pub async fn start_again(&self) {
        assert!(self.has_ended(), "{} still runs", self.0.name);
        {
            let inner = &*self.0;
            let mut life = self.life();
            *life = live(inner.program, &inner.settings, &inner.directory, (&inner.name, life.number + 1));
        }
        self.ready().await;
    }

    /// Whether a connection's near end belongs to this process.
    #[must_use]
    pub fn opened(&self, near_end: SocketAddr) -> bool {
        !self.has_ended() && system::owns_connection(self.pid(), near_end)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.life().child), signal).unwrap();
    }

    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.0.life.lock().unwrap()
    }
}

fn live(program: Program, settings: &Settings, directory: &Path, (name, number): (&str, usize)) -> Life {
    let (said, logged) =
        (directory.join(format!("{name}.{number}.out")), directory.join(format!("{name}.{number}.log")));
    let mut command = program.command(&[], settings, directory);
    command.stdout(File::create(&said).unwrap()).stderr(File::create(&logged).unwrap());
    Life { child: command.spawn().unwrap(), number, said, logged }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
