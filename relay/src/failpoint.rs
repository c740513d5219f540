//! Places where the fault suite makes a process die or panic, or is told what it was about to do. Compiled to nothing but with the feature
//! `test-support`.

/// Where the process is now, and with what. Nothing happens here, ever.
#[cfg(not(feature = "test-support"))]
#[inline]
pub fn reach(_place: &str, _with: &impl std::fmt::Display) {}

/// What the process is about to do. Nothing happens here, ever.
#[cfg(not(feature = "test-support"))]
#[inline]
pub fn note(_place: &str, _what: &impl std::fmt::Display) {}

/// What the process is about to do: one more line, behind its own number, in the file `PLACE.log`, if there is one beside those that
/// [`reach`] looks for. So it is known of one that was stopped.
#[cfg(feature = "test-support")]
pub fn note(place: &str, what: &impl std::fmt::Display) {
    use std::io::Write as _;

    let Some(directory) = directory() else { return };
    let file = std::fs::OpenOptions::new().append(true).open(directory.join(format!("{place}.log")));
    if let Ok(mut file) = file {
        // As a whole, or several would write into each other's lines.
        let _ = file.write_all(format!("{} {what}\n", std::process::id()).as_bytes());
    }
}

#[cfg(feature = "test-support")]
fn directory() -> Option<&'static std::path::Path> {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    #[expect(clippy::disallowed_methods, reason = "a variable of the harness, not a setting")]
    static DIRECTORY: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("HOOKYARD_TEST_FAILPOINTS").map(PathBuf::from));

    DIRECTORY.as_deref()
}

/// Where the process is now, and with what. If there is a file `PLACE` in the directory `HOOKYARD_TEST_FAILPOINTS`, what it
/// says happens once; if there is a file `PLACE.WITH`, what it says happens every time.
///
/// # Panics
/// If a file says `panic`.
#[cfg(feature = "test-support")]
pub fn reach(place: &str, with: &impl std::fmt::Display) {
    let Some(directory) = directory() else { return };
    let (once, always) = (directory.join(place), directory.join(format!("{place}.{with}")));
    let said = std::fs::read_to_string(always).or_else(|_| {
        let said = std::fs::read_to_string(&once)?;
        // Of several that read it one removes it, and that one it was meant for.
        std::fs::remove_file(&once).map(|()| said)
    });
    match said.as_deref().map(str::trim) {
        Ok("kill") => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // Not a step further than here.
            loop {
                std::thread::park();
            }
        }
        Ok("panic") => panic!("the failpoint {place} with {with}"),
        _ => {}
    }
}
