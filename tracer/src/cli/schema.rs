//! The command `tracer schema`.

use std::io::{self, Write as _};

use anyhow::Context as _;

use crate::sink::json::schema::schema;

/// Prints the JSON Schema.
///
/// # Errors
///
/// Where standard output fails.
pub(super) fn run() -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&schema())?;
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
