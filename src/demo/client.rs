//! A small HTTP client for what listens on this machine. Nothing of it leaves the machine, so it is no way out.

#![expect(clippy::disallowed_methods, reason = "nothing of it leaves the machine")]

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use relay::egress::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::serve::Error;

/// Whatever is asked here is answered within milliseconds.
const WITHIN: Duration = Duration::from_secs(10);

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// A user of the admin API.
#[derive(Debug)]
pub(super) struct Admin {
    /// What stands before the paths.
    pub(super) url: String,
    key: SecretString,
}

impl Answer {
    /// The body, which must be JSON.
    pub(super) fn json(&self) -> Result<Value, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Admin {
    pub(super) fn new(url: String, key: SecretString) -> Self {
        Self { url, key }
    }

    /// Creates something and returns it.
    pub(super) async fn create(&self, path: &str, fields: &Value) -> Result<Value, Error> {
        self.ask(Method::POST, path, fields.to_string().into(), 201).await
    }

    /// Reads something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Error> {
        self.ask(Method::GET, path, Bytes::new(), 200).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes, expected: u16) -> Result<Value, Error> {
        let question = format!("{method} {path}");
        let authorization = format!("Bearer {}", self.key.expose_secret());
        let answer = send(method, &format!("{}{path}", self.url), Some(&authorization), body).await?;
        if answer.status == expected {
            return answer.json();
        }
        let words = String::from_utf8_lossy(&answer.body);
        Err(format!("{question} was answered with {} instead of {expected}: {words}", answer.status).into())
    }
}

/// Posts JSON as it is.
pub(super) async fn post(url: &str, authorization: Option<&str>, body: &'static str) -> Result<Answer, Error> {
    send(Method::POST, url, authorization, Bytes::from_static(body.as_bytes())).await
}

/// The text in a field that must be there.
pub(super) fn text(value: &Value, field: &str) -> Result<String, Error> {
    let text = value[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("there is no text `{field}` in {value}").into())
}

async fn send(method: Method, url: &str, authorization: Option<&str>, body: Bytes) -> Result<Answer, Error> {
    let url = Url::parse(url)?;
    let origin = url.origin().ascii_serialization();
    let mut request = Request::builder()
        .method(method)
        .uri(&url.as_str()[origin.len()..])
        .header("host", url.authority())
        .header("content-type", "application/json");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let stream = TcpStream::connect(&*url.socket_addrs(|| None)?).await?;
    let exchanged = tokio::time::timeout(WITHIN, exchange(stream, request.body(Full::new(body))?)).await;
    exchanged.map_err(|_| format!("{origin} did not answer within {WITHIN:?}"))?
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let response: Response<_> = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
    };
    // The connection ends with the asking, which owns the only sender.
    let (answer, _ended) = tokio::join!(asking, connection);
    answer
}
