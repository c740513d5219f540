//! The admin API from its front door, in process, on a database of its own. Every answer is held against the document.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use entity::Database;
use entity::configuration::Configuration;
use entity::payload_key::PayloadKeys;
use entity::wake::Wake;
use migration::sea_orm::{ConnectionTrait, Statement};
use migration::{Migrator, MigratorTrait};
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Endpoint, EndpointExt, Request, Response};
use relay::clock::Clock;
use relay::egress::{EgressSettings, Guard};
use relay::keyring::Keyring;
use relay::password::Verifier;
use relay::secret::fingerprint;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::admin;
use crate::app::App;
use crate::last_used::LastUsed;
use crate::{document, schema};

mod mutations;
mod refusals;
mod request_ids;
mod resources;
mod searches;

/// An admin API with a tenant `acme`, asked with the operator's key unless told otherwise.
struct World {
    app: App,
    endpoint: BoxEndpoint<'static>,
    tenant: String,
    uses: LastUsed,
    file: std::path::PathBuf,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

const OPERATOR: &str = "the key of the operator in tests";

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl World {
    async fn new() -> Self {
        let name = format!("hookyard-admin-{}-{}.db", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed));
        let file = std::env::temp_dir().join(name);
        let db = Database::open(&format!("sqlite://{}", file.display())).await.unwrap();
        Migrator::up(&db.write, None).await.unwrap();
        let clock = Clock::start();
        let keyring = Arc::new(Keyring::parse(Keyring::generate_text().expose_secret()).unwrap());
        let app = App {
            configuration: Configuration::open(db.clone(), clock.clone()).await.unwrap(),
            payload_keys: PayloadKeys::new(db.clone(), Arc::clone(&keyring), false),
            db,
            keyring,
            guard: Arc::new(Guard::new(&EgressSettings::default(), Vec::new())),
            passwords: Arc::new(Verifier::new()),
            tokens: crate::oauth::Tokens::new(),
            tests: relay::quota::Quotas::default(),
            explanations: relay::quota::Quotas::default(),
            explaining: Arc::new(tokio::sync::Semaphore::new(1)),
            replays: crate::replaying::Bell::default(),
            retention: relay::retention::Retention::default(),
            turns: crate::turns::Turns::default(),
            adding: Arc::new(tokio::sync::Semaphore::new(1)),
            sums: crate::turns::Turns::default(),
            tails: crate::resources::tail::Tails::default(),
            clock,
            wake: Wake::default(),
            tracer: relay::trace::Tracer::default(),
            public_url: "https://hooks.example".into(),
            operator_key: Some(fingerprint(OPERATOR.as_bytes())),
        };
        let uses = LastUsed::default();
        let endpoint = admin(&app, &uses).boxed();
        let mut world = Self { app, endpoint, tenant: String::new(), uses, file };
        world.tenant = world.tenant("acme").await;
        world
    }

    /// A new tenant's path.
    async fn tenant(&self, slug: &str) -> String {
        let made = self.post("/v1/tenants", json!({"name": slug, "slug": slug})).await.is(201);
        format!("/v1/tenants/{}", made["id"].as_str().unwrap())
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method.clone()).uri(path.parse().unwrap());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {OPERATOR}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => request.content_type("application/json").body(body.to_string()),
            None => request.finish(),
        };
        Reply::read(self.send(request).await, &method, path).await
    }

    async fn send(&self, request: Request) -> Response {
        self.endpoint.call(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[], None).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path, &[], Some(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, &[], None).await
    }

    /// The value of `authorization` for a new key of `acme` with these scopes.
    async fn key(&self, scopes: Value) -> String {
        let made =
            self.post(&format!("{}/api-keys", self.tenant), json!({"name": "k", "scopes": scopes})).await.is(201);
        format!("Bearer {}", made["key"].as_str().unwrap())
    }

    /// A destination's path.
    async fn destination(&self) -> String {
        let new = json!({"name": "out", "url": "https://receiver.hookyard.dev/hook"});
        let made = self.post(&format!("{}/destinations", self.tenant), new).await.is(201);
        format!("{}/destinations/{}", self.tenant, made["id"].as_str().unwrap())
    }

    async fn number(&self, sql: &str) -> i64 {
        let db = &self.app.db.read;
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.file.display()));
        }
    }
}

impl Reply {
    async fn read(response: Response, method: &Method, path: &str) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.into_vec().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let reply = Self { status: parts.status, headers: parts.headers, body };
        reply.check(method, path);
        reply
    }

    /// What is answered is what the document says.
    fn check(&self, method: &Method, path: &str) {
        assert!(self.headers.contains_key("request-id"));
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.headers["content-type"], "application/problem+json");
            assert_eq!(self.body["request_id"], self.headers["request-id"].to_str().unwrap());
            assert_eq!(self.body["status"], self.status.as_u16());
            return self.fits("#/components/schemas/Problem");
        }
        let document = document::document();
        let path = path.split('?').next().unwrap();
        let templates = document["paths"].as_object().unwrap();
        let Some((_, item)) = templates.iter().find(|(template, _)| document::fits(template, path)) else { return };
        let operation = &item[method.as_str().to_lowercase()];
        let response = &operation["responses"][self.status.as_str()];
        assert!(response.is_object(), "{method} {path} answers {}", self.status);
        if let Some(name) = response["content"]["application/json"]["schema"]["$ref"].as_str() {
            self.fits(name);
        }
    }

    fn fits(&self, reference: &str) {
        let faults = schema::faults(document::schemas(), reference.rsplit('/').next().unwrap(), &self.body);
        assert_eq!(faults, [], "{:#}", self.body);
    }

    #[track_caller]
    fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    /// Refused at these places.
    #[track_caller]
    fn refuses(self, places: &[&str]) {
        let body = self.is(422);
        let named = |trouble: &Value| {
            let place = ["pointer", "parameter", "header"].iter().find_map(|kind| trouble[kind].as_str());
            place.unwrap().to_owned()
        };
        let found: Vec<_> = body["errors"].as_array().unwrap().iter().map(named).collect();
        assert_eq!(found, places, "{body:#}");
    }

    #[track_caller]
    fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }
}
