//! Where the processes tell of what they did.

use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;
use tokio::sync::mpsc;

use super::exporter::{self, Exporting, QUEUE};
use super::settings::TraceSettings;
use super::{Sampling, Trace};
use crate::egress::Operator;
use crate::numbers;
use crate::process::{BadSetting, bad_setting};

/// One thing that was done, when, and what it came to. It holds ids and names: no body, no header of anybody, no address
/// with a secret in it.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// None: the trace begins with it.
    pub parent: Option<u64>,
    pub kind: Kind,
    pub name: &'static str,
    /// Milliseconds since 1970.
    pub began_at: i64,
    pub took: Duration,
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it came to nothing, if it did.
    pub error: Option<String>,
}

/// Whether somebody asked us, or we asked somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server,
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
}

/// Tells the operator's collector, if there is one. Cheap to clone; it never waits, and what is too much is dropped and
/// counted.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    sampling: Sampling,
    queue: mpsc::Sender<Span>,
    dropped: Counter,
}

impl Tracer {
    /// Starts telling in the name of this program, if the settings say to whom. The other half is to be ended last.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn start(settings: &TraceSettings, program: &'static str) -> Result<(Self, Exporting), BadSetting> {
        let Some(endpoint) = &settings.endpoint else { return Ok((Self::default(), Exporting::default())) };
        let headers = settings.headers()?;
        let operator = Operator::new().map_err(|error| bad_setting("HOOKYARD_OTLP_ENDPOINT", error))?;
        let [queue_full, refused] = numbers::counters(
            "hookyard_spans_dropped_total",
            "Spans that the collector did not get, by the reason",
            "reason",
            ["queue_full", "refused"],
        );
        let (queue, waiting) = mpsc::channel(QUEUE);
        let exporting = exporter::start(program, endpoint, headers, operator, (waiting, refused));
        let inner = Inner { sampling: Sampling::of(settings.ratio), queue, dropped: queue_full };
        Ok((Self(Some(Arc::new(inner))), exporting))
    }

    /// Which traces it tells of.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.0.as_ref().map_or(Sampling::Off, |inner| inner.sampling)
    }

    /// Whether it tells of anything at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of a span, if it tells of its trace. It is made only then.
    pub fn tell(&self, trace: &Trace, span: impl FnOnce() -> Span) {
        if let Some(inner) = self.0.as_ref().filter(|inner| inner.sampling.tells(trace))
            && inner.queue.try_send(span()).is_err()
        {
            inner.dropped.increment(1);
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}
