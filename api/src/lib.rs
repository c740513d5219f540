//! HTTP in: webhooks from providers, the tokens that some of them need, and the admin API.

use std::net::SocketAddr;
use std::sync::Arc;

use entity::start::Opened;
use entity::stat::Statistics;
use entity::wake::Wake;
use poem::http::uri::Scheme;
use poem::{Endpoint, Request, Response};
use relay::egress::{Egress, EgressSettings, Guard, OwnAddress, SystemLookup, Url};
use relay::password::Verifier;
use relay::process::{BadSetting, bad_setting};
use relay::retention::Retention;
use relay::trace::Tracer;
use relay::verification::Remote;
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
pub mod limiter;
pub mod mutation;
pub mod oauth;
pub mod page;
pub mod precondition;
#[cfg(test)]
#[path = "../../relay/src/property.rs"]
mod property;
pub mod replaying;
pub mod request;
pub mod resources;
pub mod schema;
pub mod server;
pub mod turns;
pub mod wire;

use admin::admin;
use app::App;
use config::HttpSettings;
use ingest::{Flusher, Ingest, Notices, Quotas, Rejections, Room};
use last_used::LastUsed;
use oauth::{Issuer, TokenServer, Tokens};
use server::Door;

/// The public half of the process.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    egress: Arc<Egress>,
    app: App,
}

impl Api {
    /// Binds the listener, so that the address is known before anything is served.
    ///
    /// # Errors
    /// When a setting of the listener cannot be used; names it.
    pub async fn bind(
        settings: &HttpSettings,
        egress: &EgressSettings,
        opened: &Opened,
        (retention, wake, tracer): (Retention, Wake, Tracer),
    ) -> Result<Self, BadSetting> {
        let unusable = |error| bad_setting("HOOKYARD_LISTEN", error);
        let door = Door::open(&settings.listener).await?;
        let listener = server::listen(settings.listen).map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let public_url = public_url(settings, &origin(&door.scheme(), address));
        let own = Url::parse(&public_url).ok().as_ref().and_then(OwnAddress::of);
        let app = App {
            db: opened.db.clone(),
            configuration: Arc::clone(&opened.configuration),
            keyring: Arc::clone(&opened.keyring),
            payload_keys: opened.payload_keys.clone(),
            guard: Arc::new(Guard::new(egress, own.into_iter().collect())),
            passwords: Arc::new(Verifier::new()),
            tokens: Tokens::new(),
            tests: relay::quota::Quotas::default(),
            explanations: relay::quota::Quotas::default(),
            explaining: Arc::new(tokio::sync::Semaphore::new(1)),
            replays: replaying::Bell::default(),
            retention,
            turns: turns::Turns::default(),
            adding: Arc::new(tokio::sync::Semaphore::new(1)),
            sums: turns::Turns::default(),
            tails: resources::tail::Tails::default(),
            clock: opened.clock.clone(),
            wake,
            tracer,
            public_url: public_url.into(),
            operator_key: settings
                .operator_key
                .as_ref()
                .map(|key| relay::secret::fingerprint(key.expose_secret().as_bytes())),
        };
        let lookup = SystemLookup::new().map_err(|error| bad_setting("the system's resolver", error))?;
        let egress = Egress::new(egress, Arc::clone(&app.guard), Arc::new(lookup));
        let egress = Arc::new(egress.map_err(|error| bad_setting("the way out", error))?);
        Ok(Self { listener, address, door, egress, app })
    }

    /// Where it listens, as the beginning of a URL.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(&self.door.scheme(), self.address)
    }

    /// The way out of this process.
    #[must_use]
    pub fn egress(&self) -> Arc<Egress> {
        Arc::clone(&self.egress)
    }

    /// Serves until `stop`, then lets requests that run end.
    pub async fn serve(self, stop: CancellationToken) {
        let statistics = Statistics::new(&self.app.clock);
        let flusher = Flusher::start(&self.app.db, &self.app.clock, &self.app.wake, &statistics);
        oauth::begin_counting();
        relay::egress::begin_counting();
        let uses = LastUsed::default();
        let (rejections, notices) = (Rejections::of(&statistics), Notices::default());
        let ingest = Ingest {
            app: self.app.clone(),
            uses: uses.clone(),
            flusher,
            quotas: Quotas::default(),
            room: Room::default(),
            remote: Remote::new(self.egress, self.app.clock.clone()),
            rejections: rejections.clone(),
            notices: notices.clone(),
            numbers: ingest::Numbers::begin(),
        };
        let tokens = TokenServer::new(&self.app, &uses, Issuer::start(&self.app.db));
        let front = Front { ingest, tokens, admin: admin(&self.app, &uses) };
        // Requests that run at the end are noted too.
        let ended = CancellationToken::new();
        let noted = uses.keep(self.app.db.clone(), ended.clone());
        let refused = rejections.keep(self.app.db.clone(), self.app.clock.clone(), ended.clone());
        let counted = statistics.keep(self.app.db.clone(), ended.clone());
        let served = async {
            server::serve(self.listener, self.door, front, stop).await;
            ended.cancel();
        };
        let told = notices.keep(self.app.db.clone(), self.app.clock.clone(), self.app.wake.clone(), ended.clone());
        let replayed = replaying::run(self.app.clone(), ended.clone());
        tokio::join!(served, noted, refused, counted, told, replayed);
    }
}

/// What stands before the paths in the URLs that are handed out.
fn public_url(settings: &HttpSettings, origin: &str) -> String {
    match &settings.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => origin.to_owned(),
    }
}

fn origin(scheme: &Scheme, address: SocketAddr) -> String {
    format!("{scheme}://{address}")
}

/// Webhooks go straight to ingest, their tokens to the token server, everything else to the admin API.
struct Front<A> {
    ingest: Ingest,
    tokens: TokenServer,
    admin: A,
}

impl<A: Endpoint<Output = Response>> Endpoint for Front<A> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if Ingest::serves(request.uri().path()) {
            return Ok(self.ingest.answer(request).await);
        }
        if TokenServer::serves(request.uri().path()) {
            return Ok(self.tokens.answer(request).await);
        }
        self.admin.call(request).await
    }
}
