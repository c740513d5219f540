//! The admin API as one endpoint. Everything that leaves it has a request id, and every refusal is a problem, whoever
//! refused.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use metrics::Counter;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Route};
use relay::numbers;
use tracing::Instrument as _;

mod query;

use crate::app::App;
use crate::auth::{Doorkeeper, Identity};
use crate::document::docs;
use crate::error::{Error, respond};
use crate::input::MAX_BODY;
use crate::last_used::LastUsed;
use crate::limiter::{Count, Limiter};
use crate::request::Facts;
use crate::resources;

/// Serves `/v1/…`, `/openapi.json` and `/docs`; what is none of them is a 404 problem. The server runs
/// [`LastUsed::keep`] beside it.
pub fn admin(app: &App, uses: &LastUsed) -> impl Endpoint<Output = Response> + use<> {
    let routes = Route::new()
        .nest("/v1", resources::service())
        .at("/openapi.json", poem::get(docs::openapi))
        .at("/docs", poem::get(docs::docs))
        .at("/", poem::get(docs::home));
    let answered = numbers::counters(
        "hookyard_api_requests_total",
        "Requests to the admin API, by the class of the answer's status",
        "status",
        ["2xx", "3xx", "4xx", "5xx"],
    );
    Admin { app: app.clone(), uses: uses.clone(), limiter: Limiter::default(), routes, answered }
}

/// A body must be there so soon.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Everything after the body: 503 within 2 s is promised when the database is away.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_800);

struct Admin {
    app: App,
    uses: LastUsed,
    limiter: Limiter,
    routes: Route,
    /// By the status's first digit, from 2 on.
    answered: [Counter; 4],
}

impl Endpoint for Admin {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let facts = Arc::new(Facts::of(&request, self.app.clock.now()));
        // At this level, so that no filter takes the id from the lines that it lets through.
        let span = tracing::error_span!("request", request_id = facts.request_id);
        let response = self.answer(request, facts).instrument(span).await;
        self.count(response.status());
        Ok(response)
    }
}

impl Admin {
    async fn answer(&self, mut request: Request, facts: Arc<Facts>) -> Response {
        let identity = self.identify(&request, &facts).await;
        let count = identity.caller().ok().map(|caller| self.limiter.count(&caller, self.app.clock.boot()));
        let result = match count.as_ref().and_then(Count::refusal) {
            Some(refusal) => Err(refusal),
            None => query::check(&request, &identity),
        };
        request.set_data(Arc::clone(&facts));
        let result = match result {
            Ok(()) => self.handle(request, identity).await,
            Err(error) => Err(error.into()),
        };
        let mut response = result.unwrap_or_else(|error| respond(error, &facts));
        let headers = response.headers_mut();
        headers.extend(count.iter().flat_map(Count::headers));
        finish(headers, &facts);
        response
    }

    /// Nobody needs to be anybody to read the documentation.
    async fn identify(&self, request: &Request, facts: &Arc<Facts>) -> Identity {
        if !request.uri().path().starts_with("/v1/") {
            return Identity::Stranger;
        }
        let Self { app, uses, limiter, .. } = self;
        let doorkeeper = Doorkeeper { app, uses, limiter };
        let identified = tokio::time::timeout(ANSWER_WITHIN, doorkeeper.identify(request, facts));
        identified.await.unwrap_or_else(|_| Identity::late())
    }

    async fn handle(&self, mut request: Request, identity: Identity) -> poem::Result<Response> {
        // Nobody else's body is worth the memory: the handler refuses without looking at it.
        if identity.is_known() {
            gather(&mut request).await?;
        }
        request.set_data(self.app.clone());
        request.set_data(identity);
        self.route(request).await
    }

    fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        class.checked_sub(2).and_then(|place| self.answered.get(place)).into_iter().for_each(|it| it.increment(1));
    }

    /// Whatever the database does, the caller hears something in time.
    async fn route(&self, request: Request) -> poem::Result<Response> {
        let caught = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        match tokio::time::timeout(ANSWER_WITHIN, caught).await {
            Ok(Ok(result)) => result,
            // The panic itself has been reported, with its place, by the hook.
            Ok(Err(_)) => Err(Error::Fault("a handler panicked".into()).into()),
            Err(_) => Err(Error::Unavailable("there was no answer in time".into()).into()),
        }
    }
}

/// Waits for the whole body, so that a slow sender does not use up the time for the answer.
async fn gather(request: &mut Request) -> Result<(), Error> {
    let has_body = [Method::POST, Method::PATCH, Method::PUT].contains(request.method());
    if !has_body {
        return Ok(());
    }
    let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    let whole = tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await;
    match whole.map_err(|_| Error::Other(StatusCode::REQUEST_TIMEOUT))? {
        Ok(whole) => request.set_body(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge(MAX_BODY)),
        Err(_) => return Err(Error::NotJson("it ended too soon".to_owned())),
    }
    Ok(())
}

/// The headers of every answer. Answers hold secrets and tenants' data, so nobody on the way keeps them.
fn finish(headers: &mut HeaderMap, facts: &Facts) {
    if let Ok(id) = HeaderValue::from_str(&facts.request_id) {
        headers.insert("request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests;
