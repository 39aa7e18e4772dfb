//! `keepalive_race`: a server closes idle connections that its clients are about to use again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    remedies::advice,
    words::{a_process, line, name, of_program, process, since},
};
use crate::{
    duration::duration,
    endpoint::Endpoint,
    phrase::{Value, Wording, wording},
    process::Process,
};

/// Requests on connections that the server had just closed for idleness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeepaliveRace {
    /// Who listens, where it is on this host.
    pub server: Option<Program>,
    /// Who has used the connections again, where it is on this host.
    pub client: Option<Process>,
    /// Address of the server.
    pub service: Endpoint,
    /// Requests that met the RST.
    pub resets: u64,
    /// Connections that the server has closed after that time, these included.
    pub closed: u64,
    /// Time without data after which the server closed them: the median, nanoseconds.
    #[serde(rename = "idle_ns")]
    pub idle: u64,
    /// How far from the median the others were at most, nanoseconds: little for a timer.
    #[serde(rename = "idle_spread_ns")]
    pub spread: u64,
    /// Shortest time from the server's FIN to the RST, nanoseconds.
    #[serde(rename = "shortest_after_fin_ns")]
    pub shortest: u64,
    /// Longest time from the server's FIN to the RST, nanoseconds.
    #[serde(rename = "longest_after_fin_ns")]
    pub longest: u64,
    /// Time since the first of them, nanoseconds.
    #[serde(rename = "since_ns")]
    pub since: u64,
}

/// What sets the time after which idle connections are closed, by the names of programs.
const SETTINGS: &[(&str, &str)] = &[
    ("node", "server.keepAliveTimeout and headersTimeout"),
    ("nginx", "keepalive_timeout"),
    ("gunicorn", "--keep-alive"),
    ("uvicorn", "--timeout-keep-alive"),
    ("hypercorn", "--keep-alive"),
    ("haproxy", "timeout http-keep-alive"),
    ("apache2", "KeepAliveTimeout"),
    ("httpd", "KeepAliveTimeout"),
    ("java", "keepAliveTimeout of its connector (Tomcat, Undertow) or idleTimeout (Jetty)"),
    ("envoy", "idle_timeout of common_http_protocol_options"),
    ("caddy", "servers > timeouts > idle"),
    ("traefik", "respondingTimeouts.idleTimeout"),
    ("puma", "persistent_timeout"),
    ("redis-server", "timeout in redis.conf"),
    ("valkey-server", "timeout in valkey.conf"),
    ("dotnet", "KestrelServerLimits.KeepAliveTimeout"),
];

impl KeepaliveRace {
    /// The server's setting: by the name of the process or that of its program.
    fn setting(&self) -> Option<&'static str> {
        let server = self.server.as_ref()?;
        let comm = String::from_utf8_lossy(server.process.name());
        let path = server.executable.as_ref().map_or("", |path| &path.0);
        let names = [comm.as_ref(), path.rsplit('/').next().unwrap_or_default()];
        let is_it = |program: &str| names.iter().any(|name| name.starts_with(program));
        SETTINGS.iter().find(|(program, _)| is_it(program)).map(|(_, setting)| *setting)
    }

    pub(super) fn timer(&self) -> String {
        format!("{} ± {}", duration(self.idle), duration(self.spread))
    }
}

impl Explain for KeepaliveRace {
    fn about() -> About {
        About {
            when: "while observed, a request was sent on a connection that the server had closed after \
                   half a second or more without data (a warning from the second on, where they had been idle for \
                   about the same time)",
            evidence: "from the server: its FIN after an idle time, then data, answered by an RST; from \
                       the client: a FIN after an idle time, then its data, then an RST",
            unknown: "which setting of an unknown program, or of another host, the time comes from",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let service = self.service.to_string();
        let server = match &self.server {
            Some(Program { process: it, .. }) => {
                Wording::new(format!("{} ({service})", process(it)), process(it))
            }
            None => Wording::new(format!("the server {service}"), service),
        };
        let client = self.client.as_ref();
        let of = client.map_or_else(String::new, |client| format!(" of {}", process(client)));
        wording!(
            "keepalive-race",
            "{count}{who} met an RST: {server} closes connections that were idle for {timer}{since}",
            [server],
            count = Wording::count(self.resets, "request"),
            who = Wording::new(of, a_process(client)),
            timer = self.timer(),
            since = since(self.since)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.server.iter().filter_map(of_program).collect();
        let closed = wording!(
            "server-closed",
            "{connections} closed by the server first, idle for {timer}",
            connections = Wording::count(self.closed, "connection"),
            timer = self.timer(),
        );
        lines.push(line("closed by", closed));
        let after = match (self.shortest, self.longest) {
            (one, other) if one == other => duration(one).into(),
            (shortest, longest) => wording!(
                "from-to",
                "{least} to {most}",
                least = duration(shortest),
                most = duration(longest),
            ),
        };
        let late = wording!("used-late", "used again {after} after the server's FIN", [after]);
        lines.push(line("too late", late));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let setting = self.setting().map_or_else(
            || {
                wording!(
                    "its-keepalive",
                    "its keep-alive timeout (node keepAliveTimeout, nginx keepalive_timeout, \
                     gunicorn --keep-alive, haproxy timeout http-keep-alive)"
                )
            },
            |setting| Wording::new(setting, Value::English(setting)),
        );
        vec![
            advice(wording!(
                "remedy-wait-longer",
                "the server must wait longer than its clients keep connections: raise {setting} \
                 above the idle timeout of the client or load balancer",
                [setting]
            )),
            advice(wording!(
                "remedy-drop-earlier",
                "or let the client, pool or load balancer drop idle connections before {idle}",
                idle = duration(self.idle),
            )),
            advice(wording!(
                "remedy-retry",
                "or let the client retry once, on a new connection, what it can repeat safely"
            )),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        let server = self.server.iter().map(|_| Service::Here(self.service));
        let client = self.client.iter().map(|_| Service::There(self.service));
        Sockets::of_all(server.chain(client)).owned_by(&self.server).owned_by(&self.client)
    }

    fn count(&self) -> u64 {
        self.resets
    }

    fn key(&self) -> String {
        let server = self.server.as_ref().map(|server| &server.process);
        // A server that is seen has one finding for all its clients.
        format!("{} {}", self.service, name(server.or(self.client.as_ref())))
    }
}
