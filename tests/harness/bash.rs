//! One bash that runs what a reader would paste into it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::program::Settings;
use crate::wait::{PATIENCE, within};

/// Bash and all that its script leaves running; they end with the scenario, however it ends.
#[derive(Debug)]
pub struct Bash {
    child: Child,
    said: PathBuf,
}

impl Bash {
    /// Runs a script with these settings, and no others but where the machine keeps its programs. Those in `directory` come
    /// before the machine's; what is said goes into one file there. What the script starts stays in its group.
    #[must_use]
    pub fn start(script: &str, settings: &Settings, directory: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the machine keeps its programs is no setting")]
        let path = std::env::var("PATH").unwrap();
        let said = directory.join("said");
        let file = std::fs::File::options().create(true).append(true).open(&said).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(directory).process_group(0);
        command.env_clear().env("PATH", format!("{}:{path}", directory.display())).envs(settings);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), said }
    }

    /// Waits for the script's end, and gives all that was said.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let ended = within(PATIENCE * 3, "the end of a script", async || self.child.try_wait().unwrap());
        (ended.await, self.said())
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.said).unwrap()).into_owned()
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- bash\n{}", self.said());
        }
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
