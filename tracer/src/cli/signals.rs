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

/// SIGHUP, caught from when there is something to do.
#[derive(Default)]
pub(super) struct Hangup {
    signal: Option<Signal>,
    acts: Vec<Box<dyn Fn() + Send>>,
}

impl Hangup {
    pub(super) fn add(&mut self, act: impl Fn() + Send + 'static) -> anyhow::Result<()> {
        if self.signal.is_none() {
            self.signal = Some(signal(SignalKind::hangup()).context("cannot catch SIGHUP")?);
        }
        self.acts.push(Box::new(act));
        Ok(())
    }

    /// Acts each time, and never ends.
    pub(super) async fn each(mut self) {
        if let Some(signal) = &mut self.signal {
            while signal.recv().await.is_some() {
                self.acts.iter().for_each(|act| act());
            }
        }
        std::future::pending::<()>().await;
    }
}
