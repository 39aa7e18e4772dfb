//! From a recorded line back to what was told. No I/O and no clock; a line is a file's content,
//! which somebody else may have chosen.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};

use super::enricher::Recorded;
use tracer_event::{
    connection::ConnectionSummary,
    endpoint::Tuple,
    finding::Finding,
    header::Header,
    line::{About, Kubernetes, Line, Network},
    linger::Linger,
    loss::Loss,
    process::{Holder, Owner, Process},
    subject::Subject,
    summary::Summary,
    wall,
    wall_clock::WallClock,
};
use tracer_output::json::{Bare, HeaderBody, schema};

pub use tracer_event::update::OwnedUpdate;

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is not one of ours.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A value that cannot be.
    #[error("{0}")]
    Value(String),
    /// It was made by another generation of the tool.
    #[error(
        "the recording has schema {0}, and this tracer reads {ours}: use the one that recorded it",
        ours = schema::VERSION
    )]
    Schema(String),
}

/// A recorded line.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Item {
    /// The first line of a trace.
    Header(Header),
    /// Something that was told.
    Update(OwnedUpdate),
    /// The last line of a trace.
    Summary(Box<Summary>),
    /// Of a kind that is not replayed, or not known here.
    Passed,
}

/// Reads lines, one after another.
#[derive(Debug)]
pub struct Decoder {
    clock: WallClock,
    enricher: Arc<Recorded>,
    /// The recording's schema has more than ours: what is not understood may be new.
    newer: bool,
}

#[derive(Deserialize)]
struct Head {
    kind: Option<String>,
}

impl Decoder {
    /// Puts what the lines say of containers and programs into `enricher`.
    pub fn new(enricher: Arc<Recorded>) -> Self {
        Self { clock: WallClock { lead: 0, now: 0 }, enricher, newer: false }
    }

    /// The clock by which the times of the last line are to be read; its present is that line's.
    pub fn clock(&self) -> WallClock {
        self.clock
    }

    /// Reads one line.
    ///
    /// # Errors
    ///
    /// Where it is no line of a trace, or one of another generation.
    pub fn decode(&mut self, line: &str) -> Result<Item, Wrong> {
        let kind = kind(line)?;
        match self.item(&kind, line) {
            Err(Wrong::Json(error)) if self.newer && error.is_data() => {
                tracing::debug!("passed over: {error}");
                Ok(Item::Passed)
            }
            item => item,
        }
    }

    fn item(&mut self, kind: &str, line: &str) -> Result<Item, Wrong> {
        Ok(Item::Update(match kind {
            "hello" => return self.header(line).map(Item::Header),
            "summary" => return self.summary(line),
            "transition" => OwnedUpdate::Transition(self.about(line)?),
            "retransmit" => OwnedUpdate::Retransmit(self.about(line)?),
            "reset" => OwnedUpdate::Reset(self.about(line)?),
            "connection" => OwnedUpdate::Connection(self.connection(line)?),
            "linger" => OwnedUpdate::Linger(vec![self.linger(line)?]),
            "loss" => {
                let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, Loss>>(line)?;
                OwnedUpdate::Loss(Loss { time: self.time(&time)?, ..body })
            }
            "finding" => {
                let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, Finding>>(line)?;
                OwnedUpdate::Finding(Box::new(Finding { time: self.time(&time)?, ..body }))
            }
            _ => return Ok(Item::Passed),
        }))
    }

    fn header(&mut self, line: &str) -> Result<Header, Wrong> {
        let version = serde_json::from_str::<Version>(line)?.schema;
        self.newer = is_newer(&version)?;
        let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, HeaderBody>>(line)?;
        let wall = nanoseconds(&time)?;
        let now = body.monotonic_ns.unwrap_or(wall.max(0).unsigned_abs());
        // A clock that shows less than it has run can only be made up.
        let lead = i64::try_from(now).ok().and_then(|now| wall.checked_sub(now));
        let lead = lead.ok_or_else(|| Wrong::Value("monotonic_ns is out of range".into()))?;
        self.clock = WallClock { lead, now };
        Ok(body.header)
    }

    fn summary(&mut self, line: &str) -> Result<Item, Wrong> {
        // That of a diagnosis has no records.
        if serde_json::from_str::<Diagnosis>(line)?.healthy.is_some() {
            return Ok(Item::Passed);
        }
        let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, Summary>>(line)?;
        self.time(&time)?;
        Ok(Item::Summary(Box::new(body)))
    }

    /// The time of a line, nanoseconds of `CLOCK_MONOTONIC`; it is the present from now on.
    fn time(&mut self, text: &str) -> Result<u64, Wrong> {
        let wall = nanoseconds(text)?;
        // Somebody has set the clock back: earlier times than the boot.
        self.clock.lead = self.clock.lead.min(wall);
        self.clock.now = wall.abs_diff(self.clock.lead);
        Ok(self.clock.now)
    }

    /// An event about a socket.
    fn about<T: About + DeserializeOwned>(&mut self, line: &str) -> Result<T, Wrong> {
        let mut line: Line<'_, T> = serde_json::from_str(line)?;
        self.place(&mut line)?;
        Ok(line.tcp)
    }

    fn connection(&mut self, line: &str) -> Result<ConnectionSummary, Wrong> {
        let mut line: Line<'_, ConnectionSummary> = serde_json::from_str(line)?;
        let began = line.tcp.began.map_or(i64::MAX, u64::cast_signed);
        self.clock.lead = self.clock.lead.min(began);
        self.place(&mut line)?;
        let monotonic =
            |time: Option<u64>| time.map(|time| time.cast_signed().abs_diff(self.clock.lead));
        let ConnectionSummary { began, ended, .. } = line.tcp;
        Ok(ConnectionSummary { began: monotonic(began), ended: monotonic(ended), ..line.tcp })
    }

    fn linger(&mut self, line: &str) -> Result<Linger, Wrong> {
        let mut line: Line<'_, Linger> = serde_json::from_str(line)?;
        self.place(&mut line)?;
        let Line { status, cause: why, stack, stack_gap, processes, tcp: linger, .. } = line;
        let Some(status) = status else {
            return Err(Wrong::Value("a linger has no status".into()));
        };
        let creator = stack
            .map(|frames| self.enricher.creator(&linger.subject, frames, stack_gap.as_deref()));
        let holders = processes.into_iter().flatten().map(|one| self.owner(one)).collect();
        Ok(Linger { status, why, creator, holders, ..linger })
    }

    /// Gives the event its time and socket.
    fn place<T: About>(&mut self, line: &mut Line<'_, T>) -> Result<(), Wrong> {
        let time = self.time(&line.time)?;
        let subject = self.subject(line);
        line.tcp.set_origin(time, subject);
        Ok(())
    }

    /// The socket of a line.
    fn subject<T>(&self, line: &mut Line<'_, T>) -> Subject {
        let Network { transport: _, r#type: _, local, peer, netns, community_id: _ } = line.network;
        let container = line.container.take().map(|container| container.id);
        let pod = line.k8s.take().and_then(Kubernetes::pod_name);
        let Some(socket) = line.socket.take() else {
            let tuple = Tuple { local, peer, netns: netns.unwrap_or(0) };
            let cgroup = self.enricher.group(None, container.as_deref(), pod);
            return Subject { cgroup, ..Subject::of_addresses(tuple) };
        };
        Subject {
            cookie: socket.cookie,
            ordinal: socket.ordinal,
            tuple: Tuple { local, peer, netns: socket.netns },
            uid: socket.uid,
            inode: socket.inode,
            cgroup: self.enricher.group(socket.cgroup.as_deref(), container.as_deref(), pod),
            owner: line.process.take().map(|process| self.owner(process)),
            role: None,
        }
    }

    fn owner(&self, holder: Holder) -> Owner {
        let Holder { pid, name: comm, evidence, fd, others, executable, parent } = holder;
        let start_ns = self.enricher.program(executable, parent);
        Owner { process: Process { pid, comm, start_ns }, evidence, fd, others }
    }
}

#[derive(Deserialize)]
struct Version {
    schema: Option<String>,
}

#[derive(Deserialize)]
struct Diagnosis {
    healthy: Option<bool>,
}

/// The kind of a line; as the first field, as we write it, it is found at once.
fn kind(line: &str) -> Result<std::borrow::Cow<'_, str>, Wrong> {
    if let Some(rest) = line.strip_prefix(r#"{"kind":""#)
        && let Some((kind, _)) = rest.split_once('"')
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    {
        return Ok(kind.into());
    }
    match serde_json::from_str(line)? {
        Head { kind: Some(kind) } => Ok(kind.into()),
        Head { kind: None } => Err(Wrong::Value("the field `kind` is missing".into())),
    }
}

/// Whether a schema has more than ours.
///
/// # Errors
///
/// Where it is another one altogether.
fn is_newer(version: &Option<String>) -> Result<bool, Wrong> {
    let Some(version) = version else {
        return Err(Wrong::Schema("older than 1.0".into()));
    };
    let parts = |version: &str| -> Option<(u32, u32)> {
        let (major, minor) = version.split_once('.')?;
        major.parse().ok().zip(minor.parse().ok())
    };
    match (parts(version), parts(schema::VERSION)) {
        (Some((major, minor)), Some((our_major, our_minor))) if major == our_major => {
            Ok(minor > our_minor)
        }
        _ => {
            let shown: String = version.chars().take(20).collect();
            Err(Wrong::Schema(tracer_event::escape::escape(shown.as_bytes()).into_owned()))
        }
    }
}

/// Nanoseconds since 1970.
fn nanoseconds(text: &str) -> Result<i64, Wrong> {
    wall::nanoseconds(text).ok_or_else(no_time)
}

fn no_time() -> Wrong {
    Wrong::Value(wall::NO_TIME.into())
}
