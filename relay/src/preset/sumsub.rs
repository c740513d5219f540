//! Sumsub: identity verification of persons and companies.

use std::borrow::Cow;

use chrono::NaiveDateTime;

use super::catalogue::catalogue;
use super::scheme::{RAW, header};
use super::{Authentication, Dedupe, Extracted, Places, Preset, Scheme};
use crate::inbound::Inbound;
use crate::json;
use crate::verification::{Algorithm, Encoding, Equal, Hmac, SecretForm, Template, Verification};

pub(super) static PRESET: Preset = Preset {
    name: "sumsub",
    title: "Sumsub",
    description: "Identity verification of persons and companies.",
    notes: &[
        "Add a webhook in Sumsub's dashboard (`Dev space`, `Webhooks`) with the source's URL and the types you need.",
        "Put the webhook's secret key into an `hmac` credential, and choose the signature algorithm `HMAC_SHA256_HEX`.",
        "For `HMAC_SHA512_HEX`, copy the scheme of that name into the source's `verification`. `HMAC_SHA1_HEX` is too old to be accepted.",
        "Sumsub wants an answer within 5 seconds and tries again after 5 minutes, 1 hour, 5 hours and 18 hours.",
        "The attribute `review_answer` is `GREEN` or `RED` once an applicant was reviewed.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[
        Scheme { name: "HMAC_SHA256_HEX", is_default: true, verification: digest(Algorithm::HmacSha256, SAYS_SHA256) },
        Scheme { name: "HMAC_SHA512_HEX", is_default: false, verification: digest(Algorithm::HmacSha512, SAYS_SHA512) },
    ],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-payload-digest", "x-payload-digest-alg"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: Some("json:/correlationId + json:/type + json:/createdAtMs"),
        occurred_at: Some("json:/createdAtMs"),
        request_id: None,
        attributes: &[
            ("applicant_id", "json:/applicantId"),
            ("external_user_id", "json:/externalUserId"),
            ("level_name", "json:/levelName"),
            ("review_status", "json:/reviewStatus"),
            ("review_answer", "json:/reviewResult/reviewAnswer"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("applicantCreated", "An applicant was created."),
        ("applicantPending", "An applicant uploaded all documents and waits for review."),
        ("applicantPrechecked", "The automatic part of a review was completed."),
        ("applicantOnHold", "A review was put on hold."),
        ("applicantAwaitingUser", "A review waits for the applicant."),
        ("applicantReviewed", "A review was completed."),
        ("applicantReset", "An applicant's verification was reset."),
        ("applicantLevelChanged", "An applicant was moved to another level."),
        ("applicantPersonalInfoChanged", "An applicant's personal data changed."),
        ("applicantPersonalDataDeleted", "An applicant's personal data was deleted."),
        ("applicantTagsChanged", "An applicant's tags changed."),
        ("applicantActivated", "An applicant was activated."),
        ("applicantDeactivated", "An applicant was deactivated."),
        ("applicantDeleted", "An applicant was deleted."),
        ("applicantActionPending", "An action of an applicant waits for review."),
        ("applicantActionReviewed", "An action of an applicant was reviewed."),
        ("applicantActionOnHold", "An action of an applicant was put on hold."),
        ("applicantWorkflowCompleted", "An applicant's workflow was completed."),
        ("applicantWorkflowFailed", "An applicant's workflow failed."),
        ("videoIdentStatusChanged", "The status of a video identification changed."),
    ]),
    sample: r#"{
	"applicantId": "5cb56e8e0a975a35f333cb83",
	"inspectionId": "5cb56e8e0a975a35f333cb84",
	"correlationId": "req-a260b669-4f14-4bb5-a4c5-ac0218acb9a4",
	"externalUserId": "customer-7",
	"levelName": "basic-kyc-level",
	"type": "applicantReviewed",
	"reviewResult": {"reviewAnswer": "GREEN"},
	"reviewStatus": "completed",
	"createdAtMs": "2020-02-21 13:23:19.321"
}"#,
    refine: Some(refine),
};

/// The header that names the algorithm is not signed: it may not choose one.
const fn digest(algorithm: Algorithm, also_equal: &'static [Equal]) -> Verification {
    Verification::Hmac(Hmac {
        signature: header("x-payload-digest", RAW, Encoding::Hex),
        algorithm,
        secret: SecretForm::Utf8,
        signed: Template::new("{body}"),
        timestamp: None,
        also_equal: Cow::Borrowed(also_equal),
        public_url: None,
    })
}

const SAYS_SHA256: &[Equal] = &[says("HMAC_SHA256_HEX")];
const SAYS_SHA512: &[Equal] = &[says("HMAC_SHA512_HEX")];

const fn says(algorithm: &'static str) -> Equal {
    Equal { header: Cow::Borrowed("x-payload-digest-alg"), value: Some(Cow::Borrowed(algorithm)) }
}

/// Sumsub's times name no zone; they are of UTC.
fn refine(inbound: &Inbound<'_>, extracted: &mut Extracted) {
    extracted.occurred_at = extracted.occurred_at.or_else(|| {
        let text = json::read(inbound.body, &["/createdAtMs"]).pop()??;
        let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        Some(time.and_utc().timestamp_millis())
    });
}

#[cfg(test)]
mod tests {
    use super::super::Extract;
    use super::super::tests::inbound;
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_of_utc() {
        let read =
            |body: &str| Extract::of(&PRESET, &Extract::default()).read(&PRESET, &inbound(body.as_bytes())).occurred_at;
        assert_eq!(read(PRESET.sample), Some(1_582_291_399_321));
        for (body, time) in [
            (r#"{"createdAtMs": "2020-02-21 13:23:19"}"#, Some(1_582_291_399_000)),
            (r#"{"createdAtMs": "2020-02-21T13:23:19.321Z"}"#, Some(1_582_291_399_321)),
            (r#"{"createdAtMs": "soon"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(body), time, "{body}");
        }
    }
}
