//! The command `tracer schema`.

use super::console::print;
use tracer_output::json::schema::schema;

/// Prints the JSON Schema.
///
/// # Errors
///
/// Where standard output fails.
pub(super) fn run() -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&schema())?;
    text.push('\n');
    print(text.as_bytes())
}
