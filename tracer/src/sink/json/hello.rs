//! The first line.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::VERSION;
use crate::sink::{Degraded, Hello, Mode, escape::harmless, wall_clock::WallClock};

/// Of a `hello`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct HelloBody<'a> {
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

impl HelloBody<'static> {
    pub(super) fn new(hello: &Hello, clock: WallClock) -> Self {
        let Hello { version, kernel, mode, degraded, options } = harmlessly(hello);
        let monotonic_ns = Some(clock.now);
        let version = version.into_owned();
        Self { schema: VERSION.into(), version, kernel, mode, monotonic_ns, degraded, options }
    }
}

impl From<HelloBody<'_>> for Hello {
    fn from(body: HelloBody<'_>) -> Self {
        let HelloBody { schema: _, version, kernel, mode, monotonic_ns: _, degraded, options } =
            body;
        harmlessly(&Self { version: version.into(), kernel, mode, degraded, options })
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
    }
}
