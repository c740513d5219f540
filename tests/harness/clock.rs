//! The clock that every process of a test follows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Real time plus an offset that only grows; the processes read it whenever they ask for the time, each millisecond at most.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    offset_ms: AtomicI64,
}

impl Clock {
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::with_offset(directory, 0)
    }

    /// Begins at another time than ours, in milliseconds since 1970; up to a century ago.
    #[must_use]
    pub fn beginning_at(directory: &Path, time_ms: i64) -> Self {
        Self::with_offset(directory, time_ms - wall_ms())
    }

    fn with_offset(directory: &Path, offset_ms: i64) -> Self {
        let clock = Self { file: directory.join("clock"), offset_ms: AtomicI64::new(offset_ms) };
        clock.publish(offset_ms);
        clock
    }

    /// What the processes are told as `HOOKYARD_TEST_CLOCK`.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Lets time pass, for all processes at once.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.publish(self.offset_ms.fetch_add(by, Ordering::SeqCst) + by);
    }

    /// Lets time pass until then (milliseconds since 1970), unless it has.
    pub fn advance_to(&self, time_ms: i64) {
        if let Ok(ahead) = u64::try_from(time_ms - self.now_ms()) {
            self.advance(Duration::from_millis(ahead));
        }
    }

    /// The present of the processes, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        wall_ms() + self.offset_ms.load(Ordering::SeqCst)
    }

    /// By renaming, so that no reader sees half a number.
    fn publish(&self, offset_ms: i64) {
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, offset_ms.to_string()).unwrap();
        std::fs::rename(&draft, &self.file).unwrap();
    }
}

fn wall_ms() -> i64 {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(wall.as_millis()).unwrap()
}
