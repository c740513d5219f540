//! Bodies as Ondato writes them.

use serde_json::json;
use uuid::Uuid;

/// An event of this type with an id of its own.
#[must_use]
pub fn event(event_type: &str) -> Vec<u8> {
    event_with_id(event_type, &Uuid::now_v7().to_string())
}

#[must_use]
pub fn event_with_id(event_type: &str, id: &str) -> Vec<u8> {
    json!({
        "Id": id,
        "ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
        "CreatedUtc": "2022-07-26T07:16:41.873Z",
        "Payload": { "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "status": "Approved" },
        "Type": event_type,
    })
    .to_string()
    .into_bytes()
}

/// The type that most scenarios use.
pub const APPROVED: &str = "KycIdentification.Approved";
