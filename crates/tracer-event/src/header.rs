//! `hello`: what is traced by what, and what cannot be had here.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{name, wall};

/// What a trace begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The file that begins with this line, so that no two files begin in the same way; not on
    /// standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<OfFile>,
    /// Where it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Version of the tool.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub version: Cow<'static, str>,
    /// Release of the running kernel.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub kernel: String,
    /// How events are obtained.
    pub mode: Mode,
    /// What cannot be had here, and why.
    #[serde(default)]
    pub degraded: Vec<Degraded>,
    /// The command line in force.
    #[serde(default, with = "name::list")]
    #[schemars(with = "Vec<String>")]
    pub options: Vec<String>,
    /// Why not all that happens to a connection is told, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
}

/// What leaves out a part of what happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// The filter asks for states, ages, reasons or problems.
    Filter,
    /// `--records`, `--sample` or `--problems`.
    Records,
}

/// What is not available in what a flight recorder has kept: the time before.
pub const EARLIER_EVENTS: &str = "earlier events";

impl Header {
    /// The header of one file of the trace.
    #[must_use]
    pub fn of(&self, file: Option<OfFile>) -> Self {
        Self { file, ..self.clone() }
    }

    /// Whether it is of what a flight recorder has kept, which begins late and has no summary.
    pub fn is_of_excerpt(&self) -> bool {
        self.degraded.iter().any(|one| one.feature == EARLIER_EVENTS)
    }

    /// What is missing of what is shown. Without fexit accept() is known all the same, at a cost and
    /// with exceptions that JSON and `tracer features` say: that is no reason to begin each trace with
    /// a warning.
    pub fn missing(&self) -> impl Iterator<Item = &Degraded> {
        self.degraded.iter().filter(|degraded| degraded.feature != "fexit")
    }
}

/// The host, so that lines from several hosts can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name (`uname -n`).
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub name: String,
    /// Changes with each boot (`/proc/sys/kernel/random/boot_id`).
    #[serde(default, with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub boot_id: Option<String>,
}

/// One file of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfFile {
    /// Which file of the trace it is, from 1.
    pub sequence: u64,
    /// When it was begun.
    #[serde(with = "wall::timestamp")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub opened: jiff::Timestamp,
}

impl OfFile {
    /// The first lines of a file for people, which fit a terminal.
    pub fn line(&self, host: Option<&Host>) -> String {
        let Self { sequence, opened } = self;
        let place = host.map_or_else(String::new, |Host { name, boot_id }| {
            let boot = boot_id.as_ref().map_or_else(String::new, |id| format!(", boot {id}"));
            format!("= on {name}{boot}\n")
        });
        format!("= file {sequence} of this trace, begun {opened:.9}\n{place}")
    }
}

/// How events are obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// BTF-typed programs: everything the kernel knows about a socket.
    Btf,
    /// The classic tracepoint's record: addresses, ports and states only.
    Tracepoint,
}

/// A feature that is missing here, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Degraded {
    /// What is missing.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub feature: Cow<'static, str>,
    /// What is lost without it.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub lost: Cow<'static, str>,
    /// Why it is missing.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub reason: String,
    /// How to get it.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub remedy: Cow<'static, str>,
}
