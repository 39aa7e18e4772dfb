//! Whose a socket is and where it comes from: process, program, control group, container.

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::Line;
use crate::{
    model::{
        container::Cgroup,
        owner::{Evidence, Owner},
        update::Subject,
    },
    sink::{escape::escape, surroundings::Surroundings},
};

/// A process that has to do with a socket.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Process<'a> {
    /// Process id in the initial pid namespace.
    pub(crate) pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    /// How it is known to be the owner.
    pub(crate) evidence: Evidence,
    /// Its lowest descriptor of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fd: Option<u32>,
    /// Other processes that hold the socket too; of a guess, the listener.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) others: u32,
    /// Path of the program it runs; of a process that was gone before it could be looked at, in the
    /// file system of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) executable: Option<Arc<str>>,
    /// Process that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ParentBody>,
}

/// A process that has started another.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ParentBody {
    /// Process id in the initial pid namespace.
    pub(crate) pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    pub(crate) name: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A container.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Container {
    /// Its id, or its name where it has none; after `user-UID/` where a user has made it, and not
    /// root.
    pub(crate) id: String,
}

impl<'a> From<&'a Owner> for Process<'a> {
    fn from(Owner { process, evidence, fd, others }: &'a Owner) -> Self {
        Self {
            pid: process.pid,
            name: escape(process.name()),
            evidence: *evidence,
            fd: *fd,
            others: *others,
            executable: None,
            parent: None,
        }
    }
}

impl<'a> Process<'a> {
    /// With the program that it runs.
    pub(super) fn running(owner: &'a Owner, surroundings: &dyn Surroundings) -> Self {
        // What is only guessed has no program.
        let known = owner.evidence != Evidence::Listener;
        let executable = known.then(|| surroundings.executable(&owner.process)).flatten();
        let parent = known.then(|| surroundings.parent(&owner.process)).flatten();
        let parent =
            parent.map(|parent| ParentBody { pid: parent.pid, name: parent.name.to_string() });
        Self { executable, parent, ..Self::from(owner) }
    }
}

/// All that hold a socket, with the programs they run.
pub(super) fn processes<'a>(
    holders: &'a [Owner],
    surroundings: &dyn Surroundings,
) -> Vec<Process<'a>> {
    holders.iter().map(|holder| Process::running(holder, surroundings)).collect()
}

impl<'a, T> Line<'a, T> {
    /// Adds control group and container of the socket.
    pub(super) fn tell_group(&mut self, subject: &Subject, surroundings: &dyn Surroundings) {
        let Some(group) = surroundings.cgroup(subject) else { return };
        let Cgroup { path, container } = &*group;
        self.container = container.as_deref().map(|id| Container { id: id.to_owned() });
        // Of a recording that has not said it, it is empty.
        if let Some(socket) = self.socket.as_mut().filter(|_| !path.is_empty()) {
            socket.cgroup = Some(path.to_string());
        }
    }

    /// Adds control group, container and program: the last for the lines that are few.
    pub(super) fn tell_origin(&mut self, subject: &'a Subject, surroundings: &dyn Surroundings) {
        self.tell_group(subject, surroundings);
        self.process = subject.owner.as_ref().map(|owner| Process::running(owner, surroundings));
    }
}
