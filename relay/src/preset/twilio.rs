//! Twilio: messages and calls.

use chrono::DateTime;

use super::{Authentication, Dedupe, EventType, Extracted, Places, Preset, Scheme};
use crate::inbound::Inbound;
use crate::place::Place;
use crate::verification::{Twilio, Verification};

/// The callback about a message in this status.
macro_rules! message_of {
    ($status:literal) => {
        concat!(
            "AccountSid=AC00000000000000000000000000000000&ApiVersion=2010-04-01&From=%2B15017122661",
            "&MessageSid=SM1234567890abcdef1234567890abcdef&MessageStatus=",
            $status,
            "&SmsSid=SM1234567890abcdef1234567890abcdef&SmsStatus=",
            $status,
            "&To=%2B15558675310",
        )
    };
}

/// The callback about a call in this status.
macro_rules! call_of {
    ($status:literal) => {
        concat!(
            "AccountSid=AC00000000000000000000000000000000&ApiVersion=2010-04-01",
            "&CallSid=CA1234567890abcdef1234567890abcdef&CallStatus=",
            $status,
            "&CallbackSource=call-progress-events&Direction=outbound-api&From=%2B15017122661&SequenceNumber=3",
            "&Timestamp=Tue%2C+31+Aug+2010+20%3A36%3A28+%2B0000&To=%2B15558675310",
        )
    };
}

macro_rules! message {
    ($status:literal, $description:literal) => {
        EventType { name: $status, description: $description, samples: &[message_of!($status)] }
    };
}

macro_rules! call {
    ($status:literal, $description:literal) => {
        EventType { name: $status, description: $description, samples: &[call_of!($status)] }
    };
}

pub(super) static PRESET: Preset = Preset {
    name: "twilio",
    title: "Twilio",
    description: "Messages and calls, and how they went.",
    notes: &[
        "Enter the source's URL as the status callback of messages and calls, or as the webhook of a number.",
        "Put the auth token of the account that sends into an `hmac` credential. While you change it, keep the primary and the secondary token.",
        "The URL is signed. If a proxy before Hookyard changes it, write what Twilio calls into the verification's `public_url`.",
        "The event type is the status of the message or call, such as `delivered`; of Event Streams, the type of the first event.",
        "Webhooks that wait for TwiML cannot go through a relay: your application has to answer them itself.",
        "A failed callback is sent once unless you ask for more with connection overrides in the URL's fragment.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-twilio-signature",
        is_default: true,
        verification: Verification::Twilio(Twilio { public_url: None }),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-twilio-signature"],
    extract: Places {
        event_type: Some(
            "form:MessageStatus or form:SmsStatus or form:RecordingStatus or form:CallStatus or json:/0/type",
        ),
        derived_type: None,
        // What is signed goes first. A call has the status `in-progress` more than once, so it is not enough alone.
        external_id: Some(
            "form:MessageSid + form:MessageStatus or form:MessageSid + form:SmsStatus or form:RecordingSid + form:RecordingStatus or form:CallSid + form:CallStatus + form:SequenceNumber or json:/0/id or header:i-twilio-idempotency-token",
        ),
        occurred_at: Some("form:Timestamp or json:/0/time"),
        request_id: None,
        attributes: &[
            ("message_sid", "form:MessageSid"),
            ("call_sid", "form:CallSid"),
            ("account_sid", "form:AccountSid"),
            ("error_code", "form:ErrorCode"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &[
        message!("queued", "A message waits to be sent."),
        message!("sending", "A message is being sent."),
        message!("sent", "A message was handed to the carrier."),
        message!("delivered", "A message arrived."),
        message!("undelivered", "A message did not arrive."),
        message!("read", "A message was read, where the channel tells."),
        message!("received", "A message was sent to your number."),
        message!("failed", "A message or call could not be made."),
        call!("initiated", "A call was begun."),
        call!("ringing", "A call rings."),
        call!("in-progress", "A call was answered."),
        call!("completed", "A call ended."),
        call!("busy", "The called number was busy."),
        call!("no-answer", "Nobody answered a call."),
        call!("canceled", "A call was cancelled before it was answered."),
    ],
    sample: message_of!("delivered"),
    refine: Some(refine),
};

/// Twilio writes the time of a call as emails do (RFC 2822).
fn refine(inbound: &Inbound<'_>, extracted: &mut Extracted) {
    extracted.occurred_at = extracted.occurred_at.or_else(|| {
        let time = Place::form("Timestamp").read(inbound)?;
        Some(DateTime::parse_from_rfc2822(&time).ok()?.timestamp_millis())
    });
}

#[cfg(test)]
mod tests {
    use super::super::Extract;
    use super::super::tests::inbound;
    use super::*;

    const MESSAGE: &str = message_of!("delivered");
    const CALL: &str = call_of!("completed");

    #[test]
    fn what_twilio_documents_is_read() {
        for (body, event_type, id, time) in [
            (MESSAGE, Some("delivered"), Some("SM1234567890abcdef1234567890abcdef:delivered"), None),
            (CALL, Some("completed"), Some("CA1234567890abcdef1234567890abcdef:completed:3"), Some(1_283_286_988_000)),
            ("MessageSid=SM1&SmsStatus=received", Some("received"), Some("SM1:received"), None),
            ("CallSid=CA1&CallStatus=in-progress", Some("in-progress"), None, None),
            (
                r#"[{"id": "EZ1", "type": "com.twilio.messaging.message.sent", "time": "2020-07-31T20:38:34.000Z"}]"#,
                Some("com.twilio.messaging.message.sent"),
                Some("EZ1"),
                Some(1_596_227_914_000),
            ),
        ] {
            let extracted = Extract::of(&PRESET, &Extract::default()).read(&PRESET, &inbound(body.as_bytes()));
            assert_eq!(extracted.event_type.as_deref(), event_type, "{body}");
            assert_eq!(extracted.external_id.as_deref(), id, "{body}");
            assert_eq!(extracted.occurred_at, time, "{body}");
        }
    }
}
