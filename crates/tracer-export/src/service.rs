//! Notifies systemd, as one of the sinks: that the trace has begun, that it is alive, how much it
//! has seen, that it ends. Silent where no service manager listens.

use std::time::Duration;

use sd_notify::NotifyState;

use tracer_event::update::Update;
use tracer_event::{
    duration::count, enricher::Context, header::Header, summary::Summary, wall_clock::WallClock,
};
use tracer_health as health;
use tracer_output::{Sink, Tick};

/// Interval between two status messages, nanoseconds; long, so that an idle host is not woken.
const STATUS: u64 = 30_000_000_000;

/// Notifies the service manager.
pub struct Service {
    /// The watchdog's interval, nanoseconds.
    watchdog: Option<u64>,
    next_watchdog: u64,
    next_status: u64,
    records: u64,
    lost: u64,
    /// Whether another trace follows this one.
    goes_on: Box<dyn Fn() -> bool + Send>,
}

impl Service {
    /// Reads the service manager's environment variables; at the end, `goes_on` returns whether
    /// another trace follows.
    pub fn new(goes_on: impl Fn() -> bool + Send + 'static) -> Self {
        // Twice as often as asked for (sd_watchdog_enabled(3)).
        let half = |interval: Duration| interval.as_nanos() as u64 / 2;
        Self {
            watchdog: sd_notify::watchdog_enabled().map(half),
            next_watchdog: 0,
            next_status: 0,
            records: 0,
            lost: 0,
            goes_on: Box::new(goes_on),
        }
    }

    fn status(&self, sockets: usize) -> String {
        let Self { records, lost, .. } = self;
        let lost = if *lost > 0 { format!(", {lost} lost") } else { String::new() };
        let sockets = count(sockets as u64, "socket");
        format!("{sockets} tracked, {} reported{lost}", count(*records, "record"))
    }
}

impl Sink for Service {
    fn header(&mut self, _: &Header, _: WallClock) {
        notify(&[NotifyState::Ready]);
    }

    fn update(&mut self, update: &Update<'_>, _: Context<'_>) {
        self.records += 1;
        if let Update::Loss(loss) = update {
            self.lost += if loss.healed { 0 } else { loss.count };
        }
    }

    fn pause(&mut self, moment: &Tick, _: Context<'_>) -> Option<u64> {
        let now = moment.now;
        if let Some(interval) = self.watchdog
            && now >= self.next_watchdog
            && health::trouble().is_none()
        {
            self.next_watchdog = now + interval;
            notify(&[NotifyState::Watchdog]);
        }
        if now >= self.next_status
            && let Some(sockets) = moment.sockets
        {
            self.next_status = now + STATUS;
            notify(&[NotifyState::Status(&self.status(sockets))]);
        }
        // A thread that hangs may come back.
        self.watchdog.map(|interval| self.next_watchdog.max(now + interval / 4))
    }

    /// The service manager alone does not keep a trace running.
    fn is_closed(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, _: &Summary, _: Context<'_>) {
        if !(self.goes_on)() {
            notify(&[NotifyState::Stopping]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("cannot notify the service manager: {error}");
    }
}
