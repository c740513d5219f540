//! PayPal's own scheme: a signature by a certificate of theirs, whose URL comes with the request.
//!
//! Of the body only the CRC-32 is signed, which is easily forged by whoever holds one signed request: only what PayPal
//! sends once must be taken once, so its events are to be told apart by the transmission's id or the event's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use crc::{CRC_32_ISO_HDLC, Crc};
use secrecy::ExposeSecret;

use super::{Failure, Keys, Presented, Remote};
use crate::id::CredentialId;
use crate::inbound::Inbound;

use certificate::Signer;

pub(super) mod certificate;

/// The only one that PayPal has.
const ALGORITHM: &str = "SHA256withRSA";

/// How old a transmission may be, in milliseconds. PayPal tries for three days and does not say whether each try is
/// signed anew, so three days and some are needed; a captured request cannot be sent again within them, as ids of
/// events are remembered for seven.
const OLDEST: i64 = 4 * 24 * 60 * 60 * 1000;

/// How far ahead of ours its clock may be, in milliseconds.
const AHEAD: i64 = 5 * 60 * 1000;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What comes in the headers.
struct Transmission<'a> {
    id: &'a str,
    time: &'a str,
    signature: Vec<u8>,
    certificate_url: &'a str,
}

/// Whether PayPal sent the request to a webhook of ours, and to which.
pub(super) async fn verify(request: &Presented<'_>, keys: &Keys, remote: &Remote) -> Result<CredentialId, Failure> {
    let party = keys.external.first().ok_or(Failure::NoCredential)?.id.uuid().as_u128();
    let transmission = Transmission::read(&request.inbound)?;
    transmission.check_time(request.now)?;
    let signer = Signer::fetch(transmission.certificate_url, party, request.now, remote).await?;
    let crc = CRC.checksum(request.inbound.body);
    let signed_for = keys.external.iter().find(|webhook| {
        let message = format!("{}|{}|{}|{crc}", transmission.id, transmission.time, webhook.value.expose_secret());
        signer.signed(message.as_bytes(), &transmission.signature)
    });
    signed_for.map(|webhook| webhook.id).ok_or(Failure::Mismatch)
}

impl<'a> Transmission<'a> {
    fn read(inbound: &Inbound<'a>) -> Result<Self, Failure> {
        let [id, time, signature, certificate_url, algorithm] = [
            "paypal-transmission-id",
            "paypal-transmission-time",
            "paypal-transmission-sig",
            "paypal-cert-url",
            "paypal-auth-algo",
        ]
        .map(|name| header(inbound, name));
        let (id, time) = (id?, time?);
        let signature = STANDARD.decode(signature?).map_err(|_| Failure::Malformed)?;
        let certificate_url = certificate_url?;
        // A bar in a field could be read as the end of it.
        let is_read = algorithm? == ALGORITHM && !id.is_empty() && !id.contains('|');
        if is_read { Ok(Self { id, time, signature, certificate_url }) } else { Err(Failure::Malformed) }
    }

    fn check_time(&self, now: i64) -> Result<(), Failure> {
        let sent = DateTime::parse_from_rfc3339(self.time).map_err(|_| Failure::Malformed)?.timestamp_millis();
        if (now - OLDEST..=now + AHEAD).contains(&sent) { Ok(()) } else { Err(Failure::Stale) }
    }
}

fn header<'a>(inbound: &Inbound<'a>, name: &str) -> Result<&'a str, Failure> {
    let mut values = inbound.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Failure::Malformed),
        (None, _) => Err(Failure::Missing),
        (Some(_), Some(_)) => Err(Failure::Repeated),
    }
}

#[cfg(test)]
pub(super) mod tests;
