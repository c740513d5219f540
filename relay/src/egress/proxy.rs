//! The operator's forward proxy: where it is, and what it says of a tunnel that did not come about. Its faults are ours,
//! and never a destination's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

/// Where tunnels are asked for.
#[derive(Clone)]
pub(super) struct Proxy {
    host: Host<String>,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<SecretString>,
}

/// Not the address of a proxy. The text is not repeated: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "HOOKYARD_EGRESS_PROXY is written http://user:password@host:port; what is special in a password is written %40 for @"
)]
pub struct NotAProxy;

/// What a proxy says when it is asked for a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Here it is.
    Opens,
    /// Not to this destination.
    Denies(u16),
    /// It does not reach this destination.
    CannotReach(u16),
    /// It answers, but not yet about this destination.
    Waits,
    /// It does not do its work; says why.
    Faulty(String),
}

/// For each of the two questions. A proxy is near.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest head of an answer.
const HEAD: usize = 8 * 1024;

impl Proxy {
    /// Reads `HOOKYARD_EGRESS_PROXY`.
    pub(super) fn parse(text: &SecretString) -> Result<Self, NotAProxy> {
        let url = Url::parse(text.expose_secret()).map_err(|_| NotAProxy)?;
        let host = url.host().ok_or(NotAProxy)?.to_owned();
        let port = url.port_or_known_default().ok_or(NotAProxy)?;
        if url.scheme() != "http" || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(NotAProxy);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        let authorization = has_user.then(|| authorization(&url));
        Ok(Self { host, port, authorization })
    }

    /// As the client is told of it.
    pub(super) fn for_client(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(format!("http://{}:{}", self.host, self.port))?;
        let value = self.authorization.as_ref().and_then(|value| value.expose_secret().parse().ok());
        Ok(match value {
            Some(value) => proxy.custom_http_auth(value),
            None => proxy,
        })
    }

    /// Asks once more for the tunnel that just failed, since the client does not tell what the proxy answered.
    pub(super) async fn ask(&self, authority: &str) -> Verdict {
        match self.status(&format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n")).await {
            Ok(Some(answer)) => answer.verdict(),
            Ok(None) if self.is_alive().await => Verdict::Waits,
            Ok(None) => Verdict::Faulty("it does not answer".to_owned()),
            Err(error) => Verdict::Faulty(error.to_string()),
        }
    }

    /// Whether it answers and knows us, wherever it lets us go; if not, why.
    pub(super) async fn check(&self) -> Result<(), String> {
        match self.greeted().await {
            Ok(Some(answer)) => match answer.verdict() {
                Verdict::Faulty(why) => Err(why),
                _ => Ok(()),
            },
            Ok(None) => Err("it does not answer".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether it answers at all.
    async fn is_alive(&self) -> bool {
        matches!(self.greeted().await, Ok(Some(_)))
    }

    /// Its answer to a question that it must not pass on (RFC 9110, 7.6.2).
    async fn greeted(&self) -> std::io::Result<Option<Answer>> {
        self.status(&format!("OPTIONS * HTTP/1.1\r\nHost: {}\r\nMax-Forwards: 0\r\n", self.host)).await
    }

    /// The answer to a request whose head this begins; nothing, if none comes in time.
    #[expect(clippy::disallowed_methods, reason = "the proxy is the operator's choice, and part of the way out")]
    async fn status(&self, head: &str) -> std::io::Result<Option<Answer>> {
        let asked = async {
            let mut stream = match &self.host {
                Host::Domain(name) => TcpStream::connect((name.as_str(), self.port)).await?,
                Host::Ipv4(address) => TcpStream::connect((*address, self.port)).await?,
                Host::Ipv6(address) => TcpStream::connect((*address, self.port)).await?,
            };
            let mut request = head.to_owned();
            if let Some(value) = &self.authorization {
                request += &format!("Proxy-Authorization: {}\r\n", value.expose_secret());
            }
            request += "\r\n";
            stream.write_all(request.as_bytes()).await?;
            Answer::read(&mut stream).await
        };
        tokio::time::timeout(PATIENCE, asked).await.map_or(Ok(None), |answer| answer.map(Some))
    }
}

fn authorization(url: &Url) -> SecretString {
    let plain = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [plain(url.username()), b":".to_vec(), plain(url.password().unwrap_or_default())].concat();
    format!("Basic {}", STANDARD.encode(pair)).into()
}

/// The head of an answer.
struct Answer {
    status: u16,
    /// It says how to prove oneself.
    asks_who_we_are: bool,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> std::io::Result<Self> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.strip_prefix("http/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("it does not speak HTTP"))?;
        Ok(Self { status, asks_who_we_are: head.contains("\r\nproxy-authenticate:") })
    }

    fn verdict(&self) -> Verdict {
        match self.status {
            200..300 => Verdict::Opens,
            407 if self.asks_who_we_are => Verdict::Faulty("it asks for another user or password (407)".to_owned()),
            // Smokescreen says so of addresses that it guards.
            407 | 403 | 451 => Verdict::Denies(self.status),
            // Proxies differ in what they say of a host that is not there: a tenant's typing error must not look like the
            // proxy's fault, which keeps everybody waiting.
            400.. => Verdict::CannotReach(self.status),
            status => Verdict::Faulty(format!("it answered {status}")),
        }
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Proxy({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
mod tests;
