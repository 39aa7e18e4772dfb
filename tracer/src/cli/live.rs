//! A live trace, whatever it is for: loads the programs, starts the trace and waits for its end.

use std::{cell::RefCell, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::signals::{Hangup, Signals};
use crate::{
    kernel::{
        load::{self, Request, Tracer},
        preflight::Facts,
        surroundings::Host,
    },
    model::{filter::Filter, linger::Thresholds},
    sink::{Hello, Sink, surroundings::Surroundings},
    trace::{Running, Trace},
};

/// What is traced, for how long.
pub(super) struct Live {
    /// What is loaded into the kernel.
    pub(super) request: Request,
    /// What is told.
    pub(super) filter: Filter,
    /// What is flagged.
    pub(super) thresholds: Thresholds,
    /// Sockets to keep track of at most.
    pub(super) max_sockets: usize,
    /// Look at the sockets that are there, now and later.
    pub(super) snapshots: bool,
    /// The options in force, as on a command line.
    pub(super) options: Vec<String>,
    /// Ends by itself.
    pub(super) duration: Option<Duration>,
}

/// What sinks are made of.
pub(super) struct Setting {
    /// What is known of this host.
    pub(super) surroundings: Arc<dyn Surroundings>,
    /// To be notified when the trace is to end: by a sink when nobody reads any more what it
    /// delivers.
    pub(super) closed: Arc<tokio::sync::Notify>,
    hangup: RefCell<Hangup>,
}

impl Setting {
    /// Without anything to do on SIGHUP.
    pub(super) fn new(surroundings: Arc<dyn Surroundings>) -> Self {
        Self { surroundings, closed: Arc::default(), hangup: RefCell::default() }
    }

    /// Does on each SIGHUP what there is to do; never ends.
    pub(super) async fn hangups(self) {
        self.hangup.into_inner().each().await;
    }

    /// What to do, besides what else is to be done, on SIGHUP, which else ends the process.
    ///
    /// # Errors
    ///
    /// Where the signal cannot be caught.
    pub(super) fn on_hangup(&self, act: impl Fn() + 'static) -> anyhow::Result<()> {
        self.hangup.borrow_mut().add(act)
    }
}

impl Live {
    /// Traces until it is over.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses the programs, where a thread cannot be had, and those of `sinks`.
    pub(super) fn run(
        self,
        facts: Facts,
        sinks: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            // Before the first line is written: whoever has read it may send a signal.
            let signals = Signals::catch()?;
            let tracer = load::load(&self.request, &facts)?;
            self.trace(tracer, facts, sinks, signals).await
        })
    }

    async fn trace(
        self,
        mut tracer: Tracer,
        facts: Facts,
        sinks: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>>,
        signals: Signals,
    ) -> anyhow::Result<()> {
        let Facts { release, btf } = facts;
        // Megabytes that are needed no more.
        drop(btf);
        if let Some(logger) = tracer.logger.take() {
            tokio::spawn(relay(logger));
        }
        let (host, unknown) = Host::look();
        tracer.degraded.extend(unknown);
        let resolved = host.stacks();
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: release,
            mode: tracer.mode,
            degraded: tracer.degraded.clone(),
            options: self.options,
        };
        let setting = Setting {
            surroundings: Arc::new(host),
            closed: Arc::default(),
            hangup: RefCell::default(),
        };
        let running = Trace {
            tracer,
            filter: self.filter,
            thresholds: self.thresholds,
            max_sockets: self.max_sockets,
            sinks: sinks(&setting)?,
            surroundings: setting.surroundings,
            hello,
            snapshots: self.snapshots,
            resolved,
        }
        .start()
        .context("cannot set up the reader")?;
        let Setting { closed, hangup, .. } = setting;
        wait_for_end(running, self.duration, &closed, signals, hangup.into_inner()).await
    }
}

/// Runs the trace until a signal comes, the time is up or nobody reads the output.
async fn wait_for_end(
    running: Running,
    duration: Option<Duration>,
    closed: &tokio::sync::Notify,
    signals: Signals,
    hangup: Hangup,
) -> anyhow::Result<()> {
    let stop = running.stop();
    let mut thread = tokio::task::spawn_blocking(move || running.run());
    let time_is_up = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.any() => {}
        () = hangup.each() => {}
        () = time_is_up => {}
        () = closed.notified() => {}
        result = &mut thread => return result.context("the reading thread failed"),
    }
    stop.ask();
    thread.await.context("the reading thread failed")
}

/// Passes on what the programs in the kernel log.
async fn relay(logger: aya_log::EbpfLogger<&'static dyn log::Log>) {
    // SAFETY: the logger owns its map's descriptor, which stays open and the same as long as it.
    let Ok(mut logger) = (unsafe { tokio::io::unix::AsyncFd::register(logger) }) else { return };
    while let Ok(mut guard) = logger.readable_mut().await {
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}
