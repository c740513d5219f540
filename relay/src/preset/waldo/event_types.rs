//! The event types that Waldo documents. The bodies are made from the shapes of its public documentation, in which
//! `warningTags` is an array in one place and an object in another.

use super::super::EventType;

pub(super) const EVENT_TYPES: &[EventType] = &[
    EventType {
        name: "onboard",
        description: "A customer was approved or rejected in Waldo's dashboard.",
        samples: &[
            r#"{
  "event": "onboard",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "evaluation": {"type": "kyc", "status": "completed"},
  "validation": {"status": "APPROVED", "kyc": "PASSED", "fraudScore": 0.08}
}"#,
            r#"{
  "event": "onboard",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "requestId": "q7Zt3LxW0a",
  "evaluation": {"type": "kyc", "status": "completed"},
  "validation": {"status": "ACCEPTED", "kyc": "PASSED", "fraudScore": 0.12}
}"#,
            r#"{
  "event": "onboard",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "validation": {"status": "REVIEW", "kyc": "PENDING", "fraudScore": 0.5}
}"#,
        ],
    },
    EventType {
        name: "flag",
        description: "A customer was marked as a fraud risk in Waldo's dashboard, or the mark was taken away.",
        samples: &[
            r#"{
  "event": "flag",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "flag": true
}"#,
            r#"{
  "event": "flag",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "flag": false
}"#,
        ],
    },
    EventType {
        name: "evaluation",
        description: "An evaluation of a customer was asked for, in the dashboard or through the API, or went on.",
        samples: &[
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "requestId": "q7Zt3LxW0a",
  "evaluation": {"type": "kyc", "status": "completed"},
  "validation": {"status": "APPROVED", "kyc": "PASSED", "fraudScore": 0.08, "fraudFlag": false, "warnings": 0, "warningTags": []},
  "errors": []
}"#,
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "requestId": "q7Zt3LxW0a",
  "evaluation": {"type": "kyc", "status": "initiated"},
  "errors": []
}"#,
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "evaluation": {"type": "fraud", "status": "in_progress"},
  "errors": []
}"#,
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "evaluation": {"type": "fraud", "status": "completed"},
  "validation": {"status": "REVIEW", "kyc": "PENDING", "fraudScore": 0.91, "fraudFlag": true, "warnings": 1, "warningTags": {"velocity": {"tag": "velocity", "label": "Many attempts in a short time", "passed": false}}},
  "errors": []
}"#,
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "requestId": "q7Zt3LxW0a",
  "evaluation": {"type": "document", "status": "completed"},
  "validation": {"status": "REVIEW", "kyc": "PENDING", "fraudScore": 0.3, "fraudFlag": false, "warnings": 1, "warningTags": [{"tag": "document_expired", "label": "The document has expired", "passed": false}]},
  "errors": []
}"#,
            r#"{
  "event": "evaluation",
  "customerId": "64b7f0c2a9d3e815f7c04b21",
  "externalId": "customer-1042",
  "uri": "https://dashboard.example.com/customers/64b7f0c2a9d3e815f7c04b21",
  "requestId": "q7Zt3LxW0a",
  "evaluation": {"type": "document", "status": "failed"},
  "errors": ["The image cannot be read"]
}"#,
        ],
    },
];
