//! As little HTTP/1.1 as generator and sink need, so that they leave the machine to what is measured.

use tokio::io::{AsyncRead, AsyncReadExt};

/// One message after another of a connection.
pub(crate) struct Messages<R> {
    from: R,
    buffer: Vec<u8>,
    filled: usize,
    /// Where the message that was read last ends.
    consumed: usize,
}

/// A whole message, as far as anybody here looks at it.
pub(crate) struct Message<'a> {
    /// The first line and the headers.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(crate) fn of(from: R) -> Self {
        Self { from, buffer: vec![0; 4096], filled: 0, consumed: 0 }
    }

    /// The next message; None: the other side closed, or speaks in a way that is not understood.
    pub(crate) async fn next(&mut self) -> Option<Message<'_>> {
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        let (mut looked, mut whole) = (0, None);
        loop {
            if whole.is_none() {
                let from = looked - looked.min(3);
                whole = end_of_head(&self.buffer[from..self.filled])
                    .map(|end| (from + end, from + end + length(&self.buffer[..from + end])));
                looked = self.filled;
            }
            if let Some((head, end)) = whole {
                if self.filled >= end {
                    self.consumed = end;
                    return Some(Message { head: &self.buffer[..head], body: &self.buffer[head..end] });
                }
                if self.buffer.len() < end {
                    self.buffer.resize(end, 0);
                }
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            match self.from.read(&mut self.buffer[self.filled..]).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.filled += count,
            }
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// What `Content-Length` says; everybody here says it.
fn length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let mut values = lines.filter(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    let digits = values.next().map(|line| line[NAME.len()..].iter().filter(|byte| byte.is_ascii_digit()));
    digits.map_or(0, |digits| digits.fold(0, |sum, digit| 10 * sum + usize::from(digit - b'0')))
}
