//! The endpoint: a small HTTP server on a thread of its own, which sleeps between scrapes.
//!
//! `GET /metrics` and nothing else. Whoever connects can hold little: few connections, small
//! headers, and not for long.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    str::FromStr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, Semaphore};

use super::Exposition;
use crate::sink::metrics::Shared;

/// Connections at a time; more wait in the accept queue.
const CONNECTIONS: usize = 16;
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// A request's head takes no longer; also how long a connection may wait for the next request.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection is ended after this time, after the request that it is at.
const LIFE: Duration = Duration::from_secs(300);
/// A request that is being answered then takes no longer.
const LAST: Duration = Duration::from_secs(5);
/// Where descriptors have run out, accept() fails at once, again and again.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Where to listen; loopback where only a port is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = &'static str;

    /// Takes `9498`, `:9498`, `127.0.0.1:9498`, `[::1]:9498` and `localhost:9498`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = text.strip_prefix("localhost").unwrap_or(text);
        let port = port.strip_prefix(':').unwrap_or(text);
        let on_loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let address = port.parse().map(on_loopback).or_else(|_| text.parse());
        match address {
            Ok(address) if address.port() != 0 => Ok(Self(address)),
            _ => Err("no port and no address with a port as 9498 or 127.0.0.1:9498 are"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running endpoint; ends when finished or dropped.
#[derive(Debug)]
pub struct Endpoint {
    end: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Endpoint {
    /// Listens; nobody answers yet.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on (`AddrInUse`: another program does).
    pub fn listen(listen: Listen) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(listen.0)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Starts the thread that answers, without more privileges than the calling one has.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(listener: TcpListener, shared: Shared) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = Arc::new(Notify::new());
        let asked = Arc::clone(&end);
        let thread = thread::Builder::new().name("tracer-metrics".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, shared) => {}
                    () = asked.notified() => {}
                }
            });
        })?;
        Ok(Self { end, thread })
    }

    /// Ends it, whatever it is at.
    pub fn finish(self) {
        self.end.notify_one();
        // A panic there has been printed already.
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, shared: Shared) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the metrics endpoint cannot start: {error}"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut failing = false;
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                failing = false;
                let shared = shared.clone();
                tokio::spawn(async move {
                    answer(stream, shared).await;
                    drop(place);
                });
            }
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("the metrics endpoint cannot accept: {error}");
                }
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn answer(stream: tokio::net::TcpStream, shared: Shared) {
    let service = service_fn(move |request| {
        let response = respond(&request, &shared);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What goes wrong on a connection is the scraper's affair.
    if tokio::time::timeout(LIFE, &mut connection).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(LAST, connection).await;
    }
}

fn respond(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    answer_to(request.method(), request.uri().path(), accept, shared)
}

fn answer_to(
    method: &Method,
    path: &str,
    accept: Option<&str>,
    shared: &Shared,
) -> Response<Full<Bytes>> {
    let (status, kind, body) = if path != "/metrics" {
        let words = "there is only /metrics here\n".to_owned();
        (StatusCode::NOT_FOUND, "text/plain", words)
    } else if method != Method::GET && method != Method::HEAD {
        (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned())
    } else {
        let exposition = Exposition::accepted(accept);
        (StatusCode::OK, exposition.content_type(), exposition.write(shared.families()))
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("9498", "127.0.0.1:9498")]
    #[case(":9498", "127.0.0.1:9498")]
    #[case("localhost:9498", "127.0.0.1:9498")]
    #[case("0.0.0.0:9498", "0.0.0.0:9498")]
    #[case("[::1]:9498", "[::1]:9498")]
    fn a_port_alone_is_one_of_loopback(#[case] text: &str, #[case] address: &str) {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), address);
    }

    #[rstest]
    #[case("")]
    #[case("0")]
    #[case("localhost")]
    #[case("65536")]
    #[case("example.org:9498")]
    #[case("127.0.0.1")]
    fn anything_else_is_an_error(#[case] text: &str) {
        assert!(text.parse::<Listen>().is_err());
    }

    fn started() -> (Endpoint, SocketAddr) {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        (
            Endpoint::start(Endpoint::listen(Listen(address)).unwrap(), Shared::default()).unwrap(),
            address,
        )
    }

    /// What is answered to `request`; what follows the answer is the end.
    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The far end may have had enough before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn only_get_metrics_is_answered() {
        let (endpoint, address) = started();
        for (request, status) in [
            ("GET /metrics", "200 OK"),
            ("GET /", "404 Not Found"),
            ("GET /metrics/", "404 Not Found"),
            ("POST /metrics", "405 Method Not Allowed"),
        ] {
            let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = ask(address, request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        }
        assert!(Endpoint::listen(Listen(address)).is_err(), "a taken port");
        endpoint.finish();
    }

    #[test]
    fn whoever_sends_too_much_or_too_slowly_is_turned_away_and_holds_nobody_up() {
        let (endpoint, address) = started();
        let slow: Vec<TcpStream> =
            (0..CONNECTIONS + 4).map(|_| TcpStream::connect(address).unwrap()).collect();
        for mut stream in &slow {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
        }
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        // After the patience with the slow ones.
        assert!(ask(address, request).starts_with("HTTP/1.1 200 OK"));
        let large = [b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &vec![b'a'; 4 * HEAD]].concat();
        let answer = ask(address, &large);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        endpoint.finish();
    }
}
