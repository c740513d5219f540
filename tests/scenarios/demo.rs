//! `hookyard demo`, as somebody runs it who has read nothing.

use harness::program::{Program, Settings, words};
use harness::{Database, on_sqlite};

on_sqlite![the_demo_is_as_it_should_be_and_leaves_nothing_behind];

async fn the_demo_is_as_it_should_be_and_leaves_nothing_behind(database: Database) {
    let directory = database.directory();
    let (temporary, started_in) = (directory.join("temporary"), directory.join("started-in"));
    for place in [&temporary, &started_in] {
        std::fs::create_dir(place).unwrap();
    }
    let settings = Settings::from([("TMPDIR", temporary.display().to_string())]);

    let output = Program::Hookyard.run(&["demo"], &settings, &started_in).await;

    let said = words(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("31 of 31 deliveries were delivered"), "{said}");
    assert!(!output.stdout.contains(&0x1b), "control characters without a terminal: {said}");
    for place in [&temporary, &started_in] {
        assert_eq!(std::fs::read_dir(place).unwrap().count(), 0, "{} is not empty", place.display());
    }
}
