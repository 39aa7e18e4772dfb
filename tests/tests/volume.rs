//! How much data a connection makes, by what is kept of it, and what a fleet makes of that: the
//! tables of docs/fleet.md, measured again by
//! `cargo xtask test -- --test volume -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracer_tests::{
    load,
    netns::{Namespace, isolated},
    tracer::{command, wait},
};

const FLEET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fleet.md");
const BEGIN: &str = "<!-- measured by tests/tests/volume.rs -->\n";
const END: &str = "<!-- end -->\n";

/// Each has two ends on this host.
const CONNECTIONS: usize = 3_000;
/// One end of each connection is on a host.
const ENDS: f64 = 2.0 * CONNECTIONS as f64;
/// `TCP_TIMEWAIT_LEN`, include/net/tcp.h; with it the last connections are over.
const TIME_WAIT: Duration = Duration::from_secs(60);

const HOSTS: f64 = 10_000.0;
/// Connections a second of each host.
const RATE: f64 = 1_000.0;
/// 64 MiB, by records that take 200 KiB for 415.
const QUEUE: f64 = (64 << 20) as f64 / (200.0 * 1024.0 / 415.0);

const CHOICES: [(&str, &[&str]); 4] = [
    ("everything", &[]),
    (
        "`records = [\"connection\", \"finding\", \"linger\"]`",
        &["--records", "connection,finding,linger"],
    ),
    ("`sample = 10`", &["--sample", "10"]),
    ("both", &["--records", "connection,finding,linger", "--sample", "10"]),
];

/// A receiver of OTLP over HTTP that takes everything and counts its bytes.
struct Receiver {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                thread::spawn(move || take(stream, &counted));
            }
        });
        Self { port, bytes }
    }
}

/// The requests of one connection.
fn take(stream: TcpStream, bytes: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut length, mut is_logs, mut line) = (0, false, String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            let lower = line.to_lowercase();
            is_logs |= lower.starts_with("post /v1/logs");
            if let Some(number) = lower.strip_prefix("content-length:") {
                length = number.trim().parse().ok()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return None;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if is_logs {
            bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

/// What is sent and written of one choice, bytes, and how many records.
#[derive(Clone, Copy, Default)]
struct Volume {
    records: f64,
    json: f64,
    json_gzip: f64,
    otlp: f64,
    otlp_gzip: f64,
    parquet: f64,
}

/// Two tracers of one choice: JSON lines and OTLP as it is, Parquet and OTLP compressed.
struct Running {
    receivers: [Receiver; 2],
    tracers: Vec<std::process::Child>,
    files: [std::path::PathBuf; 2],
}

impl Running {
    fn start(
        number: usize,
        namespace: &Namespace,
        directory: &Path,
        receivers: [Receiver; 2],
    ) -> Self {
        let files = ["json", "parquet"].map(|end| directory.join(format!("{number}.{end}")));
        let tracers = ["json", "parquet"].into_iter().zip(&files).zip(&receivers);
        let tracers =
            tracers.zip(["none", "gzip"]).map(|(((format, file), receiver), compression)| {
                let otlp = format!("http://127.0.0.1:{}", receiver.port);
                let options = [namespace.netns, "--format", format, "--otlp", &otlp, "--output"];
                let mut tracer = command("", &options);
                tracer.arg(file).args(CHOICES[number].1);
                tracer.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression).spawn().unwrap()
            });
        let tracers = tracers.collect();
        Self { receivers, tracers, files }
    }

    fn finish(mut self) -> Volume {
        for tracer in &mut self.tracers {
            let pid = rustix::process::Pid::from_child(tracer);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            assert!(wait(tracer).success());
        }
        let [json, parquet] = self.files;
        let text = fs::read_to_string(&json).unwrap();
        assert!(text.contains("\"complete\":true"), "something was lost");
        let mut gzip = Command::new("gzip");
        let gzip = gzip.arg("--stdout").arg(&json).output().unwrap();
        let of = |receiver: &Receiver| receiver.bytes.load(Ordering::Relaxed) as f64 / ENDS;
        Volume {
            records: text.lines().count().saturating_sub(2) as f64 / ENDS,
            json: text.len() as f64 / ENDS,
            json_gzip: gzip.stdout.len() as f64 / ENDS,
            otlp: of(&self.receivers[0]),
            otlp_gzip: of(&self.receivers[1]),
            parquet: fs::metadata(parquet).unwrap().len() as f64 / ENDS,
        }
    }
}

fn measured() -> [Volume; CHOICES.len()] {
    let directory = tempfile::tempdir().unwrap();
    // In the host's network namespace, where the tracers are.
    let receivers = CHOICES.map(|_| [Receiver::start(), Receiver::start()]);
    isolated(|namespace| {
        load::prepare(namespace);
        let mut number = 0;
        let running = receivers.map(|receivers| {
            number += 1;
            Running::start(number - 1, namespace, directory.path(), receivers)
        });
        for file in running.iter().map(|running| &running.files[0]) {
            let begun = Instant::now();
            while !fs::read_to_string(file).is_ok_and(|text| text.contains("\"hello\"")) {
                assert!(begun.elapsed() < TIME_WAIT, "{}: nothing", file.display());
                thread::sleep(Duration::from_millis(50));
            }
        }
        load::connections(CONNECTIONS);
        // Until the last one has left TIME_WAIT, and has been told.
        thread::sleep(TIME_WAIT + Duration::from_secs(8));
        running.map(Running::finish)
    })
}

/// A number with three digits and its unit.
fn short(bytes: f64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB", "PB"];
    let power = (0..units.len() - 1).find(|power| bytes / 1e3_f64.powi(*power as i32) < 1e3);
    let power = power.unwrap_or(units.len() - 1);
    let number = bytes / 1e3_f64.powi(power as i32);
    let digits = if number < 10.0 { 1 } else { 0 };
    format!("{number:.digits$} {}", units[power])
}

fn tables(volumes: &[Volume]) -> String {
    let mut text = "\n| keep | records | JSON lines | gzip | OTLP | gzip | Parquet |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    let rows = || CHOICES.iter().map(|(name, _)| name).zip(volumes);
    for (name, volume) in rows() {
        let Volume { records, json, json_gzip, otlp, otlp_gzip, parquet } = *volume;
        let cells = [json, json_gzip, otlp, otlp_gzip, parquet].map(|one| format!("{one:.0}"));
        text += &format!("| {name} | {records:.2} | {} |\n", cells.join(" | "));
    }
    text += "\nOf 10,000 hosts with 1,000 connections a second each, computed from that:\n\n\
             | keep | a host sends | its queue lasts | gateways get | records a second | tables, a day |\n\
             |---|---|---|---|---|---|\n";
    for (name, Volume { records, otlp_gzip, parquet, .. }) in rows() {
        let (host, all) = (otlp_gzip * RATE, otlp_gzip * RATE * HOSTS);
        let day = parquet * RATE * HOSTS * 86_400.0;
        text += &format!(
            "| {name} | {}/s | {:.0} s | {}/s | {:.1} million | {} |\n",
            short(host),
            QUEUE / (records * RATE),
            short(all),
            records * RATE * HOSTS / 1e6,
            short(day)
        );
    }
    text + "\n"
}

#[test]
#[ignore = "rewrites docs/fleet.md; takes over a minute"]
fn the_figures_of_a_fleet_are_measured_again() {
    let document = fs::read_to_string(FLEET).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let tables = tables(&measured());
    fs::write(FLEET, [before, BEGIN, &tables, END, after].concat()).unwrap();
}
