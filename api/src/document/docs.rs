//! `/openapi.json`, and `/docs`: a page for people that needs nothing from elsewhere.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::http::{StatusCode, header};
use poem::{Request, Response, handler};
use relay::secret::fingerprint;

use crate::resources;

/// Bytes that never change while the process runs.
struct Page {
    body: Bytes,
    etag: String,
}

static DOCUMENT: LazyLock<Page> = LazyLock::new(|| Page::of(super::text()));

/// The generated page holds the generated document; the published one takes its place. `</` would end the script.
static DOCS: LazyLock<Page> = LazyLock::new(|| {
    let service = resources::service();
    let published = super::text().replace("</", "<\\/");
    Page::of(
        service
            .swagger_ui_html()
            .replace(&service.spec(), &published)
            .replace("<title>Swagger UI", "<title>Hookyard API"),
    )
});

/// The page is one file with its script and its style inside, and calls nobody but this API.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
    font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document.
#[handler]
pub(crate) fn openapi(request: &Request) -> Response {
    DOCUMENT.answer(request, "application/json")
}

/// Who opens the bare address looks for the page.
#[handler]
pub(crate) fn home() -> Response {
    Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/docs").finish()
}

/// The page.
#[handler]
pub(crate) fn docs(request: &Request) -> Response {
    let mut response = DOCS.answer(request, "text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(POLICY));
    response
}

impl Page {
    fn of(text: String) -> Self {
        let etag = format!("\"{}\"", &URL_SAFE_NO_PAD.encode(fingerprint(text.as_bytes()))[..16]);
        Self { body: text.into(), etag }
    }

    fn answer(&self, request: &Request, content_type: &str) -> Response {
        let known = request.headers().get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let response = Response::builder().header(header::ETAG, &self.etag).header(header::CACHE_CONTROL, "no-cache");
        if known.is_some_and(|known| known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == self.etag)) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(content_type).body(self.body.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_the_published_document_and_calls_nobody() {
        let page = std::str::from_utf8(&DOCS.body).unwrap();
        assert!(page.contains("\"openapi\": \"3.1.0\""));
        assert!(!page.contains("\"openapi\": \"3.0.0\""));
        assert!(!page.contains("src=\"http"));
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let known = Request::builder().header("if-none-match", DOCUMENT.etag.as_str()).finish();
        assert_eq!(DOCUMENT.answer(&known, "").status(), StatusCode::NOT_MODIFIED);
        assert_eq!(DOCUMENT.answer(&Request::default(), "").status(), StatusCode::OK);
    }
}
