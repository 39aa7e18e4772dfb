//! Syslog messages (RFC 5424) with the columns as structured data: by UDP (RFC 5426), TCP (RFC
//! 6587, octet counting) or a Unix datagram socket.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant},
};

use syslog_fmt::{
    Facility, Severity as Level,
    v5424::{Config, Formatter},
};

use super::{
    delivery::{Courier, Record},
    message::Severity,
};

/// The structured data's name: 32473 is the number that IANA keeps for those who have none.
const DATA: &str = "tracer@32473";
/// A receiver that does not answer holds the queue up no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection that was lost is tried again this often.
const AGAIN: Duration = Duration::from_secs(1);
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
        let wrong = "syslog is at udp://HOST[:PORT], tcp://HOST[:PORT] or unix:///PATH";
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

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Unix(UnixDatagram),
}

/// Sends syslog messages.
#[derive(Debug)]
pub struct Syslog {
    address: Address,
    formatter: Formatter,
    socket: Option<Socket>,
    tried: Instant,
    message: Vec<u8>,
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
        let socket = Some(connect(&address)?);
        Ok(Self { address, formatter, socket, tried: Instant::now(), message: Vec::new() })
    }

    fn socket(&mut self) -> io::Result<&mut Socket> {
        if self.socket.is_none() {
            if self.tried.elapsed() < AGAIN {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.tried = Instant::now();
            self.socket = Some(connect(&self.address)?);
        }
        self.socket.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn format(&mut self, record: &Record<'_>) -> io::Result<()> {
        let values: Vec<(&str, String)> =
            record.row.values().map(|(column, value)| (column.name, value.to_string())).collect();
        let parameters = values.iter().map(|(name, value)| (*name, value.as_str()));
        let time = record.row.text("time").map_or_else(|| "-".to_owned(), micros);
        self.message.clear();
        self.formatter.write_with_data(
            &mut self.message,
            level(record.severity),
            time,
            record.message,
            record.row.text("kind"),
            [(DATA, parameters.collect::<Vec<_>>())],
        )
    }

    fn send(&mut self) -> io::Result<()> {
        let message = std::mem::take(&mut self.message);
        let sent = match self.socket()? {
            Socket::Udp(socket) => socket.send(&message).map(drop),
            Socket::Unix(socket) => socket.send(&message).map(drop),
            Socket::Tcp(stream) => {
                let framed = [format!("{} ", message.len()).as_bytes(), &message].concat();
                stream.write_all(&framed)
            }
        };
        self.message = message;
        sent
    }
}

impl Courier for Syslog {
    fn name(&self) -> String {
        format!("syslog at {}", self.address)
    }

    fn deliver(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.format(record)?;
        let sent = self.send();
        // Part of a message may have been sent, or the receiver has a new socket at the same path;
        // only a new connection helps.
        if sent.is_err() && self.socket.take().is_some() {
            self.tried = Instant::now();
        }
        sent
    }
}

fn connect(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Udp(host) => {
            let peer = resolve(host)?;
            let any: SocketAddr =
                if peer.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.connect(peer)?;
            Ok(Socket::Udp(socket))
        }
        Address::Tcp(host) => {
            let stream = TcpStream::connect_timeout(&resolve(host)?, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Socket::Tcp(stream))
        }
        Address::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Socket::Unix(socket))
        }
    }
}

fn resolve(host: &str) -> io::Result<SocketAddr> {
    host.to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
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
    fn times_have_six_digits() {
        assert_eq!(micros("2026-01-31T12:34:56.789012345Z"), "2026-01-31T12:34:56.789012Z");
    }
}
