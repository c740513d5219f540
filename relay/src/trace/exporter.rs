//! Takes spans to the collector, many at a time, beside everything else: whatever the collector does, nobody waits for it.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use metrics::Counter;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::otlp::{self, Teller};
use super::tracer::Span;
use crate::egress::Operator;
use crate::numbers;

/// Spans that wait; each is about half a kilobyte. What comes while they are so many is dropped.
pub(super) const QUEUE: usize = 8_192;
/// Spans in one request, and how long the first of them waits for others.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_secs(1);
/// A collector that takes longer does not take it.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two tries, while the collector is away; longer each time, up to the longest.
const BREATH: Duration = Duration::from_secs(1);
const LONGEST_BREATH: Duration = Duration::from_secs(30);
/// The end of the process waits for so long for what is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The half that takes spans away. Dropped, it goes on until the process ends.
#[derive(Debug, Default)]
pub struct Exporting(Option<(CancellationToken, JoinHandle<()>)>);

impl Exporting {
    /// Takes away what still waits, if the collector takes it soon.
    pub async fn end(self) {
        if let Some((stop, task)) = self.0 {
            stop.cancel();
            // It ends with the process in any case.
            let _ = timeout(LAST_WORDS, task).await;
        }
    }
}

pub(super) fn start(
    program: &'static str,
    endpoint: &Url,
    mut headers: HeaderMap,
    operator: Operator,
    (waiting, refused): (Receiver<Span>, Counter),
) -> Exporting {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    let instance = data_encoding::HEXLOWER.encode(&crate::random::bytes::<8>());
    let stop = CancellationToken::new();
    let exported = numbers::counter("hookyard_spans_exported_total", "Spans that the collector took");
    let teller = Teller { program, instance };
    let exporter = Exporter { waiting, url, headers, operator, teller, stop: stop.clone(), exported, refused };
    Exporting(Some((stop, tokio::spawn(exporter.run()))))
}

struct Exporter {
    waiting: Receiver<Span>,
    url: Url,
    headers: HeaderMap,
    operator: Operator,
    teller: Teller,
    stop: CancellationToken,
    exported: Counter,
    refused: Counter,
}

/// What became of a request to the collector.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// It may be tried again.
    NotNow(String),
    /// It never will be.
    No(String),
}

impl Exporter {
    async fn run(mut self) {
        let mut is_well = true;
        loop {
            let spans = self.gather().await;
            if spans.is_empty() {
                return;
            }
            self.take_away(spans, &mut is_well).await;
        }
    }

    /// Up to a batch of spans. None: nobody tells any more.
    async fn gather(&mut self) -> Vec<Span> {
        let mut spans = Vec::with_capacity(BATCH);
        let stop = self.stop.clone();
        if stop.run_until_cancelled(self.waiting.recv_many(&mut spans, BATCH)).await.is_none() {
            self.waiting.close();
            self.waiting.recv_many(&mut spans, BATCH).await;
            return spans;
        }
        let until = Instant::now() + GATHER;
        while spans.len() < BATCH && !stop.is_cancelled() {
            let left = BATCH - spans.len();
            let more = stop.run_until_cancelled(timeout_at(until, self.waiting.recv_many(&mut spans, left))).await;
            if !matches!(more, Some(Ok(1..))) {
                break;
            }
        }
        spans
    }

    /// Until the collector has them, or says that it never takes them. Meanwhile others wait, and beyond the queue they
    /// are dropped.
    async fn take_away(&self, spans: Vec<Span>, is_well: &mut bool) {
        let count = spans.len() as u64;
        let body = Bytes::from(otlp::request(&self.teller, spans));
        let mut breath = BREATH;
        loop {
            match self.post(&body).await {
                Taken::Yes => {
                    if !std::mem::replace(is_well, true) {
                        tracing::info!("the collector takes spans again");
                    }
                    return self.exported.increment(count);
                }
                Taken::No(why) => {
                    tell(&why, is_well);
                    return self.refused.increment(count);
                }
                Taken::NotNow(why) => tell(&why, is_well),
            }
            if self.stop.run_until_cancelled(sleep(breath)).await.is_none() {
                return self.refused.increment(count);
            }
            breath = (breath * 2).min(LONGEST_BREATH);
        }
    }

    async fn post(&self, body: &Bytes) -> Taken {
        let posted = self.operator.post(self.url.clone(), self.headers.clone(), body.clone(), WITHIN).await;
        judge(posted)
    }
}

/// As the standard of OTLP has it.
fn judge(posted: Result<u16, String>) -> Taken {
    match posted {
        Ok(200..=299) => Taken::Yes,
        Ok(status @ (429 | 502 | 503 | 504)) => Taken::NotNow(format!("it answered {status}")),
        Ok(status) => Taken::No(format!("it answered {status}")),
        Err(why) => Taken::NotNow(why),
    }
}

/// Once, until it is well again.
fn tell(why: &str, is_well: &mut bool) {
    if std::mem::replace(is_well, false) {
        tracing::warn!(why, "the collector in HOOKYARD_OTLP_ENDPOINT takes no spans");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, is_taken, is_over) in [
            (200, true, true),
            (202, true, true),
            (301, false, true),
            (400, false, true),
            (401, false, true),
            (413, false, true),
            (429, false, false),
            (500, false, true),
            (502, false, false),
            (503, false, false),
            (504, false, false),
        ] {
            let taken = judge(Ok(status));
            assert_eq!((taken == Taken::Yes, !matches!(taken, Taken::NotNow(_))), (is_taken, is_over), "{status}");
        }
        assert!(matches!(judge(Err("nobody listens".to_owned())), Taken::NotNow(_)));
    }
}
