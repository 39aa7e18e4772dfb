//! Threads that the first one waits for.

use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot::{self, Receiver};

/// Does something in a thread of its own; what comes of it. tokio's threads for what blocks
/// (`spawn_blocking`) are no way to do so: it panics where none can be had.
///
/// # Errors
///
/// Where none can be had: their number or the memory is limited.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<Receiver<T>> {
    let (sender, done) = oneshot::channel();
    let work = move || {
        // Nobody may wait any more.
        let _ = sender.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")?;
    Ok(done)
}
