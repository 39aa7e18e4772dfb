//! RSTs that answer the SYN of a client on this host whose SYN_SENT is held back for its local
//! port: they wait for it, since nothing answers what has not been told.

use std::collections::VecDeque;

use tracer_event::{
    endpoint::Tuple,
    update::{Answered, Reset, Update},
};

use super::{Deadline, Observer, Slot, Table};
use crate::connection::Connection;

/// Clients held back, the last first, among which that of an RST is looked for: a port is chosen
/// and the SYN sent in one call of the kernel, so few are in between. Not more RSTs wait either.
const LOOKED_AT: usize = 64;

/// The RSTs that wait, oldest first, with the client that they wait for.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<(Deadline, Reset)>);

impl Answers {
    /// When the client of the first was held back.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.front().map(|(client, _)| client.time)
    }
}

impl Table {
    /// Reports an RST that no socket sent, once the SYN that it answers is reported.
    pub(super) fn emit_answer(&mut self, reset: Reset, out: &mut impl Observer) {
        let is_refusal = reset.segment.answers == Some(Answered::Syn);
        let client = is_refusal.then(|| self.held_client(&reset.subject.tuple.reversed()));
        match client.flatten().filter(|_| self.answers.0.len() < LOOKED_AT) {
            Some(client) => self.answers.0.push_back((client, reset)),
            None => out.observe(Update::Reset(&reset)),
        }
    }

    fn held_client(&self, ends: &Tuple) -> Option<Deadline> {
        let mut clients = self.unannounced.iter().rev().take(LOOKED_AT);
        let is_wanted = |client: &&Deadline| {
            let known = self.store.get(client.slot).filter(|_| self.is_unannounced(**client));
            // The address is chosen before the port.
            let is_from = |known: &Connection| known.tuple.local.address() == ends.local.address();
            known.is_some_and(|known| known.may_get(ends) && is_from(known))
        };
        clients.find(is_wanted).copied()
    }

    /// Reports what waited for a client, whose SYN has been reported.
    pub(super) fn emit_answers(&mut self, announced: Slot, out: &mut impl Observer) {
        self.emit_answers_if(|client| client.slot == announced, out);
    }

    /// Reports what has waited for a client from `time` or before that has been lost meanwhile.
    pub(super) fn emit_overdue_answers(&mut self, time: u64, out: &mut impl Observer) {
        self.emit_answers_if(|client| client.time <= time, out);
    }

    fn emit_answers_if(&mut self, is_due: impl Fn(&Deadline) -> bool, out: &mut impl Observer) {
        self.answers.0.retain(|(client, reset)| {
            let due = is_due(client);
            if due {
                out.observe(Update::Reset(reset));
            }
            !due
        });
    }
}
