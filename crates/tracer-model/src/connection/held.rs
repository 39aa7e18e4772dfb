//! Owners as connections keep them: many sockets are of few processes.

use std::{hash::BuildHasher as _, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use tracer_event::process::{Evidence, Owner, Process};

/// No descriptor has this number.
const NO_FD: u32 = u32::MAX;
/// Processes below which it is not worth looking for those that own nothing any more.
const FEW: usize = 64;

/// The processes that own sockets, each kept once.
#[derive(Debug)]
pub struct Processes {
    known: HashTable<Arc<Process>>,
    hasher: RandomState,
    /// The one that was asked for last, most likely the next one too.
    last: Option<Arc<Process>>,
    /// How many there may be before those that own nothing are dropped.
    enough: usize,
}

impl Default for Processes {
    fn default() -> Self {
        Self { known: HashTable::new(), hasher: RandomState::default(), last: None, enough: FEW }
    }
}

impl Processes {
    fn one(&mut self, process: Process) -> Arc<Process> {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == process) {
            return Arc::clone(last);
        }
        let one = self.find_or_add(process);
        self.last = Some(Arc::clone(&one));
        one
    }

    fn find_or_add(&mut self, process: Process) -> Arc<Process> {
        if self.known.len() >= self.enough {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.enough = FEW.max(2 * self.known.len());
        }
        let Self { known, hasher, .. } = self;
        let hash = hasher.hash_one(process);
        match known.entry(hash, |known| **known == process, |known| hasher.hash_one(**known)) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => Arc::clone(entry.insert(Arc::new(process)).get()),
        }
    }
}

/// An [`Owner`] in 16 bytes.
#[derive(Clone, Debug)]
pub(super) struct Held {
    process: Arc<Process>,
    fd: u32,
    others: u16,
    evidence: Evidence,
}

impl Held {
    pub(super) fn new(owner: &Owner, processes: &mut Processes) -> Self {
        Self {
            process: processes.one(owner.process),
            fd: owner.fd.unwrap_or(NO_FD),
            others: u16::try_from(owner.others).unwrap_or(u16::MAX),
            evidence: owner.evidence,
        }
    }

    #[inline]
    pub(super) fn owner(&self) -> Owner {
        Owner {
            process: *self.process,
            evidence: self.evidence,
            fd: Some(self.fd).filter(|fd| *fd != NO_FD),
            others: u32::from(self.others),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32) -> Owner {
        let process = Process { pid, comm: *b"server\0\0\0\0\0\0\0\0\0\0", start_ns: 9 };
        Owner { process, evidence: Evidence::Accept, fd: Some(3), others: 2 }
    }

    #[test]
    fn an_owner_stays_as_it_was_and_takes_little() {
        let mut processes = Processes::default();
        for owner in [owner(1), Owner { fd: None, others: 0, ..owner(2) }] {
            assert_eq!(Held::new(&owner, &mut processes).owner(), owner);
        }
        assert_eq!(size_of::<Option<Held>>(), 16);
    }

    #[test]
    fn a_process_is_kept_once_and_only_while_it_owns_something() {
        let mut processes = Processes::default();
        let first = Held::new(&owner(1), &mut processes);
        let again = Held::new(&owner(1), &mut processes);
        assert!(Arc::ptr_eq(&first.process, &again.process));
        for pid in 2..100_000 {
            Held::new(&owner(pid), &mut processes);
        }
        assert!(processes.known.len() <= FEW, "{}", processes.known.len());
        assert!(Arc::ptr_eq(&first.process, &processes.one(owner(1).process)));
    }
}
