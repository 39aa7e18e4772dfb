//! Which sockets a finding is about, as far as its evidence says so. A recording has no other way to
//! know whether a finding is of sockets that a filter wants.

use super::{Listener, Program, Service};
use crate::{endpoint::Endpoint, process::Process, state::State};

/// Sockets, in the terms of a filter. Of what is empty nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets<'a> {
    /// Their local ends, each as far as it is known.
    pub local: Vec<Endpoint>,
    /// Their peers, likewise.
    pub peers: Vec<Endpoint>,
    /// Their states.
    pub states: Vec<State>,
    /// Whose they are, or were.
    pub owners: Vec<SocketOwner<'a>>,
    /// Other processes of the same name have some of them, too.
    pub others: bool,
}

/// A process that has to do with the sockets, and its program where that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOwner<'a> {
    /// Which.
    pub process: Process,
    /// The program that it runs, with its container.
    pub program: Option<&'a Program>,
}

impl From<&Process> for SocketOwner<'_> {
    fn from(process: &Process) -> Self {
        Self { process: *process, program: None }
    }
}

impl<'a> From<&'a Program> for SocketOwner<'a> {
    fn from(program: &'a Program) -> Self {
        Self { process: program.process, program: Some(program) }
    }
}

impl<'a> Sockets<'a> {
    /// Those of connections that have one end in common.
    pub(super) fn of(service: Service) -> Self {
        Self::of_all([service])
    }

    /// Those of connections of several services.
    pub(super) fn of_all(services: impl IntoIterator<Item = Service>) -> Self {
        // `*:*`: connect() has chosen it, or clients differ in it.
        let unknown = Endpoint::from_wire([0; 16], 0);
        let ends = services.into_iter().map(|service| match service {
            Service::Here(local) => (local, unknown),
            Service::There(peer) => (unknown, peer),
        });
        let (local, peers) = ends.unzip();
        Self { local, peers, ..Self::default() }
    }

    /// A listener, and what comes from it.
    pub(super) fn of_listener(listener: &'a Listener) -> Self {
        Self::of(Service::Here(listener.local)).owned_by(&listener.processes)
    }

    /// The same, whose peers are known.
    pub(super) fn with_peers(self, peers: &[(Endpoint, u64)]) -> Self {
        Self { peers: peers.iter().map(|(peer, _)| *peer).collect(), ..self }
    }

    pub(super) fn in_states(self, states: impl IntoIterator<Item = State>) -> Self {
        Self { states: states.into_iter().collect(), ..self }
    }

    /// The same, of these, too.
    pub(super) fn owned_by<T: Into<SocketOwner<'a>>>(
        mut self,
        owners: impl IntoIterator<Item = T>,
    ) -> Self {
        self.owners.extend(owners.into_iter().map(Into::into));
        self
    }

    /// The same, of so many other processes, too.
    pub(super) fn and_others(self, others: u64) -> Self {
        Self { others: others > 0, ..self }
    }
}
