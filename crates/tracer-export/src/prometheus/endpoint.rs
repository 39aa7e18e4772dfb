//! The endpoint: a small HTTP server on a thread of its own, which sleeps between scrapes.
//!
//! It answers `GET` for the metrics, a page that leads to them, and two probes, which need no
//! password: they say nothing of the host. A client can occupy little memory, and not for long;
//! it cannot keep a scraper out by connecting more often, more slowly, or from more addresses
//! ([`guests`]).

mod answer;
mod guests;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use self::{
    answer::{Answers, HEALTHZ, READYZ, unauthorized},
    guests::{Guests, Seen},
};
use super::{users::Users, web::Web};
use crate::metrics::measuring::Shared;
use tracer_health as health;

/// Connections that wait to be accepted. std's 128 are full within milliseconds of a flood, and a
/// SYN that is dropped then comes again after a second.
const BACKLOG: i32 = 1024;
/// Bytes of a request's head; hyper takes no less.
const HEAD: usize = 8 << 10;
/// A request's head takes no longer; also how long a connection may wait for the next request.
const PATIENCE: Duration = Duration::from_secs(5);
/// A whole request takes no longer, from the end of the last one until its answer has been taken.
const WHOLE: Duration = Duration::from_secs(6);
/// A connection is ended after this time, after the request that it is at.
const LIFE: Duration = Duration::from_secs(300);
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
            _ => Err(
                "expected a port such as 9498, or an address with a port such as 127.0.0.1:9498",
            ),
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
    thread: health::Thread,
}

impl Endpoint {
    /// Listens; nobody answers yet.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on (`AddrInUse`: another program does).
    pub fn listen(listen: Listen) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(listen.0)?;
        // A second listen() sets the length of the queue.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Starts the thread that answers, without more privileges than the calling one has.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(listener: TcpListener, shared: Shared, web: Web) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = Arc::new(Notify::new());
        let asked = Arc::clone(&end);
        let thread = health::spawn("tracer-metrics", move || {
            runtime.block_on(async {
                tokio::spawn(health::beat());
                tokio::select! {
                    () = serve(listener, shared, web) => {}
                    () = asked.notified() => {}
                }
            });
        })?;
        Ok(Self { end, thread })
    }

    /// Ends it, whatever it is doing.
    pub fn finish(self) {
        self.end.notify_one();
        self.thread.join();
    }
}

async fn serve(listener: TcpListener, shared: Shared, web: Web) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the metrics endpoint cannot start: {error}"),
    };
    let Web { tls, users } = web;
    let offered = Offered { answers: Answers::new(shared), users, tls: tls.map(TlsAcceptor::from) };
    let mut guests = Guests::new();
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                failing = false;
                let offered = offered.clone();
                guests.welcome(peer.ip(), |seen| tokio::spawn(attend(stream, offered, seen)));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("the metrics endpoint cannot accept: {error}");
                }
                guests.dismiss_oldest();
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// What there is, for whom, over what.
#[derive(Clone)]
struct Offered {
    answers: Answers,
    users: Arc<Users>,
    tls: Option<TlsAcceptor>,
}

impl Offered {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header = |name| request.headers().get(name);
        let path = request.uri().path();
        let is_open = [HEALTHZ, READYZ].contains(&path);
        if !is_open && !self.users.allow(header(AUTHORIZATION)).await {
            return unauthorized();
        }
        let accept = header(ACCEPT).and_then(|accept| accept.to_str().ok());
        self.answers.to(request.method(), path, accept)
    }
}

/// Answers on one connection until it ends or takes too long. What goes wrong on it is the
/// scraper's affair.
async fn attend(stream: TcpStream, offered: Offered, seen: Seen) {
    // Who has sent nothing yet has no buffer.
    if !matches!(timeout(PATIENCE, stream.readable()).await, Ok(Ok(()))) {
        return;
    }
    match &offered.tls {
        None => converse(stream, &offered, &seen).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                converse(stream, &offered, &seen).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, offered: &Offered, seen: &Seen) {
    let service = service_fn(move |request: Request<Incoming>| {
        seen.now();
        async move { Ok::<_, std::convert::Infallible>(offered.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let begun = tokio::time::Instant::now();
    let mut leaving = false;
    // After each answer the next request is due: where neither it nor the end comes, the answer is
    // not being taken.
    while let Some(left) = WHOLE.checked_sub(seen.ago()) {
        if timeout(left, &mut connection).await.is_ok() {
            return;
        }
        if !leaving && begun.elapsed() > LIFE {
            leaving = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}
