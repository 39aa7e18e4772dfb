//! From updates to the sinks: filtered and counted; what a sink could not deliver is counted too.

use std::sync::Arc;

use tracer_event::{
    enricher::{Context, Enricher},
    finding::Finding,
    header::Header,
    summary::Summary,
    update::{Linger, Loss, Observer, Subject, Update},
    wall_clock::WallClock,
};
use tracer_health as health;
use tracer_kernel::time;
use tracer_model::{
    diagnosis::HostSnapshot,
    filter::{Facts, Filter},
    selection::Selection,
    table::Table,
    watch::{Scope, Watch},
};
use tracer_output::{Live, LiveSink, Sink, Tick, Undelivered};

/// The observer of the table.
pub(super) struct Dispatcher {
    filter: Filter,
    selection: Selection,
    pub(super) enricher: Arc<dyn Enricher>,
    sinks: Vec<Box<dyn Sink>>,
    clock: WallClock,
    summary: Summary,
    watch: Watch,
}

impl Dispatcher {
    pub(super) fn new(
        (filter, selection): (Filter, Selection),
        enricher: Arc<dyn Enricher>,
        sinks: Vec<Box<dyn Sink>>,
        clock: WallClock,
    ) -> Self {
        Self {
            filter,
            selection,
            enricher,
            sinks,
            clock,
            summary: Summary::default(),
            watch: Watch::new(time::ticks()),
        }
    }

    /// Shows a look at the host to the sinks, after the table has taken it in.
    pub(super) fn look(&mut self, look: &HostSnapshot) {
        live(&mut self.sinks).for_each(|sink| sink.look(look));
    }

    /// Tells what a complete look shows to be wrong, after the table has taken it in.
    pub(super) fn judge(&mut self, look: &Arc<HostSnapshot>, table: &Table) {
        let judged = self.watch(table, |watch, scope| watch.look(look, scope));
        let Some((diagnosis, changes)) = judged else { return };
        live(&mut self.sinks).for_each(|sink| sink.diagnose(&diagnosis));
        self.tell_findings(&changes);
    }

    /// Tells what events alone have shown to be wrong, and what is over.
    pub(super) fn tick(&mut self, now: u64, table: &Table) {
        let changes = self.watch(table, |watch, scope| watch.tick(now, scope));
        self.tell_findings(&changes);
    }

    fn watch<T>(&mut self, table: &Table, judge: impl FnOnce(&mut Watch, Scope<'_>) -> T) -> T {
        let Self { watch, filter, enricher, .. } = self;
        judge(watch, Scope { filter, enricher: &**enricher, table })
    }

    fn tell_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.tell(&Update::Finding(finding));
        }
    }

    /// Whether a sink wants to know what is wrong at the end.
    pub(super) fn wants_diagnosis(&mut self) -> bool {
        live(&mut self.sinks).any(|sink| sink.wants_diagnosis())
    }

    /// Whether what is wrong is to be judged also while nothing happens.
    pub(super) fn diagnoses(&mut self) -> bool {
        live(&mut self.sinks).any(|sink| sink.diagnoses())
    }

    pub(super) fn set_clock(&mut self, clock: WallClock) {
        self.clock = clock;
    }

    /// Whether nobody is left to tell anything.
    pub(super) fn is_closed(&self) -> bool {
        self.sinks.iter().all(|sink| sink.is_closed())
    }

    /// Notes how late a record was read, nanoseconds.
    pub(super) fn lag(&mut self, lag: u64) {
        self.summary.reader_lag_ns = self.summary.reader_lag_ns.max(lag);
    }

    pub(super) fn header(&mut self, header: &Header) {
        for sink in &mut self.sinks {
            sink.header(header, self.clock);
        }
        self.flush();
    }

    /// Lets the sinks tell what they have held back; when to call again at the latest.
    pub(super) fn pause(&mut self, now: u64, read_until: u64, table: &Table) -> Option<u64> {
        let context = Context { clock: self.clock, enricher: &*self.enricher };
        let moment = Tick { now, read_until, sockets: Some(table.len()) };
        let seen = Live { now, table, ports: self.watch.ports() };
        let pause = |sink: &mut Box<dyn Sink>| {
            let observed = sink.live().and_then(|sink| sink.observe(&seen, context));
            [sink.pause(&moment, context), observed].into_iter().flatten().min()
        };
        self.sinks.iter_mut().filter_map(pause).min()
    }

    /// Hands over what has been gathered; says in place what could not be delivered, now that
    /// there is room again.
    pub(super) fn flush(&mut self) {
        for index in 0..self.sinks.len() {
            let undelivered = self.sinks[index].flush();
            self.tell_undelivered(undelivered);
        }
    }

    fn tell_undelivered(&mut self, undelivered: Option<Undelivered>) {
        if let Some(Undelivered { place, count }) = undelivered {
            self.observe(Update::Loss(&Loss::final_loss(self.clock.now, place, count)));
        }
    }

    /// Ends the sinks with the summary.
    pub(super) fn summary(mut self) {
        for index in 0..self.sinks.len() {
            let undelivered = self.sinks[index].last();
            self.tell_undelivered(undelivered);
        }
        self.summary.complete = !self.summary.lost.is_final() && health::trouble().is_none();
        let context = Context { clock: time::wall_clock(), enricher: &*self.enricher };
        for sink in self.sinks {
            sink.finish(&self.summary, context);
        }
    }

    fn is_in_scope(&self, subject: &Subject) -> bool {
        self.enricher.is_in_scope(Some(subject))
    }

    fn tell(&mut self, update: &Update<'_>) {
        if matches!(update, Update::Finding(_)) && !self.enricher.is_in_scope(None) {
            return;
        }
        let is_written = self.selection.wants(update);
        let context = Context { clock: self.clock, enricher: &*self.enricher };
        for sink in self.sinks.iter_mut().filter(|sink| is_written || sink.counts()) {
            sink.update(update, context);
        }
        if is_written {
            self.summary.count(update);
        }
    }
}

/// Those that look at the live host.
fn live(sinks: &mut [Box<dyn Sink>]) -> impl Iterator<Item = &mut dyn LiveSink> {
    sinks.iter_mut().filter_map(|sink| sink.live())
}

impl Observer for Dispatcher {
    fn observe(&mut self, update: Update<'_>) {
        self.watch.observe(update);
        match update {
            Update::Linger(lingers) => {
                let wanted: Vec<Linger> = lingers
                    .iter()
                    .filter(|linger| self.filter.may_want(&Facts::from(*linger), &*self.enricher))
                    .filter(|linger| self.is_in_scope(&linger.subject))
                    .cloned()
                    .collect();
                if !wanted.is_empty() {
                    self.tell(&Update::Linger(&wanted));
                }
            }
            _ => {
                let is_in_scope = |subject| self.is_in_scope(subject);
                if self.filter.wants(&update, &*self.enricher)
                    && update.subject().is_none_or(is_in_scope)
                {
                    self.tell(&update);
                }
            }
        }
    }
}
