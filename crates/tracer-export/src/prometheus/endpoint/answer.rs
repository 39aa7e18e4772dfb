//! What is answered to a request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};

use crate::{metrics::measuring::Shared, prometheus::exposition::Exposition};

/// Who asks again within this time gets the same text: a flood of requests takes no more time than
/// ten of them a second.
const FRESH: Duration = Duration::from_millis(100);

/// Answers, the last of them remembered for a moment.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    shared: Shared,
    written: Arc<Mutex<Vec<Written>>>,
}

#[derive(Debug)]
struct Written {
    exposition: Exposition,
    at: Instant,
    text: Bytes,
}

impl Answers {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, written: Arc::default() }
    }

    /// The answer to a request.
    pub(super) fn to(
        &self,
        method: &Method,
        path: &str,
        accept: Option<&str>,
    ) -> Response<Full<Bytes>> {
        let (status, kind, body) = if path != "/metrics" {
            let words = Bytes::from_static(b"there is only /metrics here\n");
            (StatusCode::NOT_FOUND, "text/plain", words)
        } else if method != Method::GET && method != Method::HEAD {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::from_static(b"GET only\n"))
        } else {
            let exposition = Exposition::accepted(accept);
            (StatusCode::OK, exposition.content_type(), self.metrics(exposition))
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }

    fn metrics(&self, exposition: Exposition) -> Bytes {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|one| one.at.elapsed() < FRESH);
        if let Some(one) = written.iter().find(|one| one.exposition == exposition) {
            return one.text.clone();
        }
        let text = Bytes::from(exposition.write(self.shared.families()));
        written.push(Written { exposition, at: Instant::now(), text: text.clone() });
        text
    }
}
