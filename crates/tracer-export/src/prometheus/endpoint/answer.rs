//! What is answered to a request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};

use crate::{metrics::measuring::Shared, prometheus::exposition::Exposition};
use tracer_health as health;

/// Who asks again within this time gets the same text: a flood of requests takes no more time than
/// ten of them a second.
const FRESH: Duration = Duration::from_millis(100);

/// Whether all threads work; for a liveness probe.
pub(super) const HEALTHZ: &str = "/healthz";
/// Whether the trace has begun; for a readiness probe.
pub(super) const READYZ: &str = "/readyz";

/// What people see who follow a link of Prometheus.
const LANDING: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\"><head><title>tracer</title></head><body>\n",
    "<h1>tracer ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>TCP connection states of this host.</p>\n",
    "<ul><li><a href=\"/metrics\">Metrics</a></li>\n",
    "<li><a href=\"/healthz\">Health</a></li>\n",
    "<li><a href=\"/readyz\">Readiness</a></li></ul>\n</body></html>\n"
);

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

    /// The answer to a request that may be made.
    pub(super) fn to(
        &self,
        method: &Method,
        path: &str,
        accept: Option<&str>,
    ) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => {
                let exposition = Exposition::accepted(accept);
                let text = self.metrics(exposition);
                response(StatusCode::OK, exposition.content_type(), text)
            }
            "/" => response(StatusCode::OK, "text/html; charset=utf-8", LANDING.into()),
            HEALTHZ => match health::trouble() {
                None => plain(StatusCode::OK, "ok\n"),
                Some(trouble) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")),
            },
            READYZ if self.shared.has_begun() => plain(StatusCode::OK, "ok\n"),
            READYZ => plain(StatusCode::SERVICE_UNAVAILABLE, "the trace has not begun\n"),
            _ => plain(StatusCode::NOT_FOUND, "there is no such page: see /\n"),
        }
    }

    fn metrics(&self, exposition: Exposition) -> Bytes {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|one| one.at.elapsed() < FRESH);
        if let Some(one) = written.iter().find(|one| one.exposition == exposition) {
            return one.text.clone();
        }
        let text = Bytes::from(exposition.write_all(self.shared.families()));
        written.push(Written { exposition, at: Instant::now(), text: text.clone() });
        text
    }
}

/// The answer to whoever does not say who he is, or not rightly.
pub(super) fn unauthorized() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::UNAUTHORIZED, "a user and a password, please\n");
    let challenge = HeaderValue::from_static("Basic realm=\"tracer\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.into())
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
