//! The operators' listener: is the process alive, is it ready, and its numbers. Never reachable by tenants.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod machine;
mod ready;

pub use ready::Ready;

/// A scraper sends its headers at once.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors): a pause instead of a busy loop.
const BREATH: Duration = Duration::from_millis(100);
/// So often what histograms hold back is folded in.
const UPKEEP: Duration = Duration::from_secs(5);
/// The version is that of Prometheus's format, which the other answers do not mind.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How finely times are told apart, by their whole name or its end: requests and statements take milliseconds, and an
/// attempt 30 s at most; a delivery may take days.
const DELIVERY: &str = "hookyard_delivery_seconds";
const DELIVERY_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0,
];
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// No batch has more than 256 rows.
const ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Starts counting. Called once a process, before anything counts.
///
/// # Panics
/// When something counts already.
#[must_use]
pub fn count() -> PrometheusHandle {
    let buckets = [
        (Matcher::Full(DELIVERY.to_owned()), DELIVERY_SECONDS),
        (Matcher::Suffix("_seconds".to_owned()), SECONDS),
        (Matcher::Suffix("_rows".to_owned()), ROWS),
    ];
    let builder = buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (names, bounds)| {
        builder.set_buckets_for_metric(names, bounds).expect("there are bounds")
    });
    let numbers = builder.install_recorder().expect("numbers are counted once a process");
    metrics::describe_gauge!("hookyard_build_info", Unit::Count, "Always 1; the version is its label");
    metrics::gauge!("hookyard_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    numbers
}

/// Serves `/livez`, `/readyz` and `/metrics` until `stop`.
pub async fn serve(listener: TcpListener, ready: Ready, numbers: PrometheusHandle, stop: CancellationToken) {
    tokio::spawn(ready::watch(Arc::clone(&ready), stop.clone()));
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            _ = upkeep.tick() => {
                numbers.run_upkeep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tracing::warn!("a connection to the operations listener was not accepted");
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (ready, numbers, stop) = (Arc::clone(&ready), numbers.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&ready), numbers.clone()));
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    ready: Ready,
    numbers: PrometheusHandle,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/livez" => (StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => match ready::ask(&ready).await {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        },
        "/metrics" => (StatusCode::OK, numbers.render() + &machine::render()),
        _ => (StatusCode::NOT_FOUND, "there is /livez, /readyz and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(TEXT));
    Ok(response)
}
