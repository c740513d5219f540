//! Traces (W3C Trace Context): to which one an event belongs, and which of them the operator's collector is told of.
//!
//! Nothing of it is stored besides the provider's own header: who delivers finds from that and the event's id what who
//! received said.

use std::fmt;

use crate::id::EventId;
use crate::stored::Headers;

mod exporter;
mod otlp;
mod settings;
mod tracer;

pub use exporter::Exporting;
pub use settings::{Ratio, TraceSettings};
pub use tracer::{Kind, Span, Tracer, Value};

/// The header that carries it.
pub const HEADER: &str = "traceparent";

/// What `traceparent` says: the trace, the sender's span in it, and whether the sender told anybody of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub trace: u128,
    pub span: u64,
    pub sampled: bool,
}

/// The trace that an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub id: u128,
    /// What the provider said of it; None: it begins here.
    pub provider: Option<TraceParent>,
}

/// Which traces are told. What the provider has decided on is decided; of the others, a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Nobody is told of anything.
    #[default]
    Off,
    /// Of those that begin here, the ones whose last 56 bits, which are random, are not below this.
    From(u64),
}

/// How many bits of a trace's id are random.
const RANDOM: u32 = 56;

impl TraceParent {
    /// Reads the value of the header; what is none, or not whole, is none. Of a later version than ours the beginning is
    /// understood, as the standard wants it.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.splitn(5, '-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let version = hex(version, 2)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?);
        let flags = hex(flags, 2)?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The one that these headers hold; if they hold several, none counts.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut values = values.into_iter();
        let (first, second) = (values.next()?, values.next());
        second.is_none().then_some(first).and_then(|value| Self::read(std::str::from_utf8(value).ok()?))
    }
}

/// Lower case only, as the standard wants it.
fn hex(text: &str, length: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (text.len() == length && is_hex).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl Trace {
    /// The provider's, if it said one; else the event's own, whose id is the event's.
    #[must_use]
    pub fn of(event: EventId, provider: Option<TraceParent>) -> Self {
        Self { id: provider.map_or(event.uuid().as_u128(), |provider| provider.trace), provider }
    }

    /// The same, from the headers as they are stored.
    #[must_use]
    pub fn of_stored(event: EventId, headers: &Headers) -> Self {
        let values: Vec<Vec<u8>> =
            headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER)).map(|(_, value)| value).collect();
        Self::of(event, TraceParent::of(values.iter().map(Vec::as_slice)))
    }
}

/// The span of the request that brought an event: half of the event's id, so that whoever delivers knows it.
#[must_use]
pub fn arrival(event: EventId) -> u64 {
    // The variant's bits are in it, so it is never nought.
    (event.uuid().as_u128() & u128::from(u64::MAX)) as u64
}

impl Sampling {
    /// This part of the traces that begin here.
    #[must_use]
    pub fn of(ratio: Ratio) -> Self {
        Self::From(ratio.rejected(RANDOM))
    }

    /// Whether anybody is told of this trace.
    #[must_use]
    pub fn tells(self, trace: &Trace) -> bool {
        match (self, trace.provider) {
            (Self::Off, _) => false,
            (Self::From(_), Some(provider)) => provider.sampled,
            (Self::From(least), None) => (trace.id & ((1 << RANDOM) - 1)) as u64 >= least,
        }
    }

    /// What a destination hears of it: where nobody is told of anything, the provider's word goes on as it came.
    #[must_use]
    pub fn flag(self, trace: &Trace) -> bool {
        match self {
            Self::Off => trace.provider.is_none_or(|provider| provider.sampled),
            Self::From(_) => self.tells(trace),
        }
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_that_is_whole_is_read_and_says_the_same_again() {
        let read = TraceParent::read(GIVEN).unwrap();
        assert_eq!((read.trace, read.span), (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331));
        assert_eq!(read.to_string(), GIVEN);
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)] {
            let read = TraceParent::read(&GIVEN.replace("-01", &format!("-{flags}")));
            assert_eq!(read.map(|read| read.sampled), Some(sampled), "{flags}");
        }
        for later in ["01-{}", "fe-{}-more", "cc-{}-"] {
            let value = later.replace("{}", &GIVEN[3..]);
            assert!(TraceParent::read(&value).is_some(), "{value}");
        }
    }

    #[test]
    fn what_is_not_whole_is_none() {
        for value in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::read(value), None, "{value}");
        }
        assert!(TraceParent::of([GIVEN.as_bytes()]).is_some());
        assert_eq!(TraceParent::of([GIVEN.as_bytes(); 2]), None, "nobody knows which");
        assert_eq!(TraceParent::of([&b"\xff"[..]]), None);
    }

    #[test]
    fn a_trace_is_the_providers_or_the_events() {
        let event = EventId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        let stored = |value: &str| Headers::read(&serde_json::to_string(&[("Traceparent", value)]).unwrap());
        assert_eq!(Trace::of_stored(event, &stored(GIVEN)).id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(Trace::of_stored(event, &stored("nonsense")), Trace { id: event.uuid().as_u128(), provider: None });
        assert_eq!(arrival(event), 0x8000_0000_0000_0001);
    }

    #[test]
    fn what_the_provider_decided_is_decided_and_of_the_rest_a_part_is_told() {
        let begun = |random: u128| Trace { id: 0x0190_0000_0000_7000_8000_0000_0000_0000 | random, provider: None };
        let (half, last) = (begun(1 << 55), begun((1 << 56) - 1));
        for (ratio, trace, told) in [
            (0.0, last, false),
            (0.5, begun((1 << 55) - 1), false),
            (0.5, half, true),
            (0.5, last, true),
            (1.0, begun(0), true),
        ] {
            let sampling = Sampling::of(Ratio::new(ratio).unwrap());
            assert_eq!((sampling.tells(&trace), sampling.flag(&trace)), (told, told), "{ratio}: {trace:?}");
        }
        for sampled in [true, false] {
            let given = Trace { provider: Some(TraceParent { trace: 1, span: 1, sampled }), id: 1 };
            for sampling in [Sampling::Off, Sampling::From(0), Sampling::From(1 << RANDOM)] {
                assert_eq!(sampling.tells(&given), sampled && sampling != Sampling::Off, "{sampling:?}");
                assert_eq!(sampling.flag(&given), sampled, "{sampling:?}");
            }
        }
        assert!(Sampling::Off.flag(&half), "as long as nobody decides, a destination decides for itself");
    }
}
