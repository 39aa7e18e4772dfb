//! A live trace, whatever it is for: loads the programs, starts the trace and waits for its end.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::thread::CapabilitySet;
use tokio::sync::Notify;

use super::{
    header::{header, options},
    signals::{GRACE, Hangup, Signals},
    threads,
};
use crate::{
    exec::scope::Scope,
    trace::{READER, Running, Trace},
};
use tracer_event::{enricher::Enricher, header::Degraded};
use tracer_health as health;
use tracer_kernel::{
    confine::{self, Confinement},
    enricher::Host,
    feature, limits,
    load::{self, Request, Tracer},
    pods::Pods,
    privileges,
};
use tracer_model::{filter::Filter, linger::Thresholds, selection::Selection, table::MAX_SOCKETS};
use tracer_output::Sink;

/// Size of the ring buffer, bytes: enough for what happens on a busy host while a snapshot is
/// taken.
pub(super) const BUFFER_SIZE: u32 = 8 << 20;

/// What is traced, for how long.
pub(super) struct Live {
    /// What is loaded into the kernel.
    pub(super) request: Request,
    /// Which events and findings are shown.
    pub(super) filter: Filter,
    /// Which sockets the table keeps: those that `filter` wants, or more.
    pub(super) tracked: Filter,
    /// Which records are written.
    pub(super) selection: Selection,
    /// When a socket is flagged.
    pub(super) thresholds: Thresholds,
    /// Sockets to keep track of at most.
    pub(super) max_sockets: usize,
    /// Take snapshots of the sockets, at the start and later.
    pub(super) snapshots: bool,
    /// Report open connections this often.
    pub(super) interval: Option<Duration>,
    /// The options in force, as on a command line.
    pub(super) options: Vec<String>,
    /// When to end; `None` for no end but a signal.
    pub(super) duration: Option<Duration>,
    /// Only the sockets of a command, which gets the signals.
    pub(super) scope: Option<Scope>,
    /// Names of pods, where they are asked for, and what is missing of them.
    pub(super) pods: Option<(Pods, Option<Degraded>)>,
    /// What the sinks need beyond what `sinks` of [`Live::run`] opens before.
    pub(super) confinement: Confinement,
}

/// What the sinks of a trace need, and how they act on it. By default there is nothing to do on SIGHUP.
#[derive(Default)]
pub(super) struct Setting {
    /// Ends the trace.
    pub(super) end: Arc<Notify>,
    /// To be notified when nobody reads a sink's output any more: the trace ends when that is so
    /// of all sinks (`Sink::is_closed`).
    pub(super) closed: Arc<Notify>,
    hangup: Mutex<Hangup>,
}

impl Setting {
    /// What to do on SIGHUP.
    pub(super) fn into_hangup(self) -> Hangup {
        self.hangup.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something to do on SIGUSR1.
    pub(super) fn on_request(&self, act: impl Fn() + Send + 'static) {
        self.hangup.lock().unwrap_or_else(PoisonError::into_inner).add_on_request(act);
    }

    /// Adds something to do on SIGHUP. If there is nothing to do, SIGHUP ends the trace.
    pub(super) fn on_hangup(&self, act: impl Fn() + Send + 'static) {
        self.hangup.lock().unwrap_or_else(PoisonError::into_inner).add(act);
    }
}

impl Live {
    /// A trace of everything that `filter` wants, with the options that most commands leave alone.
    pub(super) fn new(filter: Filter, thresholds: Thresholds, duration: Option<Duration>) -> Self {
        Self {
            request: Request {
                mode: None,
                filter: filter.in_kernel(),
                buffer_size: BUFFER_SIZE,
                accept: true,
                stacks: false,
                retransmitted_data: false,
                diagnostics: tracing::enabled!(tracing::Level::DEBUG),
            },
            tracked: filter.clone(),
            filter,
            selection: Selection::default(),
            thresholds,
            max_sockets: MAX_SOCKETS,
            snapshots: true,
            interval: None,
            options: options(),
            duration,
            scope: None,
            pods: None,
            confinement: Confinement::default(),
        }
    }

    /// Traces until it is over. `sinks` runs without privileges and confined to
    /// [`Self::confinement`], as do the threads that it starts; what takes privileges is opened
    /// before.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses the programs, where a thread cannot be had, and those of `sinks`.
    pub(super) fn run(
        self,
        sinks: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>> + Send,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(READER)
            .build()?;
        let result = runtime.block_on(async {
            let _life = health::watch("tracer");
            tokio::spawn(health::beat());
            // Before the first line is written: whoever has read it may send a signal.
            let signals = if self.scope.is_some() { Signals::none() } else { Signals::catch()? };
            let tracer = load::load(&self.request)?;
            self.trace(tracer, sinks, signals).await
        });
        // A thread that still writes, or hangs, is not waited for.
        runtime.shutdown_background();
        result
    }

    async fn trace(
        mut self,
        mut tracer: Tracer,
        sinks: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>> + Send,
        signals: Signals,
    ) -> anyhow::Result<()> {
        if let Some(logger) = tracer.logger.take() {
            tokio::spawn(relay(logger));
        }
        let (host, unknown) = Host::look(self.pods.take());
        tracer.degraded.extend(unknown);
        tracer.degraded.extend(self.without_privileges());
        let risk = limits::sockets_at_risk(self.request.buffer_size, self.max_sockets);
        tracer.degraded.extend(risk);
        let resolved = host.stacks();
        let scope = self.scope.take();
        tracer.degraded.extend(scope.as_ref().and_then(Scope::degraded));
        let enricher: Arc<dyn Enricher> = match scope {
            Some(scope) => Arc::new(scope.of(host)),
            None => Arc::new(host),
        };
        let setting = Setting::default();
        let (sinks, unconfined) = self.confine(|| sinks(&setting))?;
        tracer.degraded.extend(unconfined);
        let partial = self.selection.partial(&self.filter);
        let header = header(tracer.mode, tracer.degraded.clone(), self.options, partial);
        let running = Trace {
            tracer,
            filter: self.filter,
            tracked: self.tracked,
            selection: self.selection,
            in_one_group: self.request.filter.cgroup != 0,
            thresholds: self.thresholds,
            max_sockets: self.max_sockets,
            sinks: sinks?,
            enricher,
            header,
            snapshots: self.snapshots,
            interval: self.interval,
            resolved,
        }
        .start()
        .context("cannot set up the reader")?;
        wait_for_end(running, self.duration, setting, signals).await
    }

    /// What is missing for lack of privileges and would be of use to this trace.
    fn without_privileges(&self) -> Vec<Degraded> {
        let enters = self.snapshots && self.filter.netns().is_none();
        let missing = privileges::missing().into_iter().map(|(missing, _)| missing);
        missing.filter(|one| enters || !feature::NAMESPACES.is_in(one)).collect()
    }

    /// Gives up the privileges that are no longer needed, and makes the sinks apart from the rest.
    fn confine<T: Send>(
        &self,
        sinks: impl FnOnce() -> T + Send,
    ) -> anyhow::Result<(T, Vec<Degraded>)> {
        privileges::keep_only(privileges::RUN);
        // Sinks may start tasks.
        let runtime = tokio::runtime::Handle::current();
        let apart = self.confinement.apart(|| {
            let _runtime = runtime.enter();
            sinks()
        });
        let (made, mut degraded) = apart.context("cannot confine the outputs")?;
        degraded.extend(confine::seal());
        Ok((made, degraded))
    }
}

/// Runs the trace until a signal comes, the time is up or nobody reads the output.
async fn wait_for_end(
    running: Running,
    duration: Option<Duration>,
    setting: Setting,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let stop = running.stop();
    let mut thread = threads::start(READER, move || running.run())?;
    // The other threads have what they need.
    privileges::keep_only(CapabilitySet::empty());
    let time_is_up = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => pending().await,
        }
    };
    let (end, closed) = (Arc::clone(&setting.end), Arc::clone(&setting.closed));
    let hangup = setting.into_hangup();
    let wake_when_closed = async {
        loop {
            closed.notified().await;
            stop.wake();
        }
    };
    tokio::select! {
        () = signals.end(&hangup) => {}
        () = time_is_up => {}
        () = end.notified() => {}
        () = wake_when_closed => {}
        result = &mut thread => return result.context("the reading thread failed"),
    }
    stop.ask();
    tokio::select! {
        result = thread => result.context("the reading thread failed"),
        // Whoever asks twice does not want to wait for a reader that does not read.
        () = asked_again(&mut signals, &hangup) => {
            bail!("ended by a second signal before all was written")
        }
        // If other threads hang, the reader does not wait for them.
        trouble = health::trouble_of(READER) => bail!(trouble),
    }
}

/// Waits for a signal that is more than the echo of the one before: `timeout` sends two at once,
/// somebody in a hurry some more.
async fn asked_again(signals: &mut Signals, hangup: &Hangup) {
    let echo = async {
        loop {
            signals.end(hangup).await;
        }
    };
    let _: Result<(), _> = tokio::time::timeout(GRACE, echo).await;
    signals.end(hangup).await;
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
