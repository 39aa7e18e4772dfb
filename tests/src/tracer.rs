//! The program under test, run as a process of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    end::End,
    leashed::Leashed,
    netns::Namespace,
    record::{Record, listing},
    shown,
    slowness::allowed,
};

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Prelude of [`command`] that makes tracefs visible, to this command alone.
pub const WITH_TRACEFS: &str = "{ grep -q ' /sys/kernel/tracing ' /proc/mounts \
    || mount -t tracefs tracefs /sys/kernel/tracing; }";

/// The program under test.
pub fn program() -> PathBuf {
    let path = env::var_os("TRACER_BIN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/tracer")),
        PathBuf::from,
    );
    path.canonicalize().unwrap_or_else(|error| {
        panic!("{}: {error}: build the tracer first, or set TRACER_BIN", path.display())
    })
}

/// The command that runs the program in the host's network namespace, as a user would.
///
/// Where `prelude` is not empty, these shell commands are run before it, in a mount namespace of
/// its own.
pub fn command(prelude: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    // The thread of the test is in a namespace of its own, the process's first thread is not.
    command.arg(format!("--net=/proc/{}/ns/net", std::process::id()));
    if !prelude.is_empty() {
        let script = format!(r#"{prelude} && exec "$0" "$@""#);
        command.args(["unshare", "--mount", "sh", "-c", &script]);
    }
    command.arg(program()).args(arguments).stdin(Stdio::null());
    command
}

/// Whether a tracer is attached: from then on its main thread has no capability.
pub fn is_attached(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| status.contains("CapEff:\t0000000000000000\n"))
}

#[derive(Debug, Default)]
struct Lines {
    records: Vec<Record>,
    ended: bool,
}

/// A running tracer with `--format json`; killed when dropped.
#[derive(Debug)]
pub struct Tracer {
    child: Leashed,
    lines: Arc<(Mutex<Lines>, Condvar)>,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
}

impl Tracer {
    /// Traces a namespace; returns when the tracer is attached.
    pub fn start(namespace: &Namespace, options: &[&str]) -> Self {
        Self::launch("", &[&[namespace.netns], options].concat())
    }

    /// Traces what `options` say, prepared by `prelude` as [`command`] does; returns when the
    /// tracer is attached.
    pub fn launch(prelude: &str, options: &[&str]) -> Self {
        Self::run(&mut command(prelude, &[&["--format", "json"], options].concat()))
    }

    /// Runs a command that traces with `--format json`; returns when the tracer is attached.
    pub fn run(command: &mut Command) -> Self {
        let mut child = Leashed::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let lines = Arc::default();
        let stdout = child.stdout.take().map(|pipe| collect(pipe, Arc::clone(&lines)));
        let stderr = child.stderr.take().map(read_all);
        let mut tracer = Self { child, lines, stdout, stderr };
        if tracer.wait_until(|lines| !lines.is_empty()).is_none() {
            let errors = tracer.stop(None).1;
            panic!("the tracer cannot attach; live tests need root and eBPF: {errors}");
        }
        tracer
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a record.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        self.wait_until(|records| records.iter().any(&wanted));
        let lines = self.lock();
        lines.records.iter().find(|record| wanted(record)).cloned().unwrap_or_else(|| {
            panic!("the tracer does not tell of {what}, but only:{}", listing(&lines.records))
        })
    }

    /// Waits until a socket changes from one state to another.
    pub fn wait_for_step(&self, end: &End, from: &str, to: &str) -> Record {
        self.wait_for(&format!("{from} → {to} of {end:?}"), |record| {
            end.is_told_by(record) && record.is_transition() && record.is_step(from, to)
        })
    }

    /// Records so far.
    pub fn so_far(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// Ends the trace by SIGINT.
    pub fn finish(self) -> Trace {
        self.finish_by(Some(Signal::INT))
    }

    /// Ends the trace by a signal, or waits until it ends by itself.
    pub fn finish_by(mut self, signal: Option<Signal>) -> Trace {
        let (status, errors) = self.stop(signal);
        assert!(status.success(), "the tracer ended with {status}: {errors}");
        assert_eq!(errors, "", "the tracer complains");
        let trace = Trace::new(std::mem::take(&mut self.lock().records));
        shown::note(trace.unseen());
        trace
    }

    fn stop(&mut self, signal: Option<Signal>) -> (ExitStatus, String) {
        if let Some(signal) = signal {
            self.child.signal(signal);
        }
        let status = wait(&mut self.child);
        self.stdout.take().map(JoinHandle::join);
        let errors = self.stderr.take().and_then(|thread| thread.join().ok());
        (status, errors.unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.0.lock().unwrap_or_else(|_| panic!("the tracer's output is not as it must be"))
    }

    /// Waits for a condition on the records so far.
    fn wait_until(&self, holds: impl Fn(&[Record]) -> bool) -> Option<()> {
        let waiting = |lines: &mut Lines| !lines.ended && !holds(&lines.records);
        let (lines, _) =
            self.lines.1.wait_timeout_while(self.lock(), allowed(PATIENCE), waiting).ok()?;
        holds(&lines.records).then_some(())
    }
}

/// What a command prints; it succeeds, and complains of nothing.
#[track_caller]
pub fn printed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What a command says that is refused: status 2, and one line.
#[track_caller]
pub fn refused(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{command:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{command:?}: {errors}");
    errors
}

/// What `tracer sockets` prints of a namespace.
pub fn sockets(namespace: &Namespace, options: &[&str]) -> String {
    printed(&mut command("", &[&["sockets", namespace.netns], options].concat()))
}

/// The same, line by line.
pub fn listed(namespace: &Namespace) -> Vec<Record> {
    let text = sockets(namespace, &["--format", "json"]);
    text.lines().map(|line| Record::parse(line, Instant::now())).collect()
}

/// The child of a process that has a name.
pub fn child_of(parent: u32, name: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let wanted = [format!("Name:\t{name}"), format!("PPid:\t{parent}")];
    ids.find(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        wanted.iter().all(|wanted| status.lines().any(|line| line == wanted))
    })
}

/// Waits for a process to end; kills it and fails where it does not.
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + allowed(PATIENCE);
    loop {
        if let Some(status) = child.try_wait().expect("a child that can be waited for") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("process {} does not end", child.id());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads a pipe to its end, in a thread.
pub fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map_or_else(|error| error.to_string(), |_| text)
    })
}

fn collect(
    pipe: impl Read + Send + 'static,
    lines: Arc<(Mutex<Lines>, Condvar)>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let arrived = Instant::now();
            let Ok(mut lines_so_far) = lines.0.lock() else {
                return;
            };
            // A line that is wrong poisons the mutex, which fails the test.
            lines_so_far.records.push(Record::parse(&line, arrived));
            lines.1.notify_all();
        }
        if let Ok(mut lines_so_far) = lines.0.lock() {
            lines_so_far.ended = true;
        }
        lines.1.notify_all();
    })
}

/// All that a tracer told.
#[derive(Debug)]
pub struct Trace {
    /// The first record.
    pub hello: Record,
    /// What lies between the first and the last.
    pub records: Vec<Record>,
    /// The last record.
    pub summary: Record,
}

impl Trace {
    /// Checks beginning and end.
    pub fn new(mut records: Vec<Record>) -> Self {
        assert!(records.len() >= 2, "hello and summary expected:{}", listing(&records));
        let hello = records.remove(0);
        assert_eq!(hello.kind(), "hello", "the first line is {hello}");
        let summary = records.pop().expect("two records");
        assert_eq!(summary.kind(), "summary", "the last line is {summary}");
        let stray = records.iter().find(|record| ["hello", "summary"].contains(&record.kind()));
        assert!(stray.is_none(), "in the middle of the trace: {}", listing(stray));
        assert_eq!(summary.at("/complete"), true, "something was lost: {}", listing(&records));
        Self { hello, records, summary }
    }

    /// State changes that the kernel has not shown, though something proves them.
    pub fn unseen(&self) -> u64 {
        self.summary.number("/lost/unseen").unwrap_or_else(|| panic!("{}", self.summary))
    }

    /// The state changes.
    pub fn transitions(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.is_transition())
    }
}
