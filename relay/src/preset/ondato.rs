//! Ondato: identity verification of persons (KYC) and of companies (KYB).

use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::Verification;

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "ondato",
    title: "Ondato",
    description: "Identity verification of persons and companies.",
    notes: &[
        "Give Ondato's support the source's URL, the events you want, and a credential of the source: a user name and password (`basic`), or a client id, client secret and token URL (`oauth2_client`).",
        "Events may arrive out of order: compare `occurred_at`.",
        "Nothing is signed: the credential and the source addresses prove the sender. The addresses have changed before: compare them with the `remote_address` of events rather than trust them alone.",
        "Types `IdentityVerification.*` were called `Idv.*` in earlier versions; the first letter of a key may be in either case.",
    ],
    authentication: &[Authentication::Basic, Authentication::Oauth2Client],
    schemes: &[Scheme { name: "credentials", is_default: true, verification: Verification::Credentials {} }],
    source_addresses: &["20.31.227.231", "20.76.229.117", "20.76.229.248", "213.226.187.101"],
    handshakes: &[],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/Type or json:/type"),
        derived_type: None,
        external_id: Some("json:/Id or json:/id"),
        occurred_at: Some("json:/CreatedUtc or json:/createdUtc"),
        request_id: None,
        attributes: &[("application_id", "json:/ApplicationId or json:/applicationId")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: event_types::EVENT_TYPES,
    sample: "{}",
    refine: None,
};

#[cfg(test)]
mod tests {
    use super::super::Extracted;
    use super::super::tests::inbound;
    use super::*;

    fn read(body: &str) -> Extracted {
        let extracted =
            super::super::Extract::of(&PRESET, &Default::default()).read(&PRESET, &inbound(body.as_bytes()));
        Extracted { attributes: Vec::new(), ..extracted }
    }

    #[test]
    fn the_documents_own_sample_is_read() {
        let form = PRESET.event_type("Form.Created").unwrap().samples[0];
        let expected = Extracted {
            event_type: Some("Form.Created".into()),
            external_id: Some("45a51829-965c-49ac-8fbb-940aa3d8486f".into()),
            occurred_at: Some(1_658_819_801_873),
            ..Extracted::default()
        };
        assert_eq!(read(form), expected);
        let lower = form
            .replace(r#""Id""#, r#""id""#)
            .replace(r#""Type""#, r#""type""#)
            .replace(r#""CreatedUtc""#, r#""createdUtc""#)
            .replace(r#""Payload""#, r#""payload""#);
        assert_eq!(read(&lower), expected);
    }

    #[test]
    fn the_parts_stand_alone() {
        for (body, event_type, external_id, occurred_at) in [
            (r#"{"Type": "Idv.StatusChanged", "Id": "1"}"#, Some("Idv.StatusChanged"), Some("1"), None),
            (r#"{"Type": [5], "Id": "1", "CreatedUtc": "soon"}"#, None, Some("1"), None),
            (r#"{"type": "a", "Type": "b", "id": "1", "Id": "2"}"#, Some("b"), Some("2"), None),
            (r#"{"TYPE": "a", "ID": "1"}"#, None, None, None),
            (r#"{"Payload": {"id": "1", "Type": "a"}}"#, None, None, None),
            (r#"{"Id": "a\u0000", "CreatedUtc": "1970-01-01T00:00:00Z"}"#, None, None, Some(0)),
            ("not json", None, None, None),
            ("", None, None, None),
        ] {
            let extracted = read(body);
            assert_eq!(extracted.event_type.as_deref(), event_type, "{body}");
            assert_eq!(extracted.external_id.as_deref(), external_id, "{body}");
            assert_eq!(extracted.occurred_at, occurred_at, "{body}");
            assert_eq!((extracted.derived_type, extracted.request_id), (None, None), "{body}");
        }
    }

    #[test]
    fn the_catalogue_is_the_documents_table_and_its_sample() {
        assert_eq!(PRESET.event_types.len(), 15);
    }
}
