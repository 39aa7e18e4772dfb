//! What a trace begins with, and what is missing from it on this host.

use std::borrow::Cow;

/// What a trace begins with: who traced, where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the tool.
    pub version: Cow<'static, str>,
    /// Release of the running kernel.
    pub kernel: String,
    /// How events are obtained.
    pub mode: Mode,
    /// What cannot be had here, and why.
    pub degraded: Vec<Degraded>,
    /// The command line in force.
    pub options: Vec<String>,
    /// Where it was traced.
    pub host: Option<Host>,
    /// The file that it begins, if it begins one.
    pub file: Option<OfFile>,
}

impl Hello {
    /// The header of one file of the trace.
    #[must_use]
    pub fn of(&self, file: Option<OfFile>) -> Self {
        Self { file, ..self.clone() }
    }
}

/// The host, so that lines from several hosts can be told apart.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Host {
    /// Its name (`uname -n`).
    pub name: String,
    /// Changes with each boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: Option<String>,
}

/// One file of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfFile {
    /// Its number, from 1.
    pub sequence: u64,
    /// When it was opened.
    pub opened: jiff::Timestamp,
}

impl OfFile {
    /// The first line of a file for people.
    pub fn line(&self, host: Option<&Host>) -> String {
        let Self { sequence, opened } = self;
        let place = host.map_or_else(String::new, |Host { name, boot_id }| {
            let boot = boot_id.as_ref().map_or_else(String::new, |id| format!(", boot {id}"));
            format!(" on {name}{boot}")
        });
        format!("= file {sequence} of this trace, begun {opened:.9}{place}\n")
    }
}

/// How events are obtained.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// BTF-typed programs: everything the kernel knows about a socket.
    Btf,
    /// The classic tracepoint's record: addresses, ports and states only.
    Tracepoint,
}

/// A feature that is missing here, and how to get it.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Degraded {
    /// What is missing.
    pub feature: Cow<'static, str>,
    /// What is lost without it.
    pub lost: Cow<'static, str>,
    /// Why it is missing.
    pub reason: String,
    /// How to get it.
    pub remedy: Cow<'static, str>,
}
