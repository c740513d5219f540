//! Ids as the API shows them: a prefix that names the kind and a `UUIDv7` in base32, as `TypeID` has it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

pub use uuid::Uuid;

/// What an id is the id of. A wrong kind does not parse, so two ids of different kinds cannot be swapped.
pub trait Kind: 'static {
    /// Stands before the underscore.
    const PREFIX: &'static str;
    /// The word for people.
    const NAME: &'static str;
}

macro_rules! kinds {
    ($($kind:ident $id:ident $prefix:literal $name:literal),* $(,)?) => {
        /// The kinds of ids there are.
        pub mod kind {
            $(
                #[doc = concat!("The id of ", $name, ".")]
                #[derive(Debug, Clone, Copy)]
                pub enum $kind {}
                impl super::Kind for $kind {
                    const PREFIX: &'static str = $prefix;
                    const NAME: &'static str = $name;
                }
            )*
        }
        $(
            #[doc = concat!("`", $prefix, "_…`: the id of ", $name, ".")]
            pub type $id = Id<kind::$kind>;
        )*
    };
}

kinds! {
    Tenant TenantId "ten" "a tenant",
    Source SourceId "src" "a source",
    Destination DestinationId "dst" "a destination",
    Subscription SubscriptionId "sub" "a subscription",
    Event EventId "evt" "an event",
    Delivery DeliveryId "dlv" "a delivery",
    ApiKey ApiKeyId "key" "an API key",
    Credential CredentialId "crd" "a credential",
    Rejection RejectionId "rej" "a rejection",
    AuditEntry AuditId "aud" "an audit entry",
    Replay ReplayId "rpl" "a replay",
}

/// A `UUIDv7` that knows what it identifies.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// Not an id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of {0}")]
pub struct NotAnId(pub &'static str);

impl<K: Kind> Id<K> {
    /// A new id that says it was made at `now` (milliseconds since 1970).
    #[must_use]
    pub fn at(now: i64) -> Self {
        let random = crate::random::bytes::<10>();
        Self::from(uuid::Builder::from_unix_timestamp_millis(now.unsigned_abs(), &random).into_uuid())
    }

    /// The row's key.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// When the id says it was made, in milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        millis_of(self.0)
    }
}

/// The time in a `UUIDv7`, in milliseconds since 1970.
#[must_use]
pub fn millis_of(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).expect("48 bits fit")
}

/// The smallest uuid of a millisecond: ids made in it or later are not below it.
#[must_use]
pub fn first_of(millis: i64) -> Uuid {
    Uuid::from_u128(u128::from(millis.max(0).unsigned_abs()) << 80)
}

impl<K> From<Uuid> for Id<K> {
    fn from(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
}

/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in fives; the first digit holds only three.
const DIGITS: usize = 26;

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        let mut text = [0; DIGITS];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = ALPHABET[(bits >> (5 * place)) as usize & 31];
        }
        write!(out, "{}_{}", K::PREFIX, std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        parse(text, K::PREFIX).map(Self::from).ok_or(NotAnId(K::NAME))
    }
}

fn parse(text: &str, prefix: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?.as_bytes();
    if digits.len() != DIGITS || digits[0] > b'7' {
        return None;
    }
    digits
        .iter()
        .try_fold(0u128, |bits, digit| {
            let value = ALPHABET.iter().position(|letter| letter == digit)?;
            Some(bits << 5 | value as u128)
        })
        .map(Uuid::from_u128)
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself_and_as_no_other_kind() {
        let id = EventId::at(1_700_000_000_123);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.millis(), 1_700_000_000_123);
        assert_eq!(id.to_string().parse::<DeliveryId>(), Err(NotAnId("a delivery")));
    }

    #[test]
    fn the_published_vectors_of_typeid_hold() {
        for (uuid, text) in [
            (0u128, "evt_00000000000000000000000000"),
            (0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881, "evt_01h2xcejqtf2nbrexx3vqjhp41"),
            (u128::MAX, "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        ] {
            assert_eq!(EventId::from(Uuid::from_u128(uuid)).to_string(), text);
            assert_eq!(text.parse(), Ok(EventId::from(Uuid::from_u128(uuid))));
        }
    }

    #[test]
    fn what_is_not_exactly_an_id_is_refused() {
        for text in [
            "",
            "evt",
            "evt_",
            "01h2xcejqtf2nbrexx3vqjhp41",
            "evt_01h2xcejqtf2nbrexx3vqjhp4",
            "evt_01h2xcejqtf2nbrexx3vqjhp411",
            "evt_81h2xcejqtf2nbrexx3vqjhp41",
            "evt_01H2XCEJQTF2NBREXX3VQJHP41",
            "evt_01h2xcejqtf2nbrexx3vqjhpu1",
            "EVT_01h2xcejqtf2nbrexx3vqjhp41",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
