//! The event types that Ondato documents: the table of its webhook page, and the one that its sample shows.
//!
//! The bodies have the envelope of that sample; a real `Payload` is what a GET of the resource returns, and so holds more.

use super::super::EventType;

pub(super) const EVENT_TYPES: &[EventType] = &[
    EventType {
        name: "IdentityVerification.Consented",
        description: "A person accepted the consent agreement of a new identification.",
        samples: &[r#"{
	"Id": "6513270e-269e-4d37-b2a7-4de452e6b438",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:16:41.873Z",
	"Payload": {
		"id": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:02.119Z",
		"status": "Unfinished"
	},
	"Type": "IdentityVerification.Consented"
}"#],
    },
    EventType {
        name: "IdentityVerification.StatusChanged",
        description: "An identity verification has a new status.",
        samples: &[r#"{
	"Id": "d23f0824-128b-4f33-8c5c-7fd0a6a3a450",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:17:41.873Z",
	"Payload": {
		"id": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:02.119Z",
		"status": "Completed"
	},
	"Type": "IdentityVerification.StatusChanged"
}"#],
    },
    EventType {
        name: "KycIdentification.Created",
        description: "A person began the KYC step.",
        samples: &[r#"{
	"Id": "9531985d-5d9d-49f8-9818-e811892f902b",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:18:41.873Z",
	"Payload": {
		"id": "3b1b5a3e-6f0b-4c0f-9a55-0f1f0c6f6c11",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:40.006Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Unfinished"
	},
	"Type": "KycIdentification.Created"
}"#],
    },
    EventType {
        name: "KycIdentification.Processed",
        description: "A person finished the KYC step; a decision is still to come.",
        samples: &[r#"{
	"Id": "36f675cc-81e7-4ef5-a8e2-5d940ed90475",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:19:41.873Z",
	"Payload": {
		"id": "3b1b5a3e-6f0b-4c0f-9a55-0f1f0c6f6c11",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:40.006Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Processed"
	},
	"Type": "KycIdentification.Processed"
}"#],
    },
    EventType {
        name: "KycIdentification.Approved",
        description: "A KYC identification was approved, by hand or automatically.",
        samples: &[r#"{
	"Id": "6b0d549b-6f03-475a-9600-a35a099950d8",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:20:41.873Z",
	"Payload": {
		"id": "3b1b5a3e-6f0b-4c0f-9a55-0f1f0c6f6c11",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:40.006Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Approved"
	},
	"Type": "KycIdentification.Approved"
}"#],
    },
    EventType {
        name: "KycIdentification.Updated",
        description: "Someone changed the document data of a KYC identification in Ondato's portal.",
        samples: &[r#"{
	"Id": "8d116ece-1738-47d9-bd9c-172411e20b8f",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:21:41.873Z",
	"Payload": {
		"id": "3b1b5a3e-6f0b-4c0f-9a55-0f1f0c6f6c11",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:40.006Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Approved"
	},
	"Type": "KycIdentification.Updated"
}"#],
    },
    EventType {
        name: "KycIdentification.Rejected",
        description: "A KYC identification was rejected, by hand or automatically.",
        samples: &[r#"{
	"Id": "90c192cf-d3ac-44af-8f21-ddb66cad4a26",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:22:41.873Z",
	"Payload": {
		"id": "3b1b5a3e-6f0b-4c0f-9a55-0f1f0c6f6c11",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:14:40.006Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Rejected"
	},
	"Type": "KycIdentification.Rejected"
}"#],
    },
    EventType {
        name: "KybIdentification.Created",
        description: "A company's form for business onboarding was filled in completely.",
        samples: &[r#"{
	"Id": "a170b338-3926-4059-b28c-105d1fb17c23",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:23:41.873Z",
	"Payload": {
		"id": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:10:12.450Z",
		"status": "Created"
	},
	"Type": "KybIdentification.Created"
}"#],
    },
    EventType {
        name: "KybIdentification.Approved",
        description: "Every KYC identification of a company was approved and every registry check confirmed it.",
        samples: &[r#"{
	"Id": "0fd630f1-f29d-4da9-953f-48f1a09f76b5",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:24:41.873Z",
	"Payload": {
		"id": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:10:12.450Z",
		"status": "Approved"
	},
	"Type": "KybIdentification.Approved"
}"#],
    },
    EventType {
        name: "KybIdentification.Rejected",
        description: "Some KYC identification of a company was not approved, or some registry check did not confirm it.",
        samples: &[r#"{
	"Id": "0cb1e29c-658c-4a14-95e6-0af593bd04cf",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:25:41.873Z",
	"Payload": {
		"id": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:10:12.450Z",
		"status": "Rejected"
	},
	"Type": "KybIdentification.Rejected"
}"#],
    },
    EventType {
        name: "KybIdentification.Document.Created",
        description: "A document was added to a KYB identification and waits for a review (`NeedReview`).",
        samples: &[r#"{
	"Id": "8e81973e-0bec-47b0-b898-d190f9ebdacc",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:26:41.873Z",
	"Payload": {
		"id": "77d0a4f2-15f3-4f3b-8a4e-2d6f4b1c9e03",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:15:30.000Z",
		"kybIdentificationId": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"status": "NeedReview"
	},
	"Type": "KybIdentification.Document.Created"
}"#],
    },
    EventType {
        name: "KybIdentification.Document.Uploaded",
        description: "A file was uploaded for a document of a KYB identification.",
        samples: &[r#"{
	"Id": "6b4cb242-4a23-4596-a217-beaddbc496cb",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:27:41.873Z",
	"Payload": {
		"id": "77d0a4f2-15f3-4f3b-8a4e-2d6f4b1c9e03",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:15:30.000Z",
		"kybIdentificationId": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"status": "NeedReview"
	},
	"Type": "KybIdentification.Document.Uploaded"
}"#],
    },
    EventType {
        name: "KybIdentification.Document.Updated",
        description: "A document of a KYB identification was reviewed: `NeedReview` became `Validated` or `Invalidated`.",
        samples: &[r#"{
	"Id": "92276658-1e27-41c0-8a6a-63ec24ede6a4",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:28:41.873Z",
	"Payload": {
		"id": "77d0a4f2-15f3-4f3b-8a4e-2d6f4b1c9e03",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:15:30.000Z",
		"kybIdentificationId": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"status": "Validated"
	},
	"Type": "KybIdentification.Document.Updated"
}"#],
    },
    EventType {
        name: "KybIdentification.Document.Deleted",
        description: "A document was taken out of a KYB identification.",
        samples: &[r#"{
	"Id": "ae97ba94-d0ed-482f-8f6d-05584ef8aa38",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:29:41.873Z",
	"Payload": {
		"id": "77d0a4f2-15f3-4f3b-8a4e-2d6f4b1c9e03",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"createdUtc": "2022-07-26T07:15:30.000Z",
		"kybIdentificationId": "c2f6e0d7-5a7e-4a55-8f5e-6d1d0f7b2a90",
		"status": "NeedReview"
	},
	"Type": "KybIdentification.Document.Deleted"
}"#],
    },
    EventType {
        name: "Form.Created",
        description: "A form was created in an identity verification.",
        samples: &[r#"{
	"Id": "45a51829-965c-49ac-8fbb-940aa3d8486f",
	"ApplicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
	"CreatedUtc": "2022-07-26T07:16:41.873Z",
	"Payload": {
		"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
		"applicationId": "d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34",
		"setup": {
			"id": "56d0b462-6f88-4725-9a7a-578c58acd85a",
			"versionId": "5c45f048-70f5-4f11-a623-b001087b78ac"
		},
		"createdUtc": "2022-07-26T07:16:40.873Z",
		"identityVerificationId": "9eae922a-00af-4e54-830b-ca6f7fe5af16",
		"status": "Unfinished"
	},
	"Type": "Form.Created"
}"#],
    },
];
