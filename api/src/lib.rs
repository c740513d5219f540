//! HTTP in: webhooks from providers, and the admin API.

use std::net::SocketAddr;
use std::sync::Arc;

use entity::start::Opened;
use entity::wake::Wake;
use poem::{Endpoint, Request, Response};
use relay::egress::{Guard, OwnAddress, Url};
use relay::password::Verifier;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub mod admin;
pub mod answer;
pub mod app;
pub mod auth;
pub mod config;
pub mod document;
pub mod error;
pub mod idempotency;
pub mod ingest;
pub mod input;
pub mod last_used;
pub mod mutation;
pub mod page;
pub mod request;
pub mod resources;
pub mod schema;
pub mod server;
pub mod wire;

use admin::admin;
use app::App;
use config::HttpSettings;
use ingest::{Flusher, Ingest};
use last_used::LastUsed;

/// The public half of the process.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    app: App,
}

impl Api {
    /// Binds the listener, so that the address is known before anything is served.
    pub async fn bind(
        settings: &HttpSettings,
        egress: &relay::egress::EgressSettings,
        opened: &Opened,
        wake: Wake,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let public_url = public_url(settings, address);
        let own = Url::parse(&public_url).ok().as_ref().and_then(OwnAddress::of);
        let app = App {
            db: opened.db.clone(),
            configuration: Arc::clone(&opened.configuration),
            keyring: Arc::clone(&opened.keyring),
            guard: Arc::new(Guard::new(egress, own.into_iter().collect())),
            passwords: Arc::new(Verifier::new()),
            clock: opened.clock.clone(),
            wake,
            public_url: public_url.into(),
            operator_key: settings
                .operator_key
                .as_ref()
                .map(|key| relay::secret::fingerprint(key.expose_secret().as_bytes())),
        };
        Ok(Self { listener, app })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What judges destinations in this process.
    #[must_use]
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.app.guard)
    }

    /// Serves until `stop`, then lets requests that run end.
    pub async fn serve(self, stop: CancellationToken) {
        let flusher = Flusher::start(&self.app.db, &self.app.clock, &self.app.wake);
        ingest::begin_counting();
        let uses = LastUsed::default();
        let ingest = Ingest { app: self.app.clone(), uses: uses.clone(), flusher };
        let front = Front { ingest, admin: admin(&self.app, &uses) };
        let noted = uses.keep(self.app.db.clone(), stop.clone());
        tokio::join!(server::serve(self.listener, front, stop), noted);
    }
}

/// What stands before the paths in the URLs that are handed out.
fn public_url(settings: &HttpSettings, address: SocketAddr) -> String {
    match &settings.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    }
}

/// Webhooks go straight to ingest, everything else to the admin API.
struct Front<A> {
    ingest: Ingest,
    admin: A,
}

impl<A: Endpoint<Output = Response>> Endpoint for Front<A> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if Ingest::serves(request.uri().path()) {
            return Ok(self.ingest.answer(request).await);
        }
        self.admin.call(request).await
    }
}
