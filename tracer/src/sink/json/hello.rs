//! The first line.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::VERSION;
use crate::sink::{
    Degraded, Hello, Host, Mode, OfFile, escape::harmless, stamps::Stamps, wall_clock::WallClock,
};

/// Of a `hello`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct HelloBody<'a> {
    /// The file that begins with this line, so that no two files begin in the same way; not on
    /// standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FileBody>,
    /// Where it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Host>,
    /// Version of this schema, major and minor.
    #[serde(borrow)]
    pub(crate) schema: Cow<'a, str>,
    /// Version of the tool.
    pub(crate) version: String,
    /// Release of the running kernel.
    pub(crate) kernel: String,
    /// How events are got.
    pub(crate) mode: Mode,
    /// `time` by CLOCK_MONOTONIC, nanoseconds.
    pub(crate) monotonic_ns: Option<u64>,
    /// What cannot be had here, and why.
    #[serde(default)]
    pub(crate) degraded: Vec<Degraded>,
    /// The command line in force.
    #[serde(default)]
    pub(crate) options: Vec<String>,
}

/// A file of a trace.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct FileBody {
    /// Which file of the trace it is, from 1.
    sequence: u64,
    /// When it was begun.
    #[schemars(extend("format" = "date-time"))]
    opened: String,
}

impl HelloBody<'static> {
    pub(super) fn new(hello: &Hello, clock: WallClock) -> Self {
        let Hello { version, kernel, mode, degraded, options, host, file } = harmlessly(hello);
        let monotonic_ns = Some(clock.now);
        let version = version.into_owned();
        let file = file.map(|OfFile { sequence, opened }| FileBody {
            sequence,
            opened: Stamps::utc().write(opened).to_owned(),
        });
        let schema = VERSION.into();
        Self { file, host, schema, version, kernel, mode, monotonic_ns, degraded, options }
    }
}

impl HelloBody<'_> {
    /// What it tells; none where the file's time is none.
    pub(crate) fn hello(self) -> Option<Hello> {
        let HelloBody {
            file,
            host,
            schema: _,
            version,
            kernel,
            mode,
            monotonic_ns: _,
            degraded,
            options,
        } = self;
        let file = match file {
            Some(FileBody { sequence, opened }) => {
                let opened: Timestamp = opened.parse().ok()?;
                // As all times of a recording.
                i64::try_from(opened.as_nanosecond()).ok()?;
                Some(OfFile { sequence, opened })
            }
            None => None,
        };
        let version = version.into();
        Some(harmlessly(&Hello { version, kernel, mode, degraded, options, host, file }))
    }
}

/// Reasons may hold what others have chosen, and a recording anything.
fn harmlessly(hello: &Hello) -> Hello {
    let text = |text: &str| harmless(text).into_owned();
    let missing = |one: &Degraded| Degraded {
        feature: text(&one.feature).into(),
        lost: text(&one.lost).into(),
        reason: text(&one.reason),
        remedy: text(&one.remedy).into(),
    };
    Hello {
        version: text(&hello.version).into(),
        kernel: text(&hello.kernel),
        mode: hello.mode,
        degraded: hello.degraded.iter().map(missing).collect(),
        options: hello.options.iter().map(|option| text(option)).collect(),
        host: hello.host.as_ref().map(|Host { name, boot_id }| Host {
            name: text(name),
            boot_id: boot_id.as_deref().map(text),
        }),
        file: hello.file,
    }
}
