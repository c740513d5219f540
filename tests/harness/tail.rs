//! Somebody who watches: reads server-sent events as they come.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::wait::PATIENCE;

/// A stream that is read only when somebody asks for more.
#[derive(Debug)]
pub struct Tail {
    response: reqwest::Response,
    /// What was received and not looked at.
    unread: Vec<u8>,
    /// The `id` that was said last.
    pub last_id: String,
    /// All that was told so far.
    pub heard: Vec<News>,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub kind: String,
    pub data: Value,
}

impl Tail {
    /// Returns once the relay has begun to answer: from then on it misses nothing.
    pub(crate) async fn open(client: &Client, path: &str, last_event_id: &str) -> Self {
        let headers = [("accept", "text/event-stream"), ("last-event-id", last_event_id)];
        let sent = client.send(Method::GET, path, &headers, Bytes::new()).await;
        let response = sent.unwrap_or_else(|error| panic!("GET {path}: {error:?}"));
        if response.status() != 200 {
            panic!("GET {path}: {} {:?}", response.status(), response.text().await);
        }
        Self { response, unread: Vec::new(), last_id: last_event_id.to_owned(), heard: Vec::new() }
    }

    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The next news; None if the stream has ended.
    pub async fn next(&mut self) -> Option<News> {
        let next = tokio::time::timeout(PATIENCE, async {
            loop {
                let block = self.block().await?;
                if let Some(news) = self.read(&block) {
                    return Some(news);
                }
            }
        });
        let Ok(next) = next.await else { panic!("after {PATIENCE:?} nothing is told but {:#?}", self.heard) };
        self.heard.extend(next.clone());
        next
    }

    /// The next news, of which there must be some.
    pub async fn told(&mut self) -> News {
        self.next().await.expect("the stream goes on")
    }

    /// Reads until there is news that `is` says yes to. Gives all of it, that one last.
    pub async fn until(&mut self, is: impl Fn(&News) -> bool) -> Vec<News> {
        let mut told = Vec::new();
        loop {
            let news = self.told().await;
            let is_last = is(&news);
            told.push(news);
            if is_last {
                return told;
            }
        }
    }

    /// Reads until the stream ends.
    pub async fn rest(&mut self) -> Vec<News> {
        let mut told = Vec::new();
        while let Some(news) = self.next().await {
            told.push(news);
        }
        told
    }

    /// Reads until it is said, without news, where the stream is. Gives that.
    pub async fn said_where(&mut self) -> String {
        let said = tokio::time::timeout(PATIENCE, async {
            loop {
                let block = self.block().await.expect("the stream goes on");
                let news = self.read(&block);
                assert_eq!(news, None, "nothing is to be told");
                if block.starts_with("id: ") {
                    return self.last_id.clone();
                }
            }
        });
        said.await.expect("it is said where the stream is")
    }

    /// What stands before the next empty line.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|bytes| bytes == b"\n\n") {
                let block = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8(block).unwrap());
            }
            // However it ends, it ends.
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.unread.extend_from_slice(&chunk);
        }
    }

    /// What a block says; None for what is no news: a comment, or how soon to come again.
    fn read(&mut self, block: &str) -> Option<News> {
        let (mut kind, mut data) = (String::new(), String::new());
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut kind),
                Some(("data", value)) => data += value,
                Some(("id", value)) => value.clone_into(&mut self.last_id),
                Some(("retry", _)) | None => {}
                Some(_) => panic!("{line:?} in {block:?}"),
            }
        }
        (!data.is_empty()).then(|| News { kind, data: serde_json::from_str(&data).unwrap() })
    }
}
