//! Reading a provider's body: within the source's cap, within its time, and within the memory that all bodies share.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use entity::source::Configured;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use poem::Request;
use poem::http::header::EXPECT;

use super::refusal::Refusal;
use super::room::{Places, Room};

/// The largest body that is accepted, unless the source says otherwise.
pub const CAP: usize = 1 << 20;
/// A body must be there so soon.
const WITHIN: Duration = Duration::from_secs(10);
/// So much longer for each MiB that the source allows beyond the first: at the pace of any provider's machines.
const PER_MIB: Duration = Duration::from_millis(500);
/// A body that is too large is read on so far, so that its sender hears the answer instead of a broken pipe.
const READ_ON: usize = 8 << 20;
/// The same for a body that nobody wants, since its request is refused already; and for so long.
const DRAIN: usize = 1 << 20;
const DRAIN_WITHIN: Duration = Duration::from_millis(500);

/// The whole body, however it is framed, and its places in the room, which are given back when the request is answered.
pub(super) async fn read(request: &mut Request, source: &Configured, room: &Room) -> Result<(Bytes, Places), Refusal> {
    let cap = source.settings.max_body_bytes.map_or(CAP, |bytes| usize::try_from(bytes).unwrap_or(CAP));
    let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    let within = WITHIN + PER_MIB * u32::try_from(cap >> 20).unwrap_or(u32::MAX).saturating_sub(1);
    let places = room.places(source.source.tenant());
    tokio::time::timeout(within, collect(body, cap, places)).await.map_err(|_| Refusal::Slow)?
}

/// Reads what a refused sender is still sending, and throws it away: a connection that is closed with unread data is reset,
/// and the answer with it. Who waits to be told to go on sends nothing, and is told nothing.
pub(super) async fn drain(request: &mut Request) {
    if request.headers().contains_key(EXPECT) {
        return;
    }
    let mut body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    let rest = async {
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, Bytes::len);
            if size > DRAIN {
                break;
            }
        }
    };
    // Whoever sends more, or more slowly, may miss the answer.
    let _ = tokio::time::timeout(DRAIN_WITHIN, rest).await;
}

/// What is beyond the cap is read on for a while and thrown away.
async fn collect(
    mut body: BoxBody<Bytes, std::io::Error>,
    cap: usize,
    mut places: Places,
) -> Result<(Bytes, Places), Refusal> {
    let (mut kept, mut size) = (Kept::default(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        size += data.len();
        if size > cap + READ_ON {
            break;
        }
        if size <= cap {
            places.take(data.len())?;
            kept.add(data);
        } else {
            kept = Kept::default();
            places.give_back();
        }
    }
    if size > cap { Err(Refusal::TooLarge(cap)) } else { Ok((kept.whole(), places)) }
}

/// A body as far as it came: most come in one piece, which is kept as it is. Pieces are copied together, since each would
/// keep the whole buffer that it was read into, however small it is.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    One(Bytes),
    Several(BytesMut),
}

impl Kept {
    fn add(&mut self, data: Bytes) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut whole = BytesMut::with_capacity(first.len() + data.len());
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&data);
                Self::Several(whole)
            }
            Self::Several(mut whole) => {
                whole.extend_from_slice(&data);
                Self::Several(whole)
            }
        };
    }

    fn whole(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(whole) => whole,
            Self::Several(whole) => whole.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use relay::id::TenantId;

    use super::*;

    fn body(parts: &[usize]) -> BoxBody<Bytes, std::io::Error> {
        let frames: Vec<_> = parts.iter().map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        BoxBody::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_body_is_read_within_its_cap_however_it_is_cut() {
        for (parts, result) in [
            (&[3, 4][..], Ok(7)),
            (&[8], Ok(8)),
            (&[1, 1, 1, 1, 1, 1, 1, 1], Ok(8)),
            (&[], Ok(0)),
            (&[0, 0], Ok(0)),
            (&[9], Err("too_large")),
            (&[4, 5], Err("too_large")),
        ] {
            let places = Room::default().places(TenantId::at(1));
            let read = collect(body(parts), 8, places).await;
            assert_eq!(read.map(|(body, _)| body.len()).map_err(Refusal::name), result, "{parts:?}");
        }
    }
}
