//! An authorization server that others wrote (`interop/authorization_server.mjs`): it issues tokens, says what they are
//! good for, and takes them back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use reqwest::Url;
use serde_json::{Value, json};

use crate::interop;
use crate::wait::{PATIENCE, within};

/// It ends with its scenario.
#[derive(Debug)]
pub struct AuthorizationServer {
    child: Child,
    said: PathBuf,
    http: reqwest::Client,
}

/// Whose secret goes in the header, and whose in the body. The characters are those that have to be encoded there.
pub const BASIC_CLIENT: &str = "relay: basic";
pub const POST_CLIENT: &str = "relay+post";
pub const SECRET: &str = "s%3A e&c=r:e+t/";

/// Who asks what tokens are good for.
const RECEIVER: &str = "receiver";

impl AuthorizationServer {
    /// Leaves what it says in the directory.
    pub async fn start(directory: &Path) -> Self {
        let client = |id, auth| json!({ "client_id": id, "client_secret": SECRET, "token_endpoint_auth_method": auth });
        let clients = json!([
            client(BASIC_CLIENT, "client_secret_basic"),
            client(POST_CLIENT, "client_secret_post"),
            client(RECEIVER, "client_secret_post"),
        ]);
        let said = directory.join("authorization-server");
        let file = File::create(&said).unwrap();
        let mut command = interop::node("authorization_server.mjs");
        command.arg(clients.to_string()).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut server = Self { child: command.spawn().expect("node is there"), said, http };
        within(PATIENCE * 2, "the authorization server to listen", async || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended:\n{}", server.said());
            server.issuer()
        })
        .await;
        server
    }

    #[must_use]
    pub fn token_url(&self) -> String {
        self.url_of("/token")
    }

    /// How many tokens a client has got.
    #[must_use]
    pub fn issued_to(&self, client: &str) -> usize {
        self.said().lines().filter(|line| line.strip_prefix("issued to ") == Some(client)).count()
    }

    /// What it says about a token when the receiver asks (RFC 7662).
    pub async fn introspect(&self, token: &str) -> Value {
        let answer = self.ask("/token/introspection", RECEIVER, token).await;
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }

    /// Takes back a token of the client whose secret goes in the body (RFC 7009).
    pub async fn revoke(&self, token: &str) {
        self.ask("/token/revocation", POST_CLIENT, token).await;
    }

    async fn ask(&self, path: &str, client: &str, token: &str) -> String {
        let fields = [("token", token), ("client_id", client), ("client_secret", SECRET)];
        let form = Url::parse_with_params("http://form", fields).unwrap();
        let request = self.http.post(self.url_of(path)).body(form.query().unwrap().to_owned());
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.issuer().expect("it listens"))
    }

    fn issuer(&self) -> Option<String> {
        self.said().lines().find_map(|line| line.strip_prefix("listening on ")).map(str::to_owned)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- authorization server\n{}", self.said());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
