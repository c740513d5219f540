//! Requests that no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back before the relay closed the connection.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// The whole answer.
    pub text: String,
}

/// Writes `bytes`, whether they are all wanted or not, and reads until the other side closes: the request should ask
/// for that, with `Connection: close`.
pub async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> RawAnswer {
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let writer = tokio::spawn(async move {
        let _ = writing.write_all(&bytes).await;
        writing
    });
    let text = read_all(&mut reading).await;
    writer.abort();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer { status: status.unwrap_or_else(|| panic!("no answer but {text:?}")), text }
}

/// A reset after the answer is as good an end as any.
async fn read_all(reading: &mut (impl AsyncReadExt + Unpin)) -> String {
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
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
