//! The socket that an event is about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    endpoint::{Endpoint, Tuple},
    process::Owner,
};

/// Which part a socket plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It called connect().
    Client,
    /// It came from a listener.
    Server,
    /// It waits for connections.
    Listener,
}

impl Role {
    /// All roles by the names that JSON has.
    pub const NAMES: [(&'static str, Self); 3] =
        [("client", Self::Client), ("server", Self::Server), ("listener", Self::Listener)];
}

/// The socket that an event is about.
///
/// A [`Line`](super::line::Line) has it as `socket`, `network` and `process`; its role stands in
/// `tcp`, by `role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Socket cookie; `None` on kernels that give none to tracing programs.
    pub cookie: Option<u64>,
    /// Which connection on this socket, from 1: connect() after AF_UNSPEC keeps the cookie. 0
    /// where there is no socket at all, only addresses.
    pub ordinal: u32,
    /// Both ends.
    pub tuple: Tuple,
    /// User id of the owner, where known.
    pub uid: Option<u32>,
    /// Inode number of the socket's file, where it has one.
    pub inode: Option<u64>,
    /// Number of its control group in cgroup2, 0 where it is not known.
    pub cgroup: u64,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Which part it plays, unknown for some sockets that were there before.
    pub role: Option<Role>,
}

impl Subject {
    /// No socket, only addresses.
    pub const fn of_addresses(tuple: Tuple) -> Self {
        let (cookie, uid, inode, owner, role) = (None, None, None, None, None);
        Self { cookie, ordinal: 0, tuple, uid, inode, cgroup: 0, owner, role }
    }

    /// The peer without its port if that is a client's, as clients differ in these; where the role is
    /// not known, the higher port is the client's.
    pub fn peer_service(&self) -> Endpoint {
        let Tuple { local, peer, .. } = self.tuple;
        let is_client = self.role.map_or(peer.port >= local.port, |role| role == Role::Server);
        if is_client { peer.with_port(0) } else { peer }
    }
}

impl Default for Subject {
    /// Of which nothing is known (yet).
    fn default() -> Self {
        let nowhere = Endpoint::from_wire([0; 16], 0);
        Self::of_addresses(Tuple { local: nowhere, peer: nowhere, netns: 0 })
    }
}

/// The role alone stands for a subject inside `tcp`: all else of it stands beside `tcp`.
pub(super) mod role {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{Role, Subject};

    #[inline(always)]
    pub(crate) fn serialize<S: Serializer>(
        subject: &Subject,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        subject.role.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Subject, D::Error> {
        let role = Option::<Role>::deserialize(deserializer)?;
        Ok(Subject { role, ..Subject::default() })
    }
}
