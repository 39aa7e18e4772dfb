//! A tracer that writes a file, for traces that are too long to be kept in memory.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::process::Pid;

use crate::{
    background::Background,
    clock::Moment,
    kernel::{self, States},
    netns::Namespace,
    record::Record,
    sockets::eventually,
    tracer::command,
};

/// A running tracer with `--output`.
#[derive(Debug)]
pub struct Recorder {
    tracer: Background,
    path: PathBuf,
}

impl Recorder {
    /// Traces a namespace into a file of `directory`; returns when it is attached.
    pub fn start(namespace: &Namespace, directory: &Path, options: &[&str]) -> Self {
        let recorder =
            Self::launch(namespace, directory, &[&["--format", "json"], options].concat());
        eventually("the first line of the output file", || {
            fs::metadata(&recorder.path).is_ok_and(|file| file.len() > 0)
        });
        recorder
    }

    /// The same in any format; returns at once.
    pub fn launch(namespace: &Namespace, directory: &Path, options: &[&str]) -> Self {
        let path = directory.join("trace");
        let file = path.to_str().expect("a name");
        let options = [&[namespace.netns, "--output", file], options].concat();
        Self { tracer: Background::start(&mut command("", &options)), path }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.tracer.pid()
    }

    /// Where it writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the trace by SIGINT.
    pub fn finish(self) -> Recording {
        self.tracer.finish();
        Recording { path: self.path }
    }
}

/// All that a tracer told.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
}

/// A transition, as far as counting needs it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The socket's cookie.
    pub cookie: u64,
    /// Which connection on it.
    pub ordinal: u64,
    /// The state that is left.
    pub from: &'a str,
    /// The state that is entered.
    pub to: &'a str,
    /// How it is known.
    pub source: &'a str,
    /// When.
    pub time: Moment,
}

impl<'a> Step<'a> {
    /// Reads it off a line. A whole JSON parser would take minutes for millions of lines.
    fn of(line: &'a str) -> Option<Self> {
        if !line.starts_with(r#"{"kind":"transition""#) {
            return None;
        }
        let step = Self::read(line);
        Some(step.unwrap_or_else(|| panic!("a transition is not written as expected: {line}")))
    }

    fn read(line: &'a str) -> Option<Self> {
        let (about, tcp) = line.split_once(r#","tcp":{"#)?;
        Some(Self {
            cookie: number(about, r#""cookie":"#)?,
            ordinal: number(about, r#""ordinal":"#)?,
            from: word(tcp, r#""from":""#)?,
            to: word(tcp, r#""to":""#)?,
            source: word(tcp, r#""source":""#)?,
            time: Moment::parse(word(about, r#""time":""#)?),
        })
    }
}

fn word<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let from = text.find(before)? + before.len();
    Some(&text[from..from + text[from..].find('"')?])
}

fn number(text: &str, before: &str) -> Option<u64> {
    let digits = &text[text.find(before)? + before.len()..];
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}

impl Recording {
    /// Goes through all lines.
    pub fn lines(&self, mut each: impl FnMut(&str)) {
        let mut file = BufReader::with_capacity(1 << 20, File::open(&self.path).expect("a trace"));
        let mut line = String::new();
        while file.read_line(&mut line).expect("text") > 0 {
            each(&line);
            line.clear();
        }
    }

    /// Goes through all transitions.
    pub fn steps(&self, mut each: impl FnMut(Step<'_>)) {
        self.lines(|line| Step::of(line).into_iter().for_each(&mut each));
    }

    /// Records that are no transitions, the first and the last included.
    pub fn others(&self) -> Vec<Record> {
        let mut others = Vec::new();
        self.lines(|line| {
            if Step::of(line).is_none() {
                others.push(Record::parse(line, Instant::now()));
            }
        });
        others
    }

    /// The last line.
    pub fn summary(&self) -> Record {
        let mut last = String::new();
        self.lines(|line| line.clone_into(&mut last));
        let summary = Record::parse(&last, Instant::now());
        assert_eq!(summary.kind(), "summary", "the last line is {summary}");
        summary
    }

    /// The sockets that are not closed by what was told of the time until `end`.
    ///
    /// Checks that each transition goes on where the last one of the same socket ended.
    pub fn states(&self, end: Moment) -> States {
        let mut states = States::new();
        self.steps(|step| {
            if end.since(step.time) >= 0 {
                let before = match step.to {
                    "CLOSED" => states.remove(&step.cookie),
                    state => states.insert(step.cookie, kernel::name(state)),
                };
                assert!(before.is_none_or(|before| before == step.from), "{before:?}: {step:?}");
            }
        });
        states
    }
}
