//! The README's story by hand, run as it is printed.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::port::Port;
use harness::program::Program;
use harness::wait::PATIENCE;
use harness::{Database, on_sqlite, within};
use rustix::process::{Pid, Signal, kill_process_group};

on_sqlite![the_story_by_hand_ends_with_a_delivery];

async fn the_story_by_hand_ends_with_a_delivery(database: Database) {
    let (directory, ports) = (database.directory(), [Port::reserve(), Port::reserve(), Port::reserve()]);
    let [blocks @ .., deliveries] = &story()[..] else { panic!("the README has no story") };
    assert!(blocks.len() >= 8 && deliveries.contains("/deliveries?"), "{deliveries}");
    // Whoever reads looks again by hand if the worker was not as fast as the reader.
    let look = format!("until {deliveries}\n[[ $answer == *'\"state\":\"delivered\"'* ]]; do sleep 0.1; done");
    let script = with_ports([blocks.join("\n"), look, "echo; echo THE END".to_owned()].join("\n"), &ports);
    stand_in_for_cargo(&directory);
    let mut bash = Group(bash(&script, &directory, &ports));

    let said = directory.join("said");
    let ended = within(PATIENCE * 3, "the end of the story", async || bash.0.try_wait().unwrap()).await;

    let said = std::fs::read_to_string(said).unwrap();
    assert!(ended.success() && said.ends_with("THE END\n"), "{said}");
    for printed in ["\"event_id\":\"evt_", "webhook-signature: v1,", "\"Type\": \"Form.Created\""] {
        assert!(said.contains(printed), "no {printed} in what was said:\n{said}");
    }
}

/// The README's blocks of bash, which are the story and nothing else.
fn story() -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let blocks = readme.split("```bash\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The README's ports may be in use; ours are not.
fn with_ports(script: String, [api, operations, receiver]: &[Port; 3]) -> String {
    let printed = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9000"];
    let ours = [api, operations, receiver].map(|port| port.address().to_string());
    let script = printed.iter().zip(&ours).fold(script, |script, (printed, ours)| script.replace(printed, ours));
    script.replace("(\"127.0.0.1\", 9000)", &format!("(\"127.0.0.1\", {})", receiver.address().port()))
}

/// `cargo run --release` is the program that was built beside the suite.
fn stand_in_for_cargo(directory: &Path) {
    let file = directory.join("cargo");
    let program = Program::Hookyard.path();
    let script = format!("#!/bin/sh\n[ \"$*\" = 'run --release' ] || exit 64\nexec '{}'\n", program.display());
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Says everything into one file. What it starts stays in its group.
fn bash(script: &str, directory: &Path, [api, operations, _]: &[Port; 3]) -> Child {
    #[expect(clippy::disallowed_methods, reason = "where the machine keeps its programs is no setting")]
    let path = std::env::var("PATH").unwrap();
    let said = std::fs::File::options().create(true).append(true).open(directory.join("said")).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(directory).process_group(0);
    command.env_clear().env("PATH", format!("{}:{path}", directory.display()));
    command.env("HOOKYARD_LISTEN", api.address().to_string());
    command.env("HOOKYARD_OPS_LISTEN", operations.address().to_string());
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    command.spawn().unwrap()
}

/// Bash and all that the story leaves running; they end with the scenario, however it ends.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}
