//! The last looks of a trace: only they show that nothing was missed, what is wrong, and how far
//! the connections that are open have come.

use std::{sync::Arc, time::Duration};

use super::{BETWEEN_CHECKS, CHECK_PATIENCE, HOUSEKEEPING, LAST_LOOK_PATIENCE, Running};
use crate::trace::{capture::Capture, resync::Resync};
use tracer_kernel::{snapshot::Taken, time};
use tracer_model::{diagnosis::HostSnapshot, table::Table};

impl Running {
    /// Looks at everything once more for those that ask what is wrong at the end; the look.
    pub(super) fn diagnose(&mut self) -> Option<Arc<HostSnapshot>> {
        let Some(last) = self.last_look(Resync::ask_for_all, LAST_LOOK_PATIENCE) else {
            tracing::warn!("no last look at the sockets: what is wrong is not known");
            return None;
        };
        self.read_rest();
        let (look, _) = self.merge(last)?;
        let Capture { read_until, table, .. } = &self.capture;
        self.dispatcher.pause(time::monotonic(), *read_until, table);
        Some(look)
    }

    /// Notices what no program was shown since the last look, so that the summary says it; the
    /// look also has the counters of the connections that are open.
    pub(super) fn check(&mut self) -> Option<Arc<HostSnapshot>> {
        let resync = self.resync.as_ref()?;
        let wanted = resync.is_behind(&self.capture.table) || self.capture.table.has_open();
        if !wanted || self.dispatcher.is_closed() {
            return None;
        }
        // What one does not show the next one shows to be gone.
        let mut seen = None;
        for _ in 0..2 {
            let Some(last) = self.last_look(Resync::ask_for_sockets, CHECK_PATIENCE) else {
                tracing::warn!(
                    "no last look at the sockets within three seconds: events that no program was \
                     shown since the one before are not known, nor counted; open connections are \
                     told without their bytes"
                );
                break;
            };
            self.read_rest();
            let (look, merged) = self.merge(last)?;
            seen = Some(look);
            if merged.missing == 0 {
                break;
            }
            std::thread::sleep(BETWEEN_CHECKS);
        }
        seen
    }

    /// A look taken now.
    fn last_look(
        &mut self,
        ask: fn(&mut Resync, u64, &mut Table) -> bool,
        patience: u64,
    ) -> Option<Taken> {
        let until = time::monotonic() + patience;
        let mut asked = false;
        while time::monotonic() < until {
            let resync = self.resync.as_mut()?;
            if let Some(taken) = resync.ready() {
                if asked {
                    return Some(taken);
                }
                self.read_rest();
                self.merge(taken);
                continue;
            }
            asked = asked || ask(resync, time::monotonic(), &mut self.capture.table);
            let (busy, more) = self.read();
            if !more {
                self.capture.wait(busy, Some(Duration::from_nanos(HOUSEKEEPING)));
            }
        }
        None
    }
}
