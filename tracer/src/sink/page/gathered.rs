//! What a report shows, gathered from events and snapshots.

use super::{headroom::Headroom, stays::Guests, timeline::Timeline, troubles::Troubles};
use crate::{
    model::{
        state::State,
        table::Table,
        update::{Subject, Update},
    },
    sink::Hello,
};

/// What has happened so far.
pub(super) struct Gathered {
    pub(super) hello: Hello,
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) begun: u64,
    /// The table of sockets has been read: sockets to which nothing happened are counted too.
    pub(super) looked: bool,
    pub(super) timeline: Timeline,
    pub(super) guests: Guests,
    pub(super) headroom: Headroom,
    pub(super) troubles: Troubles,
}

impl Gathered {
    pub(super) fn new(hello: Hello, begun: u64) -> Self {
        Self {
            hello,
            begun,
            looked: false,
            timeline: Timeline::new(begun),
            guests: Guests::default(),
            headroom: Headroom::default(),
            troubles: Troubles::default(),
        }
    }

    pub(super) fn update(&mut self, update: &Update<'_>) {
        self.timeline.update(update);
        self.guests.update(update);
        self.headroom.update(update);
        self.troubles.update(update);
    }

    /// Finds the sockets that were there before; those whose beginning has yet to be reported are
    /// left out.
    pub(super) fn look(&mut self, table: &Table, wanted: impl Fn(&Subject) -> bool) {
        let mut sockets = [0; State::COUNT];
        for life in table.connections().filter(|life| !life.unannounced) {
            let subject = life.subject();
            if wanted(&subject) {
                sockets[life.state.index()] += 1;
                self.guests.found(&subject, life.state, life.since);
            }
        }
        self.timeline.reconcile(&sockets);
        self.looked = true;
    }
}
