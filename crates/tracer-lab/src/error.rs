//! Why a scenario cannot be played.

use std::io;

/// What was tried, and why it failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {source}")]
pub struct Error {
    what: String,
    source: io::Error,
}

/// With [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Something that was waited for in vain.
    pub fn in_vain(what: &str) -> Self {
        Self { what: format!("wait for {what}"), source: io::ErrorKind::TimedOut.into() }
    }
}

/// Names what failed.
pub trait During<T> {
    /// `what` completes "cannot …".
    fn during(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|source| Error { what: what.to_owned(), source: source.into() })
    }
}
