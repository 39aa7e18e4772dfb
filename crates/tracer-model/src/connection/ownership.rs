//! Whose a connection is: its owner, its creator, and who holds descriptors of it.

use std::sync::Arc;

use tracer_wire::Record;

use super::{
    CloseWaitCause, Connection, Creator, Owner,
    held::{Held, Processes},
};
use crate::owner;

impl Connection {
    /// Whose it is.
    #[inline]
    pub fn owner(&self) -> Option<Owner> {
        self.owner.as_ref().map(Held::owner)
    }

    /// Whether it is known whose it is.
    pub fn is_owned(&self) -> bool {
        self.owner.is_some()
    }

    /// Sets whose it is.
    pub fn set_owner(&mut self, owner: Option<Owner>, processes: &mut Processes) {
        if owner != self.owner() {
            self.keep_maker(owner.as_ref());
            self.owner = owner.map(|owner| Held::new(&owner, processes));
        }
    }

    /// A process has acted on it in a record, if one did.
    pub fn acted(&mut self, acting: Option<Owner>, record: &Record, processes: &mut Processes) {
        if let Some(creator) = Creator::of(acting, record) {
            self.set_maker(creator);
        }
        if acting.is_some() {
            self.set_owner(owner::refine(self.owner(), acting), processes);
        }
    }

    /// Who made it, where that was seen: as a rule its owner, of whom nothing more is kept.
    pub fn creator(&self) -> Option<Creator> {
        self.phase.creator().or_else(|| Creator::from_owner(&self.owner()?))
    }

    /// Sets in which code it was made.
    fn set_maker(&mut self, creator: Creator) {
        if creator.stack.is_some()
            && let Some(rare) = self.phase.rare_mut()
        {
            rare.get_or_insert_default().creator = Some(creator);
        }
    }

    /// Before another process becomes its owner.
    fn keep_maker(&mut self, next: Option<&Owner>) {
        let Some(creator) = self.creator() else { return };
        if next.is_none_or(|next| next.process != creator.process)
            && let Some(rare) = self.phase.rare_mut()
        {
            rare.get_or_insert_default().creator = Some(creator);
        }
    }

    /// A snapshot has shown why it is not closed, and how many bytes nobody has read.
    pub fn set_unclosed(&mut self, close_wait_cause: Arc<CloseWaitCause>, unread: u32) {
        if let Some(rare) = self.phase.rare_mut() {
            rare.get_or_insert_default().close_wait_cause = Some((close_wait_cause, unread));
        }
    }

    /// Why it is not closed and how many bytes nobody has read, where a snapshot has shown it in
    /// CLOSE_WAIT.
    pub fn close_wait_cause(&self) -> Option<&(Arc<CloseWaitCause>, u32)> {
        self.phase.rare()?.close_wait_cause.as_ref()
    }

    /// All descriptors of it that a snapshot of them has shown.
    pub fn set_holders(&mut self, holders: &[Owner], processes: &mut Processes) {
        let Some(rare) = self.phase.rare_mut() else { return };
        if let (None, ..=1) = (&rare, holders.len()) {
            // The owner's one is enough.
            return;
        }
        let holders = if holders.len() > 1 { holders } else { &[] };
        let packed = holders.iter().map(|holder| Held::new(holder, processes));
        rare.get_or_insert_default().holders = packed.collect();
    }

    /// Who holds a descriptor of it, as far as known: nobody holds an orphan.
    pub fn holding(&self) -> Vec<Owner> {
        if self.is_orphaned() {
            return Vec::new();
        }
        match self.phase.rare().map_or(&[][..], |rare| &rare.holders) {
            [] => self.owner().filter(|owner| owner.fd.is_some()).into_iter().collect(),
            holders => holders.iter().map(Held::owner).collect(),
        }
    }
}
