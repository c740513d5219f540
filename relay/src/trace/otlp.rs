//! Spans in the words of OTLP, by the messages that OpenTelemetry publishes.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::tracer::{self, Kind, Value};

/// Who tells.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) program: &'static str,
    /// Tells processes of one program apart.
    pub(super) instance: String,
}

/// The body of a request to a collector.
pub(super) fn request(teller: &Teller, spans: Vec<tracer::Span>) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        attribute("service.name", teller.program.into()),
        attribute("service.version", version.into()),
        attribute("service.instance.id", teller.instance.as_str().into()),
    ];
    let scope = InstrumentationScope { name: "hookyard".to_owned(), version: version.to_owned(), ..Default::default() };
    let scope_spans =
        ScopeSpans { scope: Some(scope), spans: spans.into_iter().map(span).collect(), schema_url: String::new() };
    let resource_spans = ResourceSpans {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn span(told: tracer::Span) -> Span {
    let began = told.began_at.unsigned_abs().saturating_mul(1_000_000);
    let took = u64::try_from(told.took.as_nanos()).unwrap_or(u64::MAX);
    let kind = match told.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    Span {
        trace_id: told.trace.to_be_bytes().to_vec(),
        span_id: told.id.to_be_bytes().to_vec(),
        parent_span_id: told.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: told.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(took),
        attributes: told.attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        status: told.error.map(|message| Status { message, code: StatusCode::Error.into() }),
        ..Default::default()
    }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
