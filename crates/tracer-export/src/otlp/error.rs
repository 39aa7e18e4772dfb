//! A setting of the exporter that cannot be used.

/// A setting that cannot be used: what it is called, its value, what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{name} {value:?}: {reason}")]
pub struct SettingsError {
    name: String,
    value: String,
    reason: String,
}

impl SettingsError {
    pub(super) fn new(name: &str, value: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}
