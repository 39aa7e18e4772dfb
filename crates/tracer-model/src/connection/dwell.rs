//! How long a connection has been in which states.

use super::{Connection, Initiator, Mark, Phase, State};

impl Connection {
    /// Time spent in the present state until `time`, where its beginning is known.
    #[inline]
    pub fn elapsed(&self, time: u64) -> Option<u64> {
        self.since_known().then(|| time.saturating_sub(self.since))
    }

    /// When the life began, where that was seen.
    pub fn began(&self) -> Option<u64> {
        let first = self.past.stays().next();
        self.marks.has(Mark::Born).then(|| first.map_or(self.since, |(_, time)| time))
    }

    /// Nanoseconds spent in each state until `time`, by [`State::index`].
    pub fn spent(&self, time: u64) -> [u64; State::COUNT] {
        let mut spent = [0; State::COUNT];
        let last = (self.state, time.saturating_sub(self.since));
        for (state, nanoseconds) in self.past.spent(self.since).chain([last]) {
            spent[state.index()] += nanoseconds;
        }
        spent
    }

    /// When it became ESTABLISHED, where that was seen.
    pub fn established_at(&self) -> Option<u64> {
        let present = self.since_known().then_some((self.state, self.since));
        let left = self.past.stays().filter(|_| self.marks.has(Mark::Born));
        let mut entered = left.chain(present);
        entered.find(|(state, _)| *state == State::Established).map(|(_, time)| time)
    }

    /// Nanoseconds from ESTABLISHED until accept() returned it, where both were seen: 0 where it was
    /// accepted before (TCP Fast Open).
    pub fn accept_wait(&self) -> Option<u64> {
        let accepted = self.past.accepted()?;
        self.established_at().map(|entered| accepted.saturating_sub(entered))
    }

    /// Part of the time spent may be before the tracer saw the socket.
    pub fn spent_at_least(&self) -> bool {
        self.marks.has(Mark::AtLeast) || !self.since_known()
    }

    /// The states that were left, with the times of entry, oldest first.
    pub fn stays(&self) -> impl Iterator<Item = (State, u64)> {
        self.past.stays()
    }

    /// Enters a state other than the present one. CLOSED is entered by being dropped.
    pub fn enter(&mut self, state: State, time: u64) {
        match (self.state, state) {
            (State::Established | State::SynRecv, State::FinWait1) => {
                self.first_fin = Some(Initiator::Local);
            }
            (State::Established | State::SynRecv, State::CloseWait) => {
                self.first_fin = Some(Initiator::Peer);
            }
            _ => {}
        }
        self.leave();
        self.state = state;
        self.since = time;
        self.marks.set(Mark::SinceKnown, true);
        self.doublings = 0;
        match &mut self.phase {
            Phase::Mini { removal, moved, .. }
                if matches!(state, State::FinWait2 | State::TimeWait) =>
            {
                (*removal, *moved) = (0, 0);
            }
            // The kernel says that there is a full socket after all.
            Phase::Mini { .. } => self.phase = Phase::full(),
            Phase::Full { progress, segments, left, rare, .. } => {
                progress.start_over();
                *segments = 0;
                // CLOSING still waits for the ACK of the same FIN.
                *left = left.filter(|_| state == State::Closing);
                if let Some(rare) = rare {
                    rare.close_wait_cause = None;
                }
            }
        }
    }

    /// Remembers the stay in the present state.
    fn leave(&mut self) {
        if !self.since_known() {
            self.marks.set(Mark::AtLeast, true);
        }
        // Lives begin in these: no time is spent there.
        if !matches!(self.state, State::Closed | State::Listen)
            && !self.past.leave(self.state, self.since)
        {
            self.marks.set(Mark::Born, false);
            self.marks.set(Mark::AtLeast, true);
        }
    }
}
