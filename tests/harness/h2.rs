//! HTTP/2 as bytes, for what no library would send.

use crate::beast::Visit;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

/// Flags, of those kinds of frames that have them.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const REFUSED_STREAM: u32 = 7;

/// What a client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `:status: 200` and `:status: 500`, from the static table; `:status: 103`, spelt out.
pub const OK: &[u8] = &[0x88];
pub const ERROR: &[u8] = &[0x8e];
pub const EARLY_HINTS: &[u8] = &[0x08, 3, b'1', b'0', b'3'];

#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// An answer without a body.
#[must_use]
pub fn answer(stream: u32, status: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, status)
}

/// No stream after `last` was looked at, nor will be.
#[must_use]
pub fn goaway(last: u32, why: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), why.to_be_bytes()].concat())
}

impl Visit {
    /// Begins to speak HTTP/2; nothing, if the relay does not.
    pub async fn begin_h2(&mut self) -> Option<()> {
        let mut preface = [0; PREFACE.len()];
        self.read(&mut preface).await?;
        (preface == PREFACE && self.say(frame(SETTINGS, 0, 0, [])).await).then_some(())
    }

    /// Reads one request to its end, and keeps that it came. Gives its stream.
    pub async fn h2_request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.read(&mut head).await?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.read(&mut payload).await?;
            if [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0 {
                let stream = u32::from_be_bytes(stream);
                self.keep(format!("stream {stream}"));
                return Some(stream);
            }
        }
    }
}
