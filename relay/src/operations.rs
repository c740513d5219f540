//! The operators' listener: is the process alive, is it ready, and its numbers. Never reachable by tenants.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Says why the process is not ready, if it is not.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// A scraper sends its headers at once.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors): a pause instead of a busy loop.
const BREATH: Duration = Duration::from_millis(100);
/// So often what histograms hold back is folded in.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts counting. Called once a process, before anything counts.
///
/// # Panics
/// When something counts already.
#[must_use]
pub fn count() -> PrometheusHandle {
    PrometheusBuilder::new().install_recorder().expect("numbers are counted once a process")
}

/// Serves `/livez`, `/readyz` and `/metrics` until `stop`.
pub async fn serve(listener: TcpListener, ready: Ready, numbers: PrometheusHandle, stop: CancellationToken) {
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
        "/readyz" => match ready().await {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        },
        "/metrics" => (StatusCode::OK, numbers.render()),
        _ => (StatusCode::NOT_FOUND, "there is /livez, /readyz and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}
