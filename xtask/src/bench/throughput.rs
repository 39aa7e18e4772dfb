//! Short connections at full speed: what each tracer leaves of them, what it costs and loses.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::figures::{Figures, Samples, Unit, alternate};
use super::namespace::Namespace;
use super::table::Row;
use super::tool::{Running, Tool};
use super::{Bench, TRANSITIONS, accounts, command};

const BUDGET: Duration = Duration::from_secs(80);
const BUSY_BUDGET: Duration = Duration::from_secs(15);
/// The kernel clears up after a namespace in the background.
const CLEARING_UP: Duration = Duration::from_millis(500);

/// What one run of one variant has shown.
pub(crate) struct Run {
    /// Connections a second.
    pub(crate) rate: f64,
    traced: Option<Traced>,
}

/// What the tracer had to do with it.
struct Traced {
    /// Its own processor time for each event, nanoseconds.
    cpu: f64,
    /// Its peak memory, bytes.
    memory: f64,
    /// Events without a line, per million; negative where some have two.
    missing: f64,
    summary: Summary,
}

/// What tracer's own last line says, per million events.
#[derive(Clone, Copy)]
struct Summary {
    /// Lost for good.
    lost: f64,
    /// Not seen, but noticed and made good.
    healed: f64,
}

/// The lines, and each tool's processor time for each event.
pub(crate) struct Throughput {
    pub(crate) rows: Vec<Row>,
    pub(crate) cpu: Vec<(String, Figures)>,
}

/// Where load and tool run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the kernel lets them.
    Anywhere,
    /// Both on the first processor.
    OneCore,
}

/// A variant: a tool, and which lines of its output are events.
#[derive(Clone)]
pub(crate) struct Variant {
    pub(crate) tool: Tool,
    /// Regular expression of a line that shows an event; `None` where there is none for each.
    event: Option<&'static str>,
    /// Where it writes, if not to standard output.
    recording: Option<PathBuf>,
}

impl Variant {
    /// tracer in each of the ways to write all events, or none.
    pub(crate) fn ours(bench: &Bench) -> Vec<Self> {
        let ours = |label, arguments: &[&str], event| Self {
            tool: Tool::tracer(&bench.tracer, label, arguments),
            event,
            recording: None,
        };
        let recording = bench.directory.join("recording");
        let arguments = ["record", "-o", &recording.to_string_lossy()];
        vec![
            ours("tracer, text", &[], None),
            ours("tracer, JSON", &["--format", "json"], Some(OBSERVED)),
            ours("tracer, summary only", &["--summary-only"], None),
            Self { recording: Some(recording.clone()), ..ours("tracer, record", &arguments, None) },
        ]
    }

    fn writes_json(&self) -> bool {
        self.event == Some(OBSERVED)
    }
}

/// tracer's line in JSON of what the tracepoint told: what was made good is none.
const OBSERVED: &str = "^{\"kind\":\"transition\",.*\"127\\.1\\.0\\..*\"source\":\"tracepoint\"";

fn variants(bench: &Bench) -> Vec<Option<Variant>> {
    let variant = |tool, event| Variant { tool, event, recording: None };
    let other = Tool::tracer(&bench.tracer, "tracer, another port", &["--port", "9"]);
    let peers = [Tool::tcpstates(), Tool::bpftrace()];
    let peers = peers.into_iter().map(|tool| variant(tool, Some("127\\.1\\.0\\.")));
    let all = Variant::ours(bench).into_iter().chain([variant(other, None)]).chain(peers);
    [None].into_iter().chain(all.map(Some)).collect()
}

pub(crate) fn measure(bench: &Bench) -> Throughput {
    let variants = variants(bench);
    let connections = bench.scale.connections;
    let samples = alternate(bench.scale.rounds, BUDGET, &variants, |variant| {
        run(bench, variant.as_ref(), connections, Place::Anywhere)
    });
    let rates: Vec<Figures> = samples.iter().map(|s| s.figures(|run| run.rate)).collect();
    let label = |variant: &Option<Variant>| match variant {
        Some(variant) => variant.tool.label.clone(),
        None => "untraced".to_owned(),
    };
    let mut rows = Vec::new();
    for (variant, rate) in variants.iter().zip(&rates) {
        let row = Row::new("connections", &label(variant), Unit::PerSecond, rate);
        let row = match variant {
            Some(_) => row.compared(rate, &rates[0], "untraced"),
            None => row,
        };
        rows.push(row);
    }
    let traced: Vec<(&Variant, &Samples<Run>)> = variants
        .iter()
        .zip(&samples)
        .filter_map(|(variant, samples)| Some((variant.as_ref()?, samples)))
        .collect();
    let cpu = costs(&traced, &mut rows);
    Throughput { rows, cpu }
}

fn figures(samples: &Samples<Run>, figure: fn(&Traced) -> f64) -> Figures {
    samples.figures(|run| run.traced.as_ref().map_or(f64::NAN, figure))
}

/// The lines on what the tracers cost and lose.
fn costs(traced: &[(&Variant, &Samples<Run>)], rows: &mut Vec<Row>) -> Vec<(String, Figures)> {
    let cpu: Vec<(String, Figures)> = traced
        .iter()
        .map(|(variant, samples)| (variant.tool.label.clone(), figures(samples, |t| t.cpu)))
        .collect();
    for (label, figures) in &cpu {
        let row = Row::new("CPU per event, the tool's own", label, Unit::Nanoseconds, figures);
        rows.push(row.verdict());
    }
    losses(traced, "", rows);
    for (variant, samples) in traced {
        let memory = figures(samples, |traced| traced.memory);
        rows.push(Row::new("peak memory", &variant.tool.label, Unit::Bytes, &memory));
    }
    cpu
}

/// The lines on what the tracers lose, `beside` other work perhaps.
fn losses(traced: &[(&Variant, &Samples<Run>)], beside: &str, rows: &mut Vec<Row>) {
    let not_seen = format!("events not seen{beside}");
    let by_account = format!("by its own account{beside}");
    for (variant, samples) in traced.iter().filter(|(variant, _)| variant.event.is_some()) {
        let missing = figures(samples, |traced| traced.missing);
        let row = Row::new(&not_seen, &variant.tool.label, Unit::PerMillion, &missing);
        rows.push(row.verdict());
    }
    for (variant, samples) in traced.iter().filter(|(variant, _)| variant.writes_json()) {
        let label = |what: &str| format!("{}, {what}", variant.tool.label);
        let lost = figures(samples, |traced| traced.summary.lost);
        let healed = figures(samples, |traced| traced.summary.healed);
        for (label, figures) in [(label("lost"), lost), (label("made good"), healed)] {
            rows.push(Row::new(&by_account, &label, Unit::PerMillion, &figures));
        }
    }
}

/// What is lost while other work keeps every processor busy.
pub(crate) fn beside_other_work(bench: &Bench) -> Vec<Row> {
    const BESIDE: &str = ", all processors busy";
    let is_wanted = |variant: &Variant| variant.event.is_some();
    let variants: Vec<Variant> = variants(bench).into_iter().flatten().filter(is_wanted).collect();
    let rounds = bench.scale.rounds.min(2);
    let connections = bench.scale.connections / 4;
    let over = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let samples = alternate(rounds, BUSY_BUDGET, &variants, |variant| {
            run(bench, Some(variant), connections, Place::Anywhere)
        });
        over.store(true, Ordering::Relaxed);
        samples
    });
    let mut rows = Vec::new();
    losses(&variants.iter().zip(&samples).collect::<Vec<_>>(), BESIDE, &mut rows);
    rows
}

/// One run of a variant, of none for untraced.
pub(crate) fn run(
    bench: &Bench,
    variant: Option<&Variant>,
    connections: usize,
    place: Place,
) -> Result<Run> {
    thread::sleep(CLEARING_UP);
    let namespace = Namespace::new()?;
    let Some(variant) = variant else {
        let rate = load_in(bench, &namespace, connections, place)?;
        return Ok(Run { rate, traced: None });
    };
    let pinned = variant.tool.on_one_core();
    let tool = if place == Place::OneCore { &pinned } else { &variant.tool };
    let output = bench.directory.join("output");
    let stdout = File::create(&output).context("no file for a tool's output")?;
    let mut running = Running::start(tool, Stdio::from(stdout), &bench.directory)?;
    running.wait_until_attached()?;
    let before = accounts::cpu(running.pid())?;
    let rate = load_in(bench, &namespace, connections, place)?;
    running.wait_until_written(variant.recording.as_ref().unwrap_or(&output));
    let spent = accounts::cpu(running.pid())? - before;
    let memory = accounts::memory(running.pid(), "VmHWM")? as f64;
    running.finish()?;
    let events = (connections * TRANSITIONS) as f64;
    let missing = match variant.event {
        Some(event) => 1e6 * (events - lines(&output, event)? as f64) / events,
        None => f64::NAN,
    };
    let summary = if variant.writes_json() {
        summary(&tail(&output)?, events).context("tracer's last line is no summary")?
    } else {
        Summary { lost: f64::NAN, healed: f64::NAN }
    };
    fs::remove_file(&output)?;
    variant.recording.as_ref().map_or(Ok(()), fs::remove_file)?;
    let cpu = spent as f64 / events;
    Ok(Run { rate, traced: Some(Traced { cpu, memory, missing, summary }) })
}

/// The end of a file.
fn tail(file: &Path) -> Result<String> {
    const LENGTH: u64 = 16 << 10;
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LENGTH)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn summary(output: &str, events: f64) -> Option<Summary> {
    let last: serde_json::Value = serde_json::from_str(output.lines().last()?).ok()?;
    let lost = last["lost"].as_object()?;
    let healed = lost.get("unseen")?.as_f64()?;
    let all = lost.values().filter_map(serde_json::Value::as_f64).sum::<f64>();
    let share = |count| 1e6 * count / events;
    Some(Summary { lost: share(all - healed), healed: share(healed) })
}

/// Makes short connections in a namespace; how many a second.
pub(crate) fn load(bench: &Bench, namespace: &Namespace, connections: usize) -> Result<f64> {
    load_in(bench, namespace, connections, Place::Anywhere)
}

fn load_in(bench: &Bench, namespace: &Namespace, connections: usize, place: Place) -> Result<f64> {
    let program = bench.load.to_string_lossy();
    let mut command = match place {
        Place::Anywhere => namespace.command(&program),
        Place::OneCore => {
            let mut pinned = namespace.command("taskset");
            pinned.args(command::ONE_CORE).arg(&*program);
            pinned
        }
    };
    let said = command::output(command.arg(connections.to_string()))?;
    said.trim().parse().with_context(|| format!("the load generator says: {said}"))
}

/// Lines of a file that match.
fn lines(file: &Path, expression: &str) -> Result<usize> {
    // One without a match is an error to grep.
    let script = r#"grep -c "$0" "$1" || test $? = 1"#;
    let mut grep = Command::new("sh");
    grep.env("LC_ALL", "C").args(["-c", script, expression]).arg(file);
    let count = command::output(&mut grep)?;
    count.trim().parse().with_context(|| format!("grep says: {count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_what_was_lost() {
        let output = "cut\"}\n{\"kind\":\"summary\",\"transitions\":{\"tracepoint\":9,\
                      \"inferred\":3},\"lost\":{\"ring_buffer\":1,\"recursion\":1,\"unseen\":4}}\n";
        let Summary { lost, healed } = summary(output, 1e6).unwrap();
        assert_eq!((lost, healed), (2.0, 4.0));
        assert!(summary("{\"kind\":\"transition\"}\n", 1e6).is_none());
    }

    #[test]
    fn lines_of_the_load_are_counted() {
        let file = std::env::temp_dir().join(format!("xtask-lines-{}", std::process::id()));
        let line = |kind: &str, address: &str, source: &str| {
            format!("{{\"kind\":\"{kind}\",\"address\":\"{address}\",\"source\":\"{source}\"}}\n")
        };
        let output = [
            line("transition", "127.1.0.31", "tracepoint"),
            line("transition", "127.1.0.31", "inferred"),
            line("connection", "127.1.0.31", "tracepoint"),
            line("transition", "10.0.0.1", "tracepoint"),
        ];
        fs::write(&file, output.concat()).unwrap();
        assert_eq!(lines(&file, OBSERVED).unwrap(), 1);
        assert_eq!(lines(&file, "no such line").unwrap(), 0);
        assert!(tail(&file).unwrap().ends_with(&output[3]));
        fs::remove_file(&file).unwrap();
    }
}
