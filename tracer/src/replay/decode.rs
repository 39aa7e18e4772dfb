//! From a recorded line back to what was told. No I/O and no clock; a line is a file's content,
//! which somebody else may have chosen.

mod finding;
mod lingering;
mod subject;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use self::subject::Named as _;
use super::surroundings::Recorded;
use crate::{
    model::{
        finding::Finding,
        update::{
            Linger, Loss, Reset, Retransmit, Segment, Sequence, Story, Subject, Transition, Update,
        },
    },
    sink::{
        Hello,
        json::{
            Bare,
            finding::FindingBody,
            hello::HelloBody,
            schema,
            shape::{Line, LossBody},
            tcp::{LingerTcp, SegmentTcp, StoryTcp, TransitionTcp},
        },
        summary::Summary,
        wall_clock::WallClock,
    },
};

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
    /// It has other names.
    #[error(
        "recorded with --json-names ecs, which is for Elasticsearch and cannot be replayed: record \
         with --json-names otel"
    )]
    Ecs,
}

/// A recorded line.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and told at once")]
pub enum Item {
    /// The first line of a trace.
    Hello(Hello),
    /// Something that was told.
    Told(Told),
    /// The last line of a trace.
    Summary(Box<Summary>),
    /// Of a kind that is not replayed, or not known here.
    Passed,
}

/// An update that owns what it tells.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in `Update`")]
pub enum Told {
    Transition(Transition),
    Retransmit(Retransmit),
    Reset(Reset),
    Story(Story),
    /// One or several of one moment.
    Linger(Vec<Linger>),
    Loss(Loss),
    Finding(Box<Finding>),
}

impl Told {
    /// As sinks take it.
    pub fn update(&self) -> Update<'_> {
        match self {
            Self::Transition(told) => Update::Transition(told),
            Self::Retransmit(told) => Update::Retransmit(told),
            Self::Reset(told) => Update::Reset(told),
            Self::Story(told) => Update::Story(told),
            Self::Linger(told) => Update::Linger(told),
            Self::Loss(told) => Update::Loss(told),
            Self::Finding(told) => Update::Finding(told),
        }
    }

    /// When, nanoseconds of the recorded `CLOCK_MONOTONIC`.
    pub fn time(&self) -> u64 {
        match self {
            Self::Transition(told) => told.time,
            Self::Retransmit(told) => told.time,
            Self::Reset(told) => told.time,
            Self::Story(told) => told.time,
            Self::Linger(told) => told.first().map_or(0, |linger| linger.time),
            Self::Loss(told) => told.time,
            Self::Finding(told) => told.time,
        }
    }
}

/// Reads lines, one after another.
#[derive(Debug)]
pub struct Decoder {
    clock: WallClock,
    surroundings: Arc<Recorded>,
    /// The recording's schema has more than ours: what is not understood may be new.
    newer: bool,
}

#[derive(Deserialize)]
struct Head {
    kind: Option<String>,
    #[serde(rename = "@timestamp")]
    ecs_time: Option<String>,
}

impl Decoder {
    /// Puts what the lines say of containers and programs into `surroundings`.
    pub fn new(surroundings: Arc<Recorded>) -> Self {
        Self { clock: WallClock { lead: 0, now: 0 }, surroundings, newer: false }
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
        Ok(Item::Told(match kind {
            "hello" => return self.hello(line).map(Item::Hello),
            "summary" => return self.summary(line),
            "transition" => Told::Transition(self.transition(serde_json::from_str(line)?)?),
            "retransmit" => Told::Retransmit(self.retransmit(serde_json::from_str(line)?)?),
            "reset" => Told::Reset(self.reset(serde_json::from_str(line)?)?),
            "connection" => Told::Story(self.story(&serde_json::from_str(line)?)?),
            "linger" => Told::Linger(vec![self.linger(serde_json::from_str(line)?)?]),
            "loss" => Told::Loss(self.loss(&serde_json::from_str(line)?)?),
            "finding" => {
                let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, FindingBody>>(line)?;
                let time = self.time(&time)?;
                Told::Finding(Box::new(finding::finding(time, body)?))
            }
            _ => return Ok(Item::Passed),
        }))
    }

    fn hello(&mut self, line: &str) -> Result<Hello, Wrong> {
        let version = serde_json::from_str::<Version>(line)?.schema;
        self.newer = is_newer(&version)?;
        let Bare { time, body, .. } = serde_json::from_str::<Bare<'_, HelloBody<'_>>>(line)?;
        let wall = nanoseconds(&time)?;
        let now = body.monotonic_ns.unwrap_or(wall.max(0).unsigned_abs());
        // A clock that shows less than it has run can only be made up.
        let lead = i64::try_from(now).ok().and_then(|now| wall.checked_sub(now));
        let lead = lead.ok_or_else(|| Wrong::Value("monotonic_ns is out of range".into()))?;
        self.clock = WallClock { lead, now };
        body.hello().ok_or_else(no_time)
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

    fn transition(&mut self, line: Line<'_, TransitionTcp>) -> Result<Transition, Wrong> {
        let time = self.time(&line.time)?;
        let subject = self.subject(&line, line.tcp.role)?;
        let TransitionTcp {
            from,
            to,
            role: _,
            source,
            elapsed_ns,
            kernel,
            orphaned,
            handshake,
            sequence,
            sent,
            close,
        } = line.tcp;
        Ok(Transition {
            time,
            subject,
            from,
            to,
            kernel: kernel.map(|kernel| (kernel.from, kernel.to)),
            source,
            elapsed: elapsed_ns,
            handshake,
            sequence: sequence.map(Sequence::from),
            sent,
            close,
            orphaned,
        })
    }

    fn retransmit(&mut self, line: Line<'_, SegmentTcp>) -> Result<Retransmit, Wrong> {
        let time = self.time(&line.time)?;
        let subject = self.subject(&line, line.tcp.role)?;
        let SegmentTcp { state, segment, .. } = line.tcp;
        let Some(ordinal) = segment.retransmit else {
            return Err(Wrong::Value("a retransmission has no tcp.segment.retransmit".into()));
        };
        let (segment, sequence) = (segment.r#type, segment.sequence);
        Ok(Retransmit { time, subject, state, segment, ordinal, sequence })
    }

    fn reset(&mut self, line: Line<'_, SegmentTcp>) -> Result<Reset, Wrong> {
        let time = self.time(&line.time)?;
        let subject = self.subject(&line, line.tcp.role)?;
        let SegmentTcp { state, segment, .. } = line.tcp;
        if segment.r#type != Segment::Rst {
            return Err(Wrong::Value("a reset whose tcp.segment.type is not RST".into()));
        }
        let (direction, answers) = (segment.direction, segment.answers);
        Ok(Reset { time, subject, state, direction, answers })
    }

    fn story(&mut self, line: &Line<'_, StoryTcp<'_>>) -> Result<Story, Wrong> {
        let began = line.tcp.began.as_deref().map(nanoseconds).transpose()?;
        self.clock.lead = began.map_or(self.clock.lead, |began| self.clock.lead.min(began));
        let time = self.time(&line.time)?;
        let subject = self.subject(line, line.tcp.role)?;
        let StoryTcp {
            state,
            role: _,
            source,
            began: _,
            ended: _,
            duration_ns: _,
            states,
            at_least,
            handshake,
            bytes_sent,
            bytes_received,
            retransmits,
            close,
        } = line.tcp;
        Ok(Story {
            time,
            subject,
            state,
            began: began.map(|began| began.abs_diff(self.clock.lead)),
            spent: states,
            at_least,
            handshake,
            bytes_sent,
            bytes_received,
            retransmits,
            close,
            source,
        })
    }

    fn linger(&mut self, line: Line<'_, LingerTcp>) -> Result<Linger, Wrong> {
        let time = self.time(&line.time)?;
        let subject = self.subject(&line, line.tcp.role)?;
        let maker = line.stack.as_ref().map(|frames| {
            let gap = line.stack_gap.as_deref();
            self.surroundings.maker(&subject, frames.as_deref(), gap)
        });
        let holders = line.processes.as_deref().unwrap_or_default();
        let holders = holders.iter().map(|holder| holder.named(&self.surroundings));
        let LingerTcp { state, role: _, age_ns, idle_ns, at_least, threshold_ns, orphaned } =
            line.tcp;
        let Some(status) = line.status else {
            return Err(Wrong::Value("a linger has no status".into()));
        };
        Ok(Linger {
            time,
            subject,
            state,
            age: age_ns,
            idle: idle_ns.unwrap_or(age_ns),
            at_least,
            threshold: threshold_ns,
            status,
            orphaned,
            holders: holders.collect::<Result<_, _>>()?,
            why: line.cause.map(lingering::why).transpose()?,
            maker,
        })
    }

    fn loss(&mut self, line: &Bare<'_, LossBody>) -> Result<Loss, Wrong> {
        let LossBody { r#where: place, count, healed, at_least } = line.body;
        Ok(Loss { time: self.time(&line.time)?, place, count, healed, at_least })
    }

    fn subject<T>(
        &self,
        line: &Line<'_, T>,
        role: Option<crate::model::update::Role>,
    ) -> Result<Subject, Wrong> {
        subject::subject(line, role, &self.surroundings)
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
        Head { kind: Some(kind), .. } => Ok(kind.into()),
        Head { ecs_time: Some(_), .. } => Err(Wrong::Ecs),
        Head { .. } => Err(Wrong::Value("the field `kind` is missing".into())),
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
            Err(Wrong::Schema(crate::sink::escape::escape(shown.as_bytes()).into_owned()))
        }
    }
}

/// Nanoseconds since 1970.
fn nanoseconds(text: &str) -> Result<i64, Wrong> {
    let time = text.parse::<Timestamp>().ok();
    let wall = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    wall.ok_or_else(no_time)
}

fn no_time() -> Wrong {
    Wrong::Value("a time is none as 2026-01-31T12:34:56.789012345Z is".into())
}
