//! How a process of ours starts and stops.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use rustix::process::Resource;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two moments of an end.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// SIGTERM or Ctrl-C came: no new work.
    pub now: CancellationToken,
    /// The work has ended: what serves it may go as well.
    pub end: CancellationToken,
}

/// A setting that cannot be used stops the start and names itself.
#[derive(Debug)]
pub struct BadSetting {
    name: &'static str,
    cause: Box<dyn Error + Send + Sync>,
    is_malformed: bool,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} cannot be used", self.name)
    }
}

impl Error for BadSetting {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// Names the setting behind an error.
pub fn bad_setting(name: &'static str, cause: impl Error + Send + Sync + 'static) -> BadSetting {
    BadSetting { name, cause: Box::new(cause), is_malformed: false }
}

/// The same of what is no such thing, so that another try is of no use.
pub fn malformed_setting(name: &'static str, cause: impl Error + Send + Sync + 'static) -> BadSetting {
    BadSetting { is_malformed: true, ..bad_setting(name, cause) }
}

/// How many files and sockets this process may have open: as many as the system lets it, which is more than it gives
/// at the start.
#[must_use]
pub fn descriptors() -> usize {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, what we have is what there is.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    let allowed = rustix::process::getrlimit(Resource::Nofile).current;
    allowed.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Cancels `now` at the first SIGTERM or Ctrl-C. A second one ends the process at once.
pub fn stop_on_signals() -> std::io::Result<Stopped> {
    let stopped = Stopped { now: CancellationToken::new(), end: CancellationToken::new() };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let now = stopped.now.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if now.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping: what is in flight ends first");
            now.cancel();
        }
    });
    Ok(stopped)
}

/// Runs what a process cannot do without. Should it panic, the process ends with it: whoever starts it again has all of it
/// rebuilt from the database, while a process that goes on without one of its parts only seems to be well.
pub async fn vital<Work: Future>(work: Work) -> Work::Output {
    let _end = EndWithPanic;
    work.await
}

struct EndWithPanic;

impl Drop for EndWithPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The hook has said what happened, and where.
            std::process::abort();
        }
    }
}

/// Says something to whoever started the process. Nobody has to hear it: a disk that is full ends no relay.
pub fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

/// As clap ends where it cannot read a setting: whoever starts processes again need not start this one.
const MALFORMED: u8 = 2;

/// Says an error with its causes; success says nothing.
#[must_use]
pub fn exit_code(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    crate::telemetry::lament(error.as_ref());
    let is_malformed = error.downcast_ref::<BadSetting>().is_some_and(|setting| setting.is_malformed);
    if is_malformed { ExitCode::from(MALFORMED) } else { ExitCode::FAILURE }
}
