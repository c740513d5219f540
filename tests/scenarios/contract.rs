//! The published contract: the document, its page, and refusals in one form.

use std::collections::BTreeSet;

use harness::{Database, Relay, on_each_database};
use reqwest::Method;

on_each_database![
    the_document_is_served_and_whole,
    the_page_works_offline,
    what_the_framework_refuses_is_a_problem_too,
    operators_can_ask_how_it_is,
];

/// What a first version must have; the isolation walk insists that nothing else is unwatched.
const PROMISED: [&str; 45] = [
    "GET /v1/tenants",
    "POST /v1/tenants",
    "GET /v1/tenants/{}",
    "PATCH /v1/tenants/{}",
    "GET /v1/tenants/{}/api-keys",
    "POST /v1/tenants/{}/api-keys",
    "DELETE /v1/tenants/{}/api-keys/{}",
    "GET /v1/providers",
    "GET /v1/providers/{}",
    "GET /v1/tenants/{}/sources",
    "POST /v1/tenants/{}/sources",
    "PUT /v1/tenants/{}/sources/by-key/{}",
    "GET /v1/tenants/{}/sources/{}",
    "PATCH /v1/tenants/{}/sources/{}",
    "DELETE /v1/tenants/{}/sources/{}",
    "POST /v1/tenants/{}/sources/{}/simulate",
    "GET /v1/tenants/{}/sources/{}/credentials",
    "POST /v1/tenants/{}/sources/{}/credentials",
    "PUT /v1/tenants/{}/sources/{}/credentials/by-key/{}",
    "PATCH /v1/tenants/{}/sources/{}/credentials/{}",
    "DELETE /v1/tenants/{}/sources/{}/credentials/{}",
    "GET /v1/tenants/{}/destinations",
    "POST /v1/tenants/{}/destinations",
    "PUT /v1/tenants/{}/destinations/by-key/{}",
    "GET /v1/tenants/{}/destinations/{}",
    "PATCH /v1/tenants/{}/destinations/{}",
    "DELETE /v1/tenants/{}/destinations/{}",
    "POST /v1/tenants/{}/destinations/{}/pause",
    "POST /v1/tenants/{}/destinations/{}/resume",
    "GET /v1/tenants/{}/subscriptions",
    "POST /v1/tenants/{}/subscriptions",
    "PUT /v1/tenants/{}/subscriptions/by-key/{}",
    "GET /v1/tenants/{}/subscriptions/{}",
    "PATCH /v1/tenants/{}/subscriptions/{}",
    "DELETE /v1/tenants/{}/subscriptions/{}",
    "POST /v1/tenants/{}/request-ids",
    "GET /v1/tenants/{}/events",
    "GET /v1/tenants/{}/events/{}",
    "GET /v1/tenants/{}/events/{}/body",
    "POST /v1/tenants/{}/events/{}/replay",
    "GET /v1/tenants/{}/deliveries",
    "GET /v1/tenants/{}/deliveries/{}",
    "POST /v1/tenants/{}/deliveries/{}/retry",
    "POST /v1/tenants/{}/deliveries/{}/cancel",
    "POST /oauth/token",
];

async fn the_document_is_served_and_whole(database: Database) {
    let relay = Relay::start(database).await;
    let answer = relay.anybody().get("/openapi.json").await;
    let document = answer.json(200);

    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let operations = crate::isolation::document::operations(&document);
    let missing: Vec<_> =
        PROMISED.iter().filter(|promised| !operations.iter().any(|it| it.call == **promised)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    let ids: BTreeSet<_> = operations.iter().map(|operation| &operation.id).collect();
    assert_eq!(ids.len(), operations.len(), "each operation has an id of its own: {ids:#?}");
    let paths = answer.text().matches("\"operationId\"").count();
    assert_eq!(paths, operations.len(), "no path stands twice in the document, where the later hides the earlier");
}

async fn the_page_works_offline(database: Database) {
    let relay = Relay::start(database).await;
    let bare = relay.anybody().get("/").await;
    assert_eq!((bare.status, bare.header("location")), (302, Some("/docs")));
    let answer = relay.anybody().get("/docs").await;
    assert!(
        answer.is(200).header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{:?}",
        answer.headers
    );
    let page = answer.text();
    assert!(page.contains("Hookyard"), "the page has no title of ours");
    for tag in tags_outside_scripts(&page) {
        let loads = ["src=", "href=", "@import", "url("].iter().any(|word| tag.contains(word));
        let away = ["http://", "https://", "\"//", "'//"].iter().any(|host| tag.contains(host));
        let only_a_link = tag.starts_with("<a ");
        assert!(!(loads && away) || only_a_link, "{tag}");
    }
}

async fn what_the_framework_refuses_is_a_problem_too(database: Database) {
    let relay = Relay::start(database).await;
    let operator = relay.operator();
    let json = [("content-type", "application/json")];
    let xml = [("content-type", "application/xml")];

    for (method, path, headers, body, status) in [
        (Method::GET, "/nowhere", &json, "", 404),
        (Method::GET, "/v1/nothing", &json, "", 404),
        (Method::GET, "/v1/tenants/not-an-id", &json, "", 404),
        (
            Method::GET,
            "/v1/tenants/ten_01h2xcejqtf2nbrexx3vqjhp41/sources/dst_01h2xcejqtf2nbrexx3vqjhp41",
            &json,
            "",
            404,
        ),
        (Method::PUT, "/v1/tenants", &json, "{}", 405),
        (Method::POST, "/v1/tenants", &xml, "<tenant/>", 415),
        (Method::POST, "/v1/tenants", &json, "{", 400),
    ] {
        let answer = operator.ask(method, path, headers, body).await;
        let _ = answer.problem(status);
        assert!(status != 405 || answer.header("allow").is_some(), "{answer}");
    }
}

async fn operators_can_ask_how_it_is(database: Database) {
    let relay = Relay::start(database).await;
    for process in relay.processes() {
        let client = harness::Client::of(process);
        for path in ["/livez", "/readyz", "/metrics"] {
            client.operations(path).await.is(200);
        }
    }
    let _ = relay.anybody().get("/metrics").await.problem(404);
}

/// The tags of a page, without the text of its scripts (which is full of addresses that nobody loads).
fn tags_outside_scripts(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let tag = rest[..end].to_lowercase();
        rest = &rest[end..];
        if tag.starts_with("<script") {
            rest = &rest[rest.find("</script").unwrap_or(rest.len())..];
        }
        tags.push(tag);
    }
    tags
}
