//! Processes that have to do with a socket, and how that is known.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use tracer_wire::{NO_DESCRIPTOR, Record};

use super::{escape::escape, is_zero, name};

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// It called connect().
    Connect,
    /// It called listen().
    Listen,
    /// It accepted the connection.
    Accept,
    /// It closed the socket or shut it down.
    Close,
    /// It holds a descriptor of the socket now.
    TaskFile,
    /// It owns the listener from which the socket came: a guess, since a listener can be shared.
    Listener,
}

/// A process, as far as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    // NUL-padded bytes that anybody may choose.
    #[serde(rename = "name", with = "name::comm")]
    #[schemars(with = "String")]
    pub comm: [u8; 16],
    /// Start, nanoseconds of `CLOCK_BOOTTIME`; 0 where the kernel does not tell. A pid is given to
    /// another process once its bearer is gone.
    #[serde(skip)]
    pub start_ns: u64,
}

/// A process that has started another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Parent {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    // Escaped.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub name: Box<str>,
}

impl Process {
    /// The task on the CPU when a record was made.
    pub fn on_cpu(record: &Record) -> Self {
        Self { pid: record.pid, comm: record.comm, start_ns: record.start_ns }
    }

    /// Whether both are the same process, not two that have had the same pid.
    pub fn is(&self, other: &Self) -> bool {
        let unknown = self.start_ns == 0 || other.start_ns == 0;
        self.pid == other.pid && (unknown || self.start_ns == other.start_ns)
    }

    /// The name up to its padding.
    pub fn name(&self) -> &[u8] {
        name::comm::plain(&self.comm)
    }
}

/// Why a process does not run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// By SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU.
    Stopped,
    /// A debugger holds it.
    Traced,
    /// Its cgroup is frozen.
    Frozen,
}

/// Owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Who.
    pub process: Process,
    /// How that is known.
    pub evidence: Evidence,
    /// Its lowest descriptor of the socket, where known.
    pub fd: Option<u32>,
    /// How many other processes hold the socket too, as far as known; of a guess the listener:
    /// any of them may be the one.
    pub others: u32,
}

impl Owner {
    /// The guess that a listener's owner will accept, or has accepted, what comes from it.
    pub fn guess(listener: &Self) -> Self {
        Self { evidence: Evidence::Listener, fd: None, ..*listener }
    }

    /// Whom the hook on accept() names.
    pub fn accepted(record: &Record) -> Self {
        Self {
            process: Process::on_cpu(record),
            evidence: Evidence::Accept,
            fd: Some(record.fd).filter(|fd| *fd != NO_DESCRIPTOR),
            others: 0,
        }
    }
}

impl From<&tracer_wire::Holder> for Owner {
    fn from(holder: &tracer_wire::Holder) -> Self {
        Self {
            process: Process { pid: holder.pid, comm: holder.comm, start_ns: holder.start_ns },
            evidence: Evidence::TaskFile,
            fd: Some(holder.fd),
            others: 0,
        }
    }
}

/// An owner as it is written, with the program that it runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Its name, as the kernel keeps it (`comm`).
    #[serde(with = "name::comm")]
    #[schemars(with = "String")]
    pub name: [u8; 16],
    /// How it is known to be the owner.
    pub evidence: Evidence,
    /// Its lowest descriptor of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fd: Option<u32>,
    /// Other processes that hold the socket too; of a guess, the listener.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: u32,
    /// The program that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Executable>,
    /// Process that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<Parent>>,
}

impl From<&Owner> for Holder {
    #[inline]
    fn from(&Owner { process, evidence, fd, others }: &Owner) -> Self {
        let Process { pid, comm: name, start_ns: _ } = process;
        Self { pid, name, evidence, fd, others, executable: None, parent: None }
    }
}

/// A program, by its path, escaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
// Written by `Written`, which has the same members; the schema is that of both.
#[serde(into = "ExecutableBody", from = "ExecutableBody")]
pub struct Executable(pub Arc<str>);

impl Executable {
    /// Of a path of any bytes.
    pub fn of(path: &[u8]) -> Self {
        Self(escape(path).into())
    }
}

/// A program, by OpenTelemetry's names.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Executable")]
struct ExecutableBody {
    /// Base name of the path.
    #[serde(skip_deserializing)]
    #[expect(dead_code, reason = "it follows from the path")]
    name: String,
    /// Path (target of `/proc/PID/exe`); of a process that was gone before it could be looked at,
    /// in the file system of the program.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    path: Arc<str>,
}

/// The same, borrowed: it is written often.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    #[serde(serialize_with = "name::text::serialize")]
    path: &'a str,
}

impl Serialize for Executable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(path) = self;
        let name = path.rsplit('/').next().unwrap_or_default();
        Written { name, path }.serialize(serializer)
    }
}

impl From<ExecutableBody> for Executable {
    fn from(body: ExecutableBody) -> Self {
        Self(body.path)
    }
}
