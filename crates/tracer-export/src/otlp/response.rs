//! What a receiver's answer means: accepted, rejected, or to be retried
//! (<https://opentelemetry.io/docs/specs/otlp/#failures>).

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use percent_encoding::percent_decode_str;
use prost::Message;

use tracer_event::escape::escape;

/// The longest wait that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(300);
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Accepted, except for this number of records or points, for the reason given.
    Taken { rejected: u64, reason: String },
    /// Rejected for good.
    Refused(String),
    /// To be retried, not before this time.
    Later { reason: String, after: Option<Duration> },
}

/// google/rpc/status.proto.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// google/rpc/error_details.proto.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Seconds>,
}

#[derive(Clone, PartialEq, Message)]
struct Seconds {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// An answer by HTTP.
pub(super) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    if status.is_success() {
        return taken(body);
    }
    let said = Status::decode(body).map(|status| status.message).unwrap_or_default();
    let reason = words(&status.to_string(), &said);
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Later { reason, after: retry_after(headers) },
        _ => Answer::Refused(reason),
    }
}

/// An answer by gRPC; its status is in the trailers, or in the headers where there is no body.
pub(super) fn grpc(headers: &HeaderMap, trailers: Option<&HeaderMap>, body: &[u8]) -> Answer {
    let find = |name: &str| {
        let value = trailers.and_then(|trailers| trailers.get(name)).or_else(|| headers.get(name));
        value.and_then(|value| value.to_str().ok())
    };
    let Some(code) = find("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
        let reason = "the answer has no gRPC status".to_owned();
        return Answer::Later { reason, after: None };
    };
    if code == 0 {
        // A message follows a byte for compression, which was not offered, and four of its length.
        return taken(body.get(5..).unwrap_or_default());
    }
    let said = percent_decode_str(find("grpc-message").unwrap_or_default());
    let reason = words(&format!("gRPC status {code}"), &said.decode_utf8_lossy());
    let after = find("grpc-status-details-bin").and_then(retry_info);
    match code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Later { reason, after },
        // RESOURCE_EXHAUSTED: only if the receiver says when it will be over.
        8 if after.is_some() => Answer::Later { reason, after },
        _ => Answer::Refused(reason),
    }
}

/// The response to an export of metrics has the same fields.
fn taken(body: &[u8]) -> Answer {
    let response = ExportLogsServiceResponse::decode(body).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    let reason = escape(partial.error_message.as_bytes()).into_owned();
    Answer::Taken { rejected: u64::try_from(partial.rejected_log_records).unwrap_or(0), reason }
}

fn words(what: &str, said: &str) -> String {
    let said: String = escape(said.trim().as_bytes()).chars().take(200).collect();
    if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
}

/// Seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse().map(Duration::from_secs).ok();
    let until = || {
        let date = jiff::fmt::rfc2822::parse(value).ok()?;
        Duration::try_from(date.timestamp().duration_since(jiff::Timestamp::now())).ok()
    };
    seconds.or_else(until).map(|after| after.min(LONGEST))
}

fn retry_info(details: &str) -> Option<Duration> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(details.trim_end_matches('=')).ok()?;
    let status = Status::decode(bytes.as_slice()).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.delay?;
    let (seconds, nanos) = (delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?);
    Some(Duration::new(seconds, nanos).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn later(reason: &str, after: Option<u64>) -> Answer {
        Answer::Later { reason: reason.to_owned(), after: after.map(Duration::from_secs) }
    }

    fn refused(reason: &str) -> Answer {
        Answer::Refused(reason.to_owned())
    }

    #[rstest]
    #[case(503, &[("retry-after", "7")], later("503 Service Unavailable", Some(7)))]
    #[case(429, &[("retry-after", "100000")], later("429 Too Many Requests", Some(300)))]
    #[case(502, &[], later("502 Bad Gateway", None))]
    #[case(504, &[("retry-after", "soon")], later("504 Gateway Timeout", None))]
    #[case(400, &[], refused("400 Bad Request"))]
    #[case(404, &[("retry-after", "7")], refused("404 Not Found"))]
    #[case(500, &[], refused("500 Internal Server Error"))]
    fn http_is_retried_as_specified(
        #[case] status: u16,
        #[case] given: &[(&'static str, &str)],
        #[case] answer: Answer,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(http(status, &headers(given), b""), answer);
    }

    fn details() -> String {
        let info = RetryInfo { delay: Some(Seconds { seconds: 3, nanos: 0 }) };
        let any = Any { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() };
        let status = Status { message: String::new(), details: vec![any] };
        BASE64_STANDARD_NO_PAD.encode(status.encode_to_vec())
    }

    #[rstest]
    #[case(14, false, later("gRPC status 14: a b", None))]
    #[case(14, true, later("gRPC status 14: a b", Some(3)))]
    #[case(8, true, later("gRPC status 8: a b", Some(3)))]
    #[case(8, false, refused("gRPC status 8: a b"))]
    #[case(3, true, refused("gRPC status 3: a b"))]
    #[case(16, false, refused("gRPC status 16: a b"))]
    fn grpc_is_retried_as_specified(
        #[case] code: u32,
        #[case] with_details: bool,
        #[case] answer: Answer,
    ) {
        let code = code.to_string();
        let mut given = headers(&[("grpc-status", &code), ("grpc-message", "a%20b")]);
        if with_details {
            given.insert("grpc-status-details-bin", details().parse().unwrap());
        }
        assert_eq!(grpc(&HeaderMap::new(), Some(&given), b""), answer);
        assert_eq!(grpc(&given, None, b""), answer);
    }

    #[test]
    fn what_is_rejected_in_part_is_told() {
        let error_message = "too old\x1b[2J".to_owned();
        let partial = ExportLogsPartialSuccess { rejected_log_records: 5, error_message };
        let body = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let answer = Answer::Taken { rejected: 5, reason: "too old\\x1b[2J".to_owned() };
        assert_eq!(http(StatusCode::OK, &HeaderMap::new(), &body), answer);
        let framed = [&[0, 0, 0, 0, body.len() as u8], body.as_slice()].concat();
        assert_eq!(grpc(&headers(&[("grpc-status", "0")]), None, &framed), answer);
        let all = Answer::Taken { rejected: 0, reason: String::new() };
        assert_eq!(http(StatusCode::OK, &HeaderMap::new(), b""), all);
    }
}
