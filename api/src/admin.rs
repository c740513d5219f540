//! The admin API as one endpoint. Everything that leaves it has a request id, and every refusal is a problem, whoever
//! refused.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Endpoint, Request, Response, Route};

use crate::app::App;
use crate::auth::LastUsed;
use crate::document::docs;
use crate::error::{Error, respond};
use crate::request::Facts;
use crate::resources;

/// Serves `/v1/…`, `/openapi.json` and `/docs`; what is none of them is a 404 problem. The server runs
/// [`LastUsed::keep`] beside it.
pub fn admin(app: &App, uses: &LastUsed) -> impl Endpoint<Output = Response> + use<> {
    let routes = Route::new()
        .nest("/v1", resources::service())
        .at("/openapi.json", poem::get(docs::openapi))
        .at("/docs", poem::get(docs::docs));
    Admin { app: app.clone(), uses: uses.clone(), routes }
}

struct Admin {
    app: App,
    uses: LastUsed,
    routes: Route,
}

impl Endpoint for Admin {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let facts = Arc::new(Facts::of(&request, self.app.clock.now()));
        request.set_data(self.app.clone());
        request.set_data(self.uses.clone());
        request.set_data(Arc::clone(&facts));
        let result = AssertUnwindSafe(self.routes.call(request)).catch_unwind().await;
        let mut response = match result {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => respond(error, &facts),
            // The panic itself has been reported, with its place, by the hook.
            Err(_) => respond(Error::Fault("a handler panicked".into()).into(), &facts),
        };
        finish(response.headers_mut(), &facts);
        Ok(response)
    }
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
