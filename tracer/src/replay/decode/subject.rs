//! Sockets and processes by what a line says of them.

use super::Wrong;
use crate::{
    model::{
        endpoint::Tuple,
        owner::{Owner, Process},
        update::{Role, Subject},
    },
    replay::surroundings::Recorded,
    sink::{
        escape::unescape,
        json::{
            origin,
            shape::{Line, Network},
        },
    },
};

/// The socket of a line.
pub(super) fn subject<T>(
    line: &Line<'_, T>,
    role: Option<Role>,
    surroundings: &Recorded,
) -> Result<Subject, Wrong> {
    let Network { transport: _, r#type: _, local, peer, netns } = line.network;
    let (local, peer) = (local.into(), peer.into());
    let container = line.container.as_ref().map(|container| container.id.as_str());
    let Some(socket) = &line.socket else {
        let tuple = Tuple { local, peer, netns: netns.unwrap_or(0) };
        return Ok(Subject {
            cookie: None,
            ordinal: 0,
            tuple,
            uid: None,
            inode: None,
            cgroup: surroundings.group(None, container),
            owner: None,
            role,
        });
    };
    Ok(Subject {
        cookie: socket.cookie,
        ordinal: socket.ordinal,
        tuple: Tuple { local, peer, netns: socket.netns },
        uid: socket.uid,
        inode: socket.inode,
        cgroup: surroundings.group(socket.cgroup.as_deref(), container),
        owner: line.process.as_ref().map(|process| process.named(surroundings)).transpose()?,
        role,
    })
}

/// Turned into an owner.
pub(super) trait Named {
    /// With its program, which the surroundings then know.
    fn named(&self, surroundings: &Recorded) -> Result<Owner, Wrong>;
}

impl Named for origin::Process<'_> {
    fn named(&self, surroundings: &Recorded) -> Result<Owner, Wrong> {
        let origin::Process { pid, ref name, evidence, fd, others, ref executable, ref parent } =
            *self;
        let parent = parent.as_ref().map(|parent| (parent.pid, &*parent.name));
        let start_ns = surroundings.program(executable.as_deref(), parent);
        let process = Process { start_ns, ..process(pid, name)? };
        Ok(Owner { process, evidence, fd, others })
    }
}

/// A process of that name.
pub(super) fn process(pid: u32, name: &str) -> Result<Process, Wrong> {
    let bytes = unescape(name);
    let mut comm = [0; 16];
    match comm.get_mut(..bytes.len()) {
        Some(room) => room.copy_from_slice(&bytes),
        None => return Err(Wrong::Value("the name of a process has more than 16 bytes".into())),
    }
    Ok(Process { pid, comm, start_ns: 0 })
}
