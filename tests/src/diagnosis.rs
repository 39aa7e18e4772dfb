//! What `tracer diagnose` says of a host.

use std::{
    process::{Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    netns::Namespace,
    record::{Record, listing},
    slowness::allowed,
    sockets::eventually,
    tracer::{command, is_attached},
};

/// How long is observed before something happens, on a usual machine, and after it: until the first
/// look has been taken, which nothing outside shows, and until the last event has been read.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(2);

/// One diagnosis, by `--format json`.
#[derive(Debug)]
pub struct Diagnosis {
    /// Exit status.
    pub status: i32,
    /// The first line.
    pub hello: Record,
    /// The findings, in the order told.
    pub findings: Vec<Record>,
    /// The last line.
    pub summary: Record,
}

impl Diagnosis {
    /// Of a namespace.
    pub fn of(namespace: &Namespace, options: &[&str]) -> Self {
        Self::run(&[&[namespace.netns], options].concat())
    }

    /// Of what the options say, observed for a second unless they say otherwise.
    pub fn run(options: &[&str]) -> Self {
        Self::prepared("", options)
    }

    /// The same, prepared by `prelude` as [`command`] does.
    pub fn prepared(prelude: &str, options: &[&str]) -> Self {
        let time: &[&str] = if options.contains(&"--for") { &[] } else { &["--for", "1s"] };
        let arguments = [&["diagnose", "--format", "json"], time, options].concat();
        Self::read(&command(prelude, &arguments).output().expect("live tests need nsenter"))
    }

    /// Of a namespace in which something happens while it is observed.
    pub fn during(namespace: &Namespace, happens: impl FnOnce()) -> Self {
        Self::meanwhile("", &["--netns", &namespace.inode.to_string()], happens)
    }

    /// Of what the options say, while something happens; prepared by `prelude` as [`command`] does.
    pub fn meanwhile(prelude: &str, options: &[&str], happens: impl FnOnce()) -> Self {
        let arguments = [&["diagnose", "--format", "json", "--for", "1h"], options].concat();
        let mut command = command(prelude, &arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("live tests need nsenter");
        // Emulated, with others beside it, the verifier alone takes more than ten seconds.
        eventually("the diagnosis is attached", || is_attached(child.id()));
        thread::sleep(allowed(BEFORE));
        happens();
        thread::sleep(allowed(AFTER));
        // nsenter has become the tracer.
        kill_process(Pid::from_child(&child), Signal::INT).expect("it is running");
        Self::read(&child.wait_with_output().expect("a child to wait for"))
    }

    fn read(output: &Output) -> Self {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the tracer complains");
        let text = String::from_utf8_lossy(&output.stdout);
        let now = Instant::now();
        let mut records: Vec<Record> = text.lines().map(|line| Record::parse(line, now)).collect();
        assert!(records.len() >= 2, "hello and summary expected:{}", listing(&records));
        let hello = records.remove(0);
        assert_eq!(hello.kind(), "hello", "{hello}");
        let summary = records.pop().expect("two records");
        assert_eq!(summary.kind(), "summary", "{summary}");
        let status = output.status.code().expect("an exit status");
        Self { status, hello, findings: records, summary }
    }

    /// The findings of a kind.
    pub fn all(&self, code: &str) -> Vec<&Record> {
        self.findings.iter().filter(|finding| finding.at("/finding/code") == code).collect()
    }

    /// The only finding of a kind.
    #[track_caller]
    pub fn only(&self, code: &str) -> &Record {
        let found = self.all(code);
        assert_eq!(found.len(), 1, "{code}: {}", listing(&self.findings));
        found[0]
    }

    /// The evidence of the only finding of a kind.
    #[track_caller]
    pub fn evidence(&self, code: &str) -> &Value {
        self.only(code).at("/finding/evidence")
    }

    /// The sentence of the only finding of a kind.
    #[track_caller]
    pub fn text(&self, code: &str) -> &str {
        self.only(code).text("/finding/text").expect("a sentence")
    }
}
