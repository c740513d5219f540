//! Requests that no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back before the relay closed the connection.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// The whole answer.
    pub text: String,
}

impl RawAnswer {
    /// The body, which must be JSON under this status.
    #[must_use]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        let body = self.text.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Writes `bytes`, whether they are all wanted or not, and reads until the other side closes: the request should ask
/// for that, with `Connection: close`.
pub async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> RawAnswer {
    exchange_over(TcpStream::connect(address).await.unwrap(), bytes).await
}

/// The same, over a connection that stands already.
pub async fn exchange_over(stream: impl AsyncRead + AsyncWrite + Send + 'static, bytes: Vec<u8>) -> RawAnswer {
    let text = text_over(stream, bytes).await;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer { status: status.unwrap_or_else(|| panic!("no answer but {text:?}")), text }
}

/// All that comes back until the other side closes, which may be nothing.
pub async fn text_over(stream: impl AsyncRead + AsyncWrite + Send + 'static, bytes: Vec<u8>) -> String {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let writer = tokio::spawn(async move {
        let _ = writing.write_all(&bytes).await;
        let _ = writing.flush().await;
        writing
    });
    let text = read_all(&mut reading).await;
    writer.abort();
    text
}

/// Reads until the other side closes. A reset after the answer is as good an end as any.
pub async fn read_all(reading: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count @ 1..)) = timeout(Duration::from_secs(20), reading.read(&mut buffer)).await {
        read.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A POST in chunks, with no length said in advance.
#[must_use]
pub fn chunked_post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for chunk in body.chunks(16 * 1024) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// A POST that says how long it is.
#[must_use]
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    request("POST", path, &[], body)
}

/// A request that is as it should be.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let fixed = format!("Host: relay\r\nConnection: close\r\nContent-Length: {length}\r\n");
    [format!("{method} {path} HTTP/1.1\r\n{fixed}{headers}\r\n").as_bytes(), body].concat()
}
