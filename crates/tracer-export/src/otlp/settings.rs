//! Where to send and how: the command line, then the standard variables
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>), then the specification's
//! defaults. A variable of one signal (`OTEL_EXPORTER_OTLP_LOGS_…`) comes before the common one.

use std::time::Duration;

use hyper::{
    HeaderMap, Uri,
    header::{HeaderName, HeaderValue},
    http::uri::{Authority, PathAndQuery, Scheme},
};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;

use super::{
    error::SettingsError,
    tls::{self, Files, PemFile},
};

/// Ports of the specification.
const HTTP_PORT: u16 = 4318;
const GRPC_PORT: u16 = 4317;

/// How requests are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf in HTTP/1.1.
    Http,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Logs,
    Metrics,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    fn path(self, protocol: Protocol) -> &'static str {
        match (self, protocol) {
            (Self::Logs, Protocol::Http) => "/v1/logs",
            (Self::Metrics, Protocol::Http) => "/v1/metrics",
            (Self::Logs, Protocol::Grpc) => {
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
            }
            (Self::Metrics, Protocol::Grpc) => {
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
        }
    }
}

/// Where and how one signal is sent.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    /// Where the endpoint is https://.
    pub(super) tls: Option<ClientConfig>,
}

/// Where and how to send.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) logs: Target,
    pub(super) metrics: Target,
    /// Between two exports of metrics.
    pub(super) interval: Duration,
}

impl Settings {
    /// From the endpoint of the command line and from variables.
    ///
    /// # Errors
    ///
    /// For a setting that cannot be used; it is named.
    pub fn new(
        endpoint: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        // An empty variable is one that is not set.
        let variables = |name: &str| variable(name).filter(|value| !value.is_empty());
        let lookup = Lookup { endpoint, variables: &variables };
        let interval = match variables("OTEL_METRIC_EXPORT_INTERVAL") {
            Some(value) => milliseconds("OTEL_METRIC_EXPORT_INTERVAL", &value)?,
            None => Duration::from_secs(60),
        };
        Ok(Self {
            logs: lookup.target(Signal::Logs)?,
            metrics: lookup.target(Signal::Metrics)?,
            interval,
        })
    }
}

struct Lookup<'a> {
    endpoint: Option<&'a str>,
    variables: &'a dyn Fn(&str) -> Option<String>,
}

impl Lookup<'_> {
    /// The variable of one signal, or the common one: name and value.
    fn find(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name().to_uppercase());
        [own, format!("OTEL_EXPORTER_OTLP_{what}")]
            .into_iter()
            .find_map(|name| (self.variables)(&name).map(|value| (name, value)))
    }

    fn target(&self, signal: Signal) -> Result<Target, SettingsError> {
        let endpoint = self.endpoint.map(|endpoint| ("--otlp".to_owned(), endpoint.to_owned()));
        let endpoint = endpoint.or_else(|| self.find(signal, "ENDPOINT"));
        let uri = endpoint.as_ref().map(|(name, value)| parse(name, value)).transpose()?;
        let protocol = self.protocol(signal, uri.as_ref())?;
        // Only the endpoint of one signal is complete.
        let whole = endpoint.as_ref().is_some_and(|(name, _)| {
            name.ends_with(&format!("{}_ENDPOINT", signal.name().to_uppercase()))
        });
        let uri = complete(uri, whole, signal, protocol);
        let headers = match self.find(signal, "HEADERS") {
            Some((name, value)) => headers(&name, &value)?,
            None => HeaderMap::new(),
        };
        let timeout = match self.find(signal, "TIMEOUT") {
            Some((name, value)) => milliseconds(&name, &value)?,
            None => Duration::from_secs(10),
        };
        let gzip = match self.find(signal, "COMPRESSION") {
            None => false,
            Some((name, value)) => match value.as_str() {
                "gzip" => true,
                "none" => false,
                _ => {
                    return Err(SettingsError::new(
                        &name,
                        &value,
                        "compressions are gzip and none",
                    ));
                }
            },
        };
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Some(self.tls(signal)?),
            _ => None,
        };
        Ok(Target { signal, protocol, uri, headers, timeout, gzip, tls })
    }

    fn tls(&self, signal: Signal) -> Result<ClientConfig, SettingsError> {
        let file = |what| {
            self.find(signal, what).map(|(variable, path)| PemFile { variable, path: path.into() })
        };
        tls::config(&Files {
            roots: file("CERTIFICATE"),
            certificate: file("CLIENT_CERTIFICATE"),
            key: file("CLIENT_KEY"),
        })
    }

    /// HTTP as the specification recommends, unless the port is gRPC's.
    fn protocol(&self, signal: Signal, uri: Option<&Uri>) -> Result<Protocol, SettingsError> {
        let Some((name, value)) = self.find(signal, "PROTOCOL") else {
            let is_grpc = uri.is_some_and(|uri| uri.port_u16() == Some(GRPC_PORT));
            return Ok(if is_grpc { Protocol::Grpc } else { Protocol::Http });
        };
        match value.as_str() {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::Http),
            _ => Err(SettingsError::new(&name, &value, "protocols are grpc and http/protobuf")),
        }
    }
}

/// `http://host:port/path`; the scheme can be left out.
fn parse(name: &str, value: &str) -> Result<Uri, SettingsError> {
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let no_endpoint = "no endpoint as http://localhost:4318 is";
    let uri: Uri = text.parse().map_err(|_| SettingsError::new(name, value, no_endpoint))?;
    let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    if !is_known || uri.host().is_none_or(str::is_empty) {
        return Err(SettingsError::new(name, value, no_endpoint));
    }
    Ok(uri)
}

fn complete(uri: Option<Uri>, whole: bool, signal: Signal, protocol: Protocol) -> Uri {
    let mut parts = uri.unwrap_or_default().into_parts();
    let port = match protocol {
        Protocol::Grpc => GRPC_PORT,
        Protocol::Http => HTTP_PORT,
    };
    let authority = parts.authority.map_or_else(|| "localhost".to_owned(), |a| a.to_string());
    let with_port = match authority.parse::<Authority>() {
        Ok(known) if known.port().is_some() || whole && protocol == Protocol::Http => authority,
        _ => format!("{authority}:{port}"),
    };
    let base = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/');
    let path = match protocol {
        // A path means nothing in gRPC.
        Protocol::Grpc => signal.path(protocol).to_owned(),
        Protocol::Http if whole => format!("{base}/").trim_end_matches('/').to_owned(),
        Protocol::Http => format!("{base}{}", signal.path(protocol)),
    };
    parts.scheme = parts.scheme.or(Some(Scheme::HTTP));
    parts.authority = with_port.parse().ok();
    parts.path_and_query = PathAndQuery::try_from(if path.is_empty() { "/" } else { &path }).ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// `key=value,key=value`, values percent-encoded (W3C Baggage).
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.into_owned()))
        })
        .collect()
}

fn headers(name: &str, value: &str) -> Result<HeaderMap, SettingsError> {
    // Values are secrets: they are not repeated.
    let wrong = || SettingsError::new(name, "…", "no headers as key=value,key2=value2 are");
    let mut headers = HeaderMap::new();
    for (key, value) in pairs(value).ok_or_else(wrong)? {
        let key = HeaderName::from_bytes(key.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn milliseconds(name: &str, value: &str) -> Result<Duration, SettingsError> {
    match value.trim().parse() {
        Ok(milliseconds @ 1..) => Ok(Duration::from_millis(milliseconds)),
        _ => Err(SettingsError::new(name, value, "no number of milliseconds from 1 on")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn settings(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let find = |name: &str| {
            let known = variables.iter().find(|(key, _)| *key == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        Settings::new(endpoint, find).map_err(|error| error.to_string())
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const LOGS: &str = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const GRPC: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    #[rstest]
    #[case(None, &[], "http://localhost:4318/v1/logs")]
    #[case(Some("http://a:1/x/"), &[], "http://a:1/x/v1/logs")]
    #[case(Some("a:1"), &[], "http://a:1/v1/logs")]
    #[case(Some("a"), &[], "http://a:4318/v1/logs")]
    #[case(Some("[::1]:7"), &[], "http://[::1]:7/v1/logs")]
    #[case(None, &[(BASE, "http://b:2")], "http://b:2/v1/logs")]
    #[case(Some("a:1"), &[(BASE, "http://b:2"), (LOGS, "c:3")], "http://a:1/v1/logs")]
    #[case(None, &[(BASE, "http://b:2"), (LOGS, "http://c:3/own")], "http://c:3/own")]
    #[case(None, &[(LOGS, "http://c:3")], "http://c:3/")]
    #[case(Some("https://a"), &[], "https://a:4318/v1/logs")]
    #[case(None, &[(LOGS, "https://c/own")], "https://c/own")]
    fn endpoints_are_completed_as_specified(
        #[case] endpoint: Option<&str>,
        #[case] variables: &[(&str, &str)],
        #[case] uri: &str,
    ) {
        let target = settings(endpoint, variables).unwrap().logs;
        assert_eq!((target.uri.to_string().as_str(), target.protocol), (uri, Protocol::Http));
    }

    #[rstest]
    #[case(None, &[(PROTOCOL, "grpc")], "http://localhost:4317")]
    #[case(Some("http://a:4317"), &[], "http://a:4317")]
    #[case(Some("http://a/x"), &[(PROTOCOL, "grpc")], "http://a:4317")]
    #[case(None, &[("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")], "http://localhost:4317")]
    fn grpc_has_its_own_port_and_paths(
        #[case] endpoint: Option<&str>,
        #[case] variables: &[(&str, &str)],
        #[case] uri: &str,
    ) {
        let target = settings(endpoint, variables).unwrap().logs;
        let expected = (format!("{uri}{GRPC}"), Protocol::Grpc);
        assert_eq!((target.uri.to_string(), target.protocol), expected);
    }

    #[test]
    fn the_rest_is_taken_from_the_variables_too() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Y=2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
        ];
        let Settings { logs, metrics, interval } = settings(None, &variables).unwrap();
        assert_eq!((logs.headers["api-key"].as_bytes(), logs.gzip), (b"a b".as_slice(), true));
        assert_eq!(logs.headers["x-y"], "2");
        assert_eq!((logs.timeout.as_millis(), metrics.timeout.as_millis()), (250, 500));
        assert_eq!(interval.as_millis(), 1500);
    }

    #[rstest]
    #[case(Some("ftp://a"), "", "", "--otlp \"ftp://a\": no endpoint")]
    #[case(Some("http://"), "", "", "--otlp \"http://\": no endpoint")]
    #[case(None, BASE, "a b", "OTEL_EXPORTER_OTLP_ENDPOINT \"a b\": no endpoint")]
    #[case(None, PROTOCOL, "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL \"http/json\": protocols")]
    #[case(None, "OTEL_EXPORTER_OTLP_TIMEOUT", "0", "OTEL_EXPORTER_OTLP_TIMEOUT \"0\": no number")]
    #[case(None, "OTEL_EXPORTER_OTLP_HEADERS", "secret", "OTEL_EXPORTER_OTLP_HEADERS \"…\": no")]
    #[case(None, "OTEL_EXPORTER_OTLP_COMPRESSION", "br", "OTEL_EXPORTER_OTLP_COMPRESSION \"br\"")]
    fn what_cannot_be_used_is_named(
        #[case] endpoint: Option<&str>,
        #[case] name: &str,
        #[case] value: &str,
        #[case] message: &str,
    ) {
        let error = settings(endpoint, &[(name, value)]).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}
