//! What is sent to, or fetched by, other programs: a Prometheus endpoint, OTLP.

use std::{
    io::{ErrorKind, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;

use super::trusted;
#[cfg(feature = "otlp")]
use tracer_export::otlp::{Identity, Limit, Otlp, Resource, Settings};
use tracer_export::{
    metrics::measuring::{Measuring, Shared},
    prometheus::{Endpoint, Listen, Web},
};
use tracer_output::Sink;

/// More of a web configuration is not read, bytes.
const LONGEST_WEB: u64 = 1 << 20;

/// Metrics and log records for other programs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(super) struct TelemetryArguments {
    /// Serve metrics for Prometheus at http://ADDR/metrics; a port alone means loopback
    #[arg(long, value_name = "ADDR")]
    prometheus: Option<Listen>,
    /// Require TLS or passwords, as this file says: tls_server_config and basic_auth_users, as for
    /// the exporters of Prometheus
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    web_config: Option<PathBuf>,
    /// Send log records and metrics to an OpenTelemetry receiver; see the variables OTEL_…
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "ENDPOINT", num_args = 0..=1, default_missing_value = "")]
    otlp: Option<String>,
    /// Limit of the queue to the receiver: a size or a number of records
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "LIMIT", default_value = "64MiB", requires = "otlp")]
    otlp_queue: Limit,
}

/// Who may read the metrics, and where telemetry goes to.
pub(super) struct TelemetrySettings {
    web: Web,
    #[cfg(feature = "otlp")]
    otlp: Option<(Settings, Limit)>,
}

/// Telemetry whose settings are right and whose port is taken; nobody answers there yet.
pub(super) struct Telemetry {
    shared: Shared,
    listener: Option<TcpListener>,
    settings: TelemetrySettings,
}

impl TelemetryArguments {
    /// Whether anything is asked for.
    pub(super) fn is_any(&self) -> bool {
        self.has_records() || self.prometheus.is_some()
    }

    /// Whether log records are sent.
    pub(super) fn has_records(&self) -> bool {
        #[cfg(feature = "otlp")]
        let otlp = self.otlp.is_some();
        #[cfg(not(feature = "otlp"))]
        let otlp = false;
        otlp
    }

    /// Looks at the settings.
    ///
    /// # Errors
    ///
    /// For one that cannot be used.
    pub(super) fn settings(&self) -> anyhow::Result<TelemetrySettings> {
        #[cfg(feature = "otlp")]
        let otlp = match &self.otlp {
            Some(endpoint) => {
                if let Some(problem) = self.otlp_queue.problem() {
                    bail!("--otlp-queue {}: {problem}", self.otlp_queue);
                }
                let endpoint = Some(endpoint.as_str()).filter(|endpoint| !endpoint.is_empty());
                Some((Settings::new(endpoint, variable)?, self.otlp_queue))
            }
            None => None,
        };
        Ok(TelemetrySettings {
            web: self.web_config.as_deref().map(web).transpose()?.unwrap_or_default(),
            #[cfg(feature = "otlp")]
            otlp,
        })
    }

    /// Looks at the settings and opens the endpoint, so that a mistake costs nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Self::settings`], and where the endpoint cannot be had.
    pub(super) fn open(&self) -> anyhow::Result<Telemetry> {
        let settings = self.settings()?;
        let listener = self.prometheus.map(listen_at).transpose()?;
        Ok(Telemetry { shared: Shared::default(), listener, settings })
    }
}

/// Reads the file that says who may read the metrics.
fn web(path: &Path) -> anyhow::Result<Web> {
    let shown = || format!("--web-config {}", path.display());
    let mut text = String::new();
    let file = trusted::open(path).with_context(|| format!("{}: cannot be read", shown()))?;
    let read = file.take(LONGEST_WEB + 1).read_to_string(&mut text);
    let length = read.with_context(|| format!("{}: cannot be read", shown()))?;
    ensure!(length as u64 <= LONGEST_WEB, "{}: longer than {} MiB", shown(), LONGEST_WEB >> 20);
    let directory = path.parent().unwrap_or(Path::new(""));
    Web::parse(&text, directory).map_err(|reason| anyhow!("{}: {reason}", shown()))
}

fn listen_at(listen: Listen) -> anyhow::Result<TcpListener> {
    match Endpoint::listen(listen) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("--prometheus {listen}: another program listens there; name another port")
        }
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            bail!("--prometheus {listen}: this host does not have this address")
        }
        listener => listener.with_context(|| format!("--prometheus {listen}: cannot listen there")),
    }
}

impl Telemetry {
    /// The sinks; none where nothing is asked for.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub(super) fn sinks(self) -> anyhow::Result<Vec<Box<dyn Sink>>> {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        #[cfg(feature = "otlp")]
        let asked = self.settings.otlp.is_some();
        #[cfg(not(feature = "otlp"))]
        let asked = false;
        if asked || self.listener.is_some() {
            let web = self.settings.web;
            let start = |listener| Endpoint::start(listener, self.shared.clone(), web);
            let endpoint = self.listener.map(start).transpose();
            let endpoint = endpoint.context("--prometheus: cannot start a thread")?;
            let end = || endpoint.into_iter().for_each(Endpoint::finish);
            sinks.push(Box::new(Measuring::new(self.shared.clone(), end)));
        }
        #[cfg(feature = "otlp")]
        if let Some((settings, limit)) = self.settings.otlp {
            let resource = Resource::new(&identity(), variable);
            let otlp = Otlp::start(settings, limit, &resource, self.shared)
                .context("--otlp: cannot start the sending thread")?;
            sinks.push(Box::new(otlp));
        }
        Ok(sinks)
    }
}

#[cfg(feature = "otlp")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(feature = "otlp")]
fn identity() -> Identity {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let first_of = |paths: &[&str]| {
        let texts = paths.iter().map(|path| read(path));
        texts.map(|text| text.trim().to_owned()).find(|text| !text.is_empty()).unwrap_or_default()
    };
    Identity {
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine_id: first_of(&["/etc/machine-id", "/var/lib/dbus/machine-id"]),
        boot_id: first_of(&["/proc/sys/kernel/random/boot_id"]),
    }
}
