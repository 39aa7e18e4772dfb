//! The signals that end an observation in order, and the one that opens its files anew.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Caught from when it is made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot catch SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot catch SIGTERM")?,
        })
    }

    pub(super) async fn any(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGHUP, caught from when it is made.
pub(super) struct Hangup {
    signal: Signal,
    act: Box<dyn Fn()>,
}

impl Hangup {
    pub(super) fn catch(act: impl Fn() + 'static) -> anyhow::Result<Self> {
        let signal = signal(SignalKind::hangup()).context("cannot catch SIGHUP")?;
        Ok(Self { signal, act: Box::new(act) })
    }

    /// Acts each time, and never ends.
    pub(super) async fn each(mut self) {
        loop {
            match self.signal.recv().await {
                Some(()) => (self.act)(),
                None => std::future::pending().await,
            }
        }
    }
}
