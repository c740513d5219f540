//! An operator's collector of spans (OTLP over HTTP): keeps what it is told, read by OpenTelemetry's own messages.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message;

use crate::receiver::Receiver;
use crate::wait::eventually;

/// A handle; all clones are one collector.
#[derive(Debug, Clone)]
pub struct Collector(Receiver);

/// One span, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The program that told it.
    pub program: String,
    pub name: String,
    /// In hexadecimal, as `traceparent` has them.
    pub trace: String,
    pub id: String,
    /// Empty: the trace begins with it.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    /// What went wrong; None: nothing.
    pub error: Option<String>,
    /// Nanoseconds since 1970.
    pub began: u64,
    pub ended: u64,
}

impl Collector {
    pub async fn start() -> Self {
        Self(Receiver::start().await)
    }

    /// What the relay is told as `HOOKYARD_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.0.url_of("")
    }

    /// Who posts here, with everything.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.0
    }

    /// All spans that came so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let posted = self.0.requests().into_iter().filter(|request| request.path == "/v1/traces");
        posted.flat_map(|request| read(&request.body)).collect()
    }

    /// Waits until it has heard so many spans of this name.
    pub async fn heard(&self, name: &str, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans named {name}"), async || {
            let found: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }
}

fn read(body: &[u8]) -> Vec<Span> {
    let told = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = Vec::new();
    for of_resource in told.resource_spans {
        let resource = texts(of_resource.resource.unwrap().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                program: resource["service.name"].clone(),
                name: span.name,
                trace: hex(&span.trace_id, 16),
                id: hex(&span.span_id, 8),
                parent: if span.parent_span_id.is_empty() { String::new() } else { hex(&span.parent_span_id, 8) },
                attributes: texts(span.attributes),
                error: span.status.filter(|status| status.code == 2).map(|status| status.message),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
            });
        }
    }
    spans
}

/// As the standard wants it: this long, and not nought.
fn hex(id: &[u8], length: usize) -> String {
    assert!(id.len() == length && id.iter().any(|byte| *byte != 0), "{id:?}");
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("neither a text nor a number: {other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}
