//! Syslog messages (RFC 5424) with the columns as structured data: by UDP (RFC 5426), TCP (RFC
//! 6587, octet counting) or a Unix datagram socket.
//!
//! By TCP each message is delivered or counted (`stream`). A datagram is lost where the kernel
//! says so: by an ICMP message that nobody listens, after the fact. What the network drops, nobody
//! knows.

mod pause;
mod stream;

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};

use syslog_fmt::{
    Facility, Severity as Level,
    v5424::{Config, Formatter},
};

use self::{
    pause::{Pause, SHORTEST},
    stream::Stream,
};
use tracer_output::{
    delivery::{Record, TURN},
    message::Severity,
    queue::{Lost, Worker},
};

/// The structured data's name: 32473 is the number that IANA keeps for those who have none.
const DATA: &str = "tracer@32473";
/// A receiver that does not answer holds the queue up no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// The last messages are delivered within this time.
const LAST: Duration = Duration::from_millis(1500);
const PORT: u16 = 514;

/// Where syslog messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `udp://HOST:PORT`
    Udp(String),
    /// `tcp://HOST:PORT`
    Tcp(String),
    /// `unix:///dev/log`
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected udp://HOST[:PORT], tcp://HOST[:PORT] or unix:///PATH";
        match text.split_once("://").ok_or(wrong)? {
            ("udp", host) if !host.is_empty() => Ok(Self::Udp(with_port(host))),
            ("tcp", host) if !host.is_empty() => Ok(Self::Tcp(with_port(host))),
            ("unix", path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => Err(wrong),
        }
    }
}

/// With the port that both protocols have by default.
fn with_port(host: &str) -> String {
    let after_address = host.rfind(']').map_or(0, |at| at + 1);
    if host[after_address..].contains(':') { host.to_owned() } else { format!("{host}:{PORT}") }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(host) => write!(f, "udp://{host}"),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

enum Socket {
    Udp(UdpSocket),
    Tcp(Box<Stream>),
    Unix {
        path: PathBuf,
        /// None where its receiver has gone.
        socket: Option<UnixDatagram>,
        pause: Pause,
    },
}

/// Sends syslog messages.
pub struct Syslog {
    address: Address,
    formatter: Formatter,
    socket: Socket,
    message: Vec<u8>,
    /// Messages that turned out to be lost after they had been sent.
    lost: u64,
}

impl Syslog {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Where there is no such address, or nobody listens there.
    pub fn open(address: Address) -> io::Result<Self> {
        let name = rustix::system::uname();
        let process = std::process::id().to_string();
        let formatter = Config {
            facility: Facility::Daemon,
            hostname: name.nodename().to_str().ok(),
            app_name: Some("tracer"),
            proc_id: Some(&process),
        }
        .into_formatter();
        let socket = Socket::open(&address)?;
        Ok(Self { address, formatter, socket, message: Vec::new(), lost: 0 })
    }

    fn format(&mut self, record: &Record) -> io::Result<()> {
        let values: Vec<(&str, String)> =
            record.row.values().map(|(column, value)| (column.name, value.to_string())).collect();
        let parameters = values.iter().map(|(name, value)| (*name, value.as_str()));
        let time = record.row.text("time").map_or_else(|| "-".to_owned(), micros);
        self.message.clear();
        self.formatter.write_with_data(
            &mut self.message,
            level(record.message.severity),
            time,
            record.message.text.as_str(),
            record.row.text("kind"),
            [(DATA, parameters.collect::<Vec<_>>())],
        )
    }

    fn send(&mut self) -> io::Result<()> {
        let Self { socket, message, lost, .. } = self;
        match socket {
            Socket::Tcp(stream) => stream.push(message),
            Socket::Udp(socket) => match socket.send(message) {
                // It is of a datagram before; this one has not been sent.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    *lost += 1;
                    socket.send(message).map(drop)
                }
                sent => sent.map(drop),
            },
            Socket::Unix { path, socket, pause } => send_unix(socket, pause, path, message),
        }
    }
}

impl Socket {
    fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Udp(host) => {
                let peer = resolve(host)?;
                let any: SocketAddr =
                    if peer.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.connect(peer)?;
                Ok(Self::Udp(socket))
            }
            Address::Tcp(host) => {
                let host = host.clone();
                Ok(Self::Tcp(Box::new(Stream::open(move || connect(&host))?)))
            }
            Address::Unix(path) => {
                let socket = Some(connect_unix(path)?);
                Ok(Self::Unix { path: path.clone(), socket, pause: Pause::none() })
            }
        }
    }
}

fn connect_unix(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Sends a datagram; where the receiver has gone, to the one that has a new socket at its path.
fn send_unix(
    socket: &mut Option<UnixDatagram>,
    pause: &mut Pause,
    path: &Path,
    message: &[u8],
) -> io::Result<()> {
    use ErrorKind::{ConnectionRefused, ConnectionReset, NotConnected, NotFound};
    loop {
        let open = match socket {
            Some(socket) => socket,
            None => {
                pause.is_over()?;
                let connected = connect_unix(path).map_err(|error| pause.failed(&error))?;
                socket.insert(connected)
            }
        };
        match open.send(message) {
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionRefused | ConnectionReset | NotConnected | NotFound
                ) =>
            {
                *socket = None;
            }
            sent => {
                *pause = Pause::none();
                return sent.map(drop);
            }
        }
    }
}

impl Worker<Record> for Syslog {
    fn name(&self) -> String {
        format!("syslog at {}", self.address)
    }

    fn deliver(&mut self, record: &mut Record) -> io::Result<()> {
        self.format(record)?;
        self.send()
    }

    fn pause(&mut self) -> io::Result<()> {
        if let Socket::Tcp(stream) = &mut self.socket { stream.rest() } else { Ok(()) }
    }

    fn turn(&self) -> Option<Duration> {
        Some(match &self.socket {
            Socket::Tcp(stream) if !stream.is_idle() => SHORTEST,
            _ => TURN,
        })
    }

    fn lost(&mut self) -> Option<Lost> {
        let count = std::mem::take(&mut self.lost);
        let reason = match &self.socket {
            Socket::Tcp(_) => "not acknowledged by the end of the trace",
            Socket::Udp(_) | Socket::Unix { .. } => "nobody listens there",
        };
        (count > 0).then(|| Lost { count, error: io::Error::other(reason) })
    }

    fn settle(&mut self, deadline: Instant) {
        match &mut self.socket {
            Socket::Tcp(stream) => self.lost += stream.settle(deadline),
            Socket::Udp(socket) => {
                let refused = matches!(socket.take_error(), Ok(Some(_)));
                self.lost += u64::from(refused);
            }
            Socket::Unix { .. } => {}
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.settle(Instant::now() + LAST);
        self.lost().map_or(Ok(()), |lost| Err(lost.error))
    }
}

/// Connects to one of the addresses of a name, in their order.
fn connect(host: &str) -> io::Result<TcpStream> {
    let mut refused = ErrorKind::AddrNotAvailable.into();
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn resolve(host: &str) -> io::Result<SocketAddr> {
    host.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

/// RFC 5424 allows six digits of a second; the structured data has all nine.
fn micros(time: &str) -> String {
    let Some((seconds, fraction)) = time.trim_end_matches('Z').split_once('.') else {
        return time.to_owned();
    };
    format!("{seconds}.{}Z", &fraction[..fraction.len().min(6)])
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::Critical => Level::Crit,
        Severity::Warning => Level::Warning,
        Severity::Notice => Level::Notice,
        Severity::Info => Level::Info,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("udp://log.example:1514", Some("udp://log.example:1514"))]
    #[case("udp://log.example", Some("udp://log.example:514"))]
    #[case("tcp://[2001:db8::1]", Some("tcp://[2001:db8::1]:514"))]
    #[case("tcp://[2001:db8::1]:99", Some("tcp://[2001:db8::1]:99"))]
    #[case("unix:///dev/log", Some("unix:///dev/log"))]
    #[case("unix://dev/log", None)]
    #[case("log.example", None)]
    #[case("udp://", None)]
    fn addresses_have_three_forms(#[case] text: &str, #[case] address: Option<&str>) {
        let parsed = text.parse::<Address>().ok().map(|address| address.to_string());
        assert_eq!(parsed.as_deref(), address);
    }

    #[test]
    fn a_new_owner_of_a_unix_socket_is_found_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let owner = UnixDatagram::bind(&path).unwrap();
        let (mut socket, mut pause) = (Some(connect_unix(&path).unwrap()), Pause::none());
        let mut send = |message: &[u8]| send_unix(&mut socket, &mut pause, &path, message);
        send(b"one").unwrap();
        drop(owner);
        std::fs::remove_file(&path).unwrap();
        let error = send(b"two").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "it is to be given again: {error}");
        let owner = UnixDatagram::bind(&path).unwrap();
        let sent = std::iter::repeat_with(|| send(b"two")).take(10).find(Result::is_ok);
        assert!(sent.is_some(), "it does not find the new one");
        let mut message = [0; 9];
        let length = owner.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"two");
    }

    #[test]
    fn times_have_six_digits() {
        assert_eq!(micros("2026-01-31T12:34:56.789012345Z"), "2026-01-31T12:34:56.789012Z");
    }
}
