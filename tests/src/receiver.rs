//! Programs that receive telemetry: Prometheus and rotel, an OTLP receiver. They and the tracer
//! run in the host's network namespace and meet on loopback.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{leashed::Leashed, sockets::eventually};

/// A program that `cargo xtask test` has fetched.
pub fn fetched(path: &str) -> PathBuf {
    let cache = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    let root = env::var_os("TRACER_RECEIVERS")
        .map_or_else(|| cache().join("tracer-xtask/receivers"), PathBuf::from);
    let program = root.join(path);
    assert!(program.exists(), "{}: fetched by `cargo xtask test`", program.display());
    program
}

/// A command in the host's network namespace, whichever the calling thread is in.
pub fn in_host(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", std::process::id())).arg(program.as_ref());
    command.stdin(Stdio::null());
    command
}

/// What a URL answers to curl; `None` where nobody answers, or with an error.
pub fn fetch(url: &str, options: &[&str]) -> Option<String> {
    let mut curl = in_host("curl");
    curl.args(["--silent", "--fail", "--max-time", "10"]).args(options).arg(url);
    let output = curl.output().expect("live tests need the commands nsenter and curl");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

/// A Prometheus that scrapes one target each second; killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    _child: Leashed,
    url: String,
}

impl Prometheus {
    /// Starts it on a port, with its files in a directory; returns when it is ready.
    pub fn start(port: u16, target: u16, directory: &Path) -> Self {
        let job = format!(
            "  - job_name: tracer\n    static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
        );
        Self::scraping(port, &job, directory)
    }

    /// The same with jobs (the list under `scrape_configs`).
    pub fn scraping(port: u16, jobs: &str, directory: &Path) -> Self {
        let configuration = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}");
        let file = directory.join("prometheus.yml");
        fs::write(&file, configuration).expect("a directory to write to");
        let mut command = in_host(fetched("usr/bin/prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Leashed::start(&mut command);
        let prometheus = Self { _child: child, url: format!("http://127.0.0.1:{port}") };
        eventually("Prometheus is ready", || {
            fetch(&format!("{}/-/ready", prometheus.url), &[]).is_some()
        });
        prometheus
    }

    /// The value that a PromQL query has; `None` where it has none.
    pub fn ask(&self, query: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.url);
        let answer = fetch(&url, &["--get", "--data-urlencode", &format!("query={query}")])?;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    }
}

/// What an OTLP receiver has got so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// Log records.
    pub logs: u64,
    /// Metrics.
    pub metrics: u64,
}

/// A running rotel, which counts what it gets; killed when dropped.
#[derive(Debug)]
pub struct Rotel {
    child: Leashed,
    got: Arc<Mutex<Got>>,
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// Where a rotel listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// OTLP over HTTP.
    pub http: u16,
    /// OTLP over gRPC.
    pub grpc: u16,
}

impl Rotel {
    /// Starts it with its files in a directory; returns when it listens.
    pub fn start(ports: Ports, directory: &Path) -> Self {
        Self::launch(ports, directory, &["--exporter", "blackhole"])
    }

    /// The same; each record is in [`Self::text`] as well.
    pub fn showing(ports: Ports, directory: &Path) -> Self {
        let options = ["--exporter", "blackhole", "--debug-log-verbosity", "detailed"];
        Self::launch(ports, directory, &options)
    }

    /// The same, as an agent that passes what it gets on to a receiver of OTLP over gRPC.
    pub fn passing_on(ports: Ports, to: u16, directory: &Path) -> Self {
        let gateway = format!("http://127.0.0.1:{to}");
        let exporter = ["--exporter", "otlp", "--otlp-exporter-endpoint", &gateway];
        Self::launch(ports, directory, &exporter)
    }

    fn launch(ports: Ports, directory: &Path, exporter: &[&str]) -> Self {
        let Ports { http, grpc } = ports;
        let mut command = in_host(fetched("rotel/rotel-agent"));
        command
            .arg("start")
            .args(exporter)
            .args(["--debug-log", "logs", "--debug-log", "metrics"])
            .arg(format!("--otlp-http-endpoint=127.0.0.1:{http}"))
            .arg(format!("--otlp-grpc-endpoint=127.0.0.1:{grpc}"))
            .arg(format!("--pid-file={}", directory.join("pid").display()))
            .arg(format!("--log-file={}", directory.join("log").display()))
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = Leashed::start(&mut command);
        let got = Arc::new(Mutex::new(Got::default()));
        let text = Arc::new(Mutex::new(String::new()));
        let theirs = (Arc::clone(&got), Arc::clone(&text));
        let output = child.stdout.take().expect("a pipe");
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut got = theirs.0.lock().expect("a number");
                got.logs += number(&line, "Received logs.", " logs=");
                got.metrics += number(&line, "Received metrics.", " metrics=");
                let mut text = theirs.1.lock().expect("a text");
                text.push_str(&line);
                text.push('\n');
            }
        });
        let rotel = Self { child, got, text, reader: Some(reader) };
        eventually("rotel listens", || {
            let answers = |port: u16| {
                let port = format!("127.0.0.1/{port}");
                let mut bash = in_host("bash");
                bash.args(["-c", &format!("exec 3<>/dev/tcp/{port}")]).stderr(Stdio::null());
                bash.status().expect("live tests need bash").success()
            };
            answers(http) && answers(grpc)
        });
        rotel
    }

    /// What it has got so far.
    pub fn so_far(&self) -> Got {
        *self.got.lock().expect("a number")
    }

    /// What it has written so far.
    pub fn text(&self) -> String {
        self.text.lock().expect("a text").clone()
    }

    /// Ends it; what it has got.
    pub fn finish(mut self) -> Got {
        // It writes what it has got before it ends.
        self.child.signal(Signal::TERM);
        self.child.wait().expect("a child");
        self.reader.take().map(JoinHandle::join);
        self.so_far()
    }
}

/// The number that follows `field` in a line that says `what`.
fn number(line: &str, what: &str, field: &str) -> u64 {
    let rest = line.contains(what).then(|| line.rsplit_once(field)).flatten();
    let digits = rest.map_or("", |(_, rest)| rest);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}
