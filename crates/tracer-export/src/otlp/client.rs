//! Sends requests over HTTP/1.1, with TLS or without, or as gRPC over HTTP/2: a gRPC call without streams is a POST
//! whose body has five bytes in front and whose status comes in trailers
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::{error::Error, io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, TE, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    response::{self, Answer},
    settings::{Protocol, Target},
    tls,
};
use tracer_event::escape::without_numbers;

/// Longer answers are not read.
const ANSWER: usize = 64 << 10;
/// Idle connections are closed after this time.
const IDLE: Duration = Duration::from_secs(90);

/// A connection to the receiver of a signal; it is re-established when it breaks.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(target.timeout));
        connector.set_nodelay(true);
        // The schemes that it may have are what `https` below says.
        connector.enforce_http(false);
        let https = HttpsConnectorBuilder::new();
        let https = match &target.tls {
            Some(config) => https.with_tls_config(config.clone()).https_only(),
            None => https.with_tls_config(tls::unused()).https_or_http(),
        };
        let connector = match target.protocol {
            Protocol::Http => https.enable_http1().wrap_connector(connector),
            Protocol::Grpc => https.enable_http2().wrap_connector(connector),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http2_only(target.protocol == Protocol::Grpc)
            .build(connector);
        Self { target, http }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The body of a request with this message.
    pub(super) fn body(&self, message: Vec<u8>) -> Bytes {
        let message = if self.target.gzip { gzip(&message) } else { message };
        if self.target.protocol == Protocol::Http {
            return message.into();
        }
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut framed = Vec::with_capacity(5 + message.len());
        framed.push(u8::from(self.target.gzip));
        framed.extend_from_slice(&len.to_be_bytes());
        framed.extend_from_slice(&message);
        framed.into()
    }

    /// Sends it and waits for the answer, within the time that the settings allow.
    pub(super) async fn send(&self, body: Bytes) -> Answer {
        match tokio::time::timeout(self.target.timeout, self.exchange(body)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => Answer::Later { reason, after: None },
            Err(_) => Answer::Later { reason: "no answer in time".to_owned(), after: None },
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.headers();
        let answer = self.http.request(request).await.map_err(|error| root(&error))?;
        self.read(answer).await
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Answer, String> {
        let (head, body) = answer.into_parts();
        let collected = Limited::new(body, ANSWER).collect().await;
        let collected = collected.map_err(|error| root(&*error))?;
        let trailers = collected.trailers().cloned();
        let body = collected.to_bytes();
        Ok(match self.target.protocol {
            Protocol::Grpc if head.status.is_success() => {
                response::grpc(&head.headers, trailers.as_ref(), &body)
            }
            // An answer of something in between, such as a proxy.
            _ => response::http(head.status, &head.headers, &body),
        })
    }

    fn headers(&self) -> HeaderMap {
        let fixed = HeaderValue::from_static;
        let mut headers = self.target.headers.clone();
        headers.insert(USER_AGENT, fixed(concat!("tracer/", env!("CARGO_PKG_VERSION"))));
        match self.target.protocol {
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, fixed("application/x-protobuf"));
                if self.target.gzip {
                    headers.insert(CONTENT_ENCODING, fixed("gzip"));
                }
            }
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, fixed("application/grpc"));
                headers.insert(TE, fixed("trailers"));
                if self.target.gzip {
                    headers.insert("grpc-encoding", fixed("gzip"));
                }
            }
        }
        headers
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The innermost reason, which is the one that helps.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    without_numbers(&error.to_string())
}
