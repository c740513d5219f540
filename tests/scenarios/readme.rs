//! The README's story by hand, run as it is printed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::bash::Bash;
use harness::port::Port;
use harness::program::{Program, Settings};
use harness::{Database, on_sqlite, page};

on_sqlite![the_story_by_hand_ends_with_a_delivery];

async fn the_story_by_hand_ends_with_a_delivery(database: Database) {
    let (directory, ports) = (database.directory(), [Port::reserve(), Port::reserve(), Port::reserve()]);
    // The README's blocks of bash are the story and nothing else.
    let [blocks @ .., deliveries] = &page::blocks("README.md", "bash")[..] else { panic!("the README has no story") };
    assert!(blocks.len() >= 8 && deliveries.contains("/deliveries?"), "{deliveries}");
    // Whoever reads looks again by hand if the worker was not as fast as the reader.
    let look = format!("until {deliveries}\n[[ $answer == *'\"state\":\"delivered\"'* ]]; do sleep 0.1; done");
    let script = with_ports([blocks.join("\n"), look, "echo; echo THE END".to_owned()].join("\n"), &ports);
    stand_in_for_cargo(&directory);

    let (ended, said) = Bash::start(&script, &listening(&ports), &directory).ended().await;

    assert!(ended.success() && said.ends_with("THE END\n"), "{said}");
    for printed in ["\"event_id\":\"evt_", "webhook-signature: v1,", "\"Type\": \"Form.Created\""] {
        assert!(said.contains(printed), "no {printed} in what was said:\n{said}");
    }
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

fn listening([api, operations, _]: &[Port; 3]) -> Settings {
    Settings::from([
        ("HOOKYARD_LISTEN", api.address().to_string()),
        ("HOOKYARD_OPS_LISTEN", operations.address().to_string()),
    ])
}
