//! Why programs could not be loaded, in one line each.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use super::offsets::OffsetsError;
use crate::{limits::Scarce, tracefs::TracefsError};

/// Why nothing is traced.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Both ways failed.
    #[error("neither way to trace works here: with BTF: {btf}; classic tracepoint: {tracepoint}")]
    NoWay {
        /// The error of the first.
        btf: Box<LoadError>,
        /// The error of the second.
        tracepoint: Box<LoadError>,
    },
    /// The kernel would end the process.
    #[error(transparent)]
    Scarce(#[from] Scarce),
    /// No BTF.
    #[error("cannot read /sys/kernel/btf/vmlinux: {0} (CONFIG_DEBUG_INFO_BTF)")]
    NoBtf(String),
    /// BTF that cannot be used.
    #[error(transparent)]
    Offsets(#[from] OffsetsError),
    /// tracefs that cannot be used.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
    /// aya could not prepare the object, or create the maps.
    #[error("cannot load the eBPF object: {0}")]
    Object(String),
    /// The kernel refused a program.
    #[error("the kernel refuses program {program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it says.
        reason: String,
    },
    /// A map is not as expected.
    #[error("map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: MapError,
    },
}

impl LoadError {
    /// The kernel's refusal in one line: of the verifier's log the last that says something.
    pub(super) fn program(program: &'static str, error: &ProgramError) -> Self {
        let reason = match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                tracing::debug!("{program}: {verifier_log}");
                let log = verifier_log.to_string();
                let said =
                    log.lines().rev().find(|line| !line.trim().is_empty() && !is_statistics(line));
                match said {
                    Some(line) => format!("{io_error}: {}", line.trim()),
                    None => io_error.to_string(),
                }
            }
            other => chain(other),
        };
        Self::Program { program, reason }
    }
}

/// Why an object could not be created, with what helps.
pub(super) fn creation_failed(error: &EbpfError) -> String {
    let text = chain(error);
    match error {
        EbpfError::MapError(MapError::CreateError { io_error, .. })
            if io_error.kind() == io::ErrorKind::PermissionDenied =>
        {
            format!(
                "{text} (before Linux 5.11 maps are locked memory: `ulimit -l unlimited`, or add \
                 CAP_SYS_RESOURCE)"
            )
        }
        _ => text,
    }
}

/// What the verifier closes its log with, whatever the result.
fn is_statistics(line: &str) -> bool {
    ["processed ", "stack depth ", "verification time "].iter().any(|start| line.starts_with(start))
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
