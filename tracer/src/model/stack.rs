//! Which code made a socket: the user stack of its connect() or accept().

use std::sync::Arc;

use tracer_wire::Record;

use super::owner::{Evidence, Owner, Process};

/// Number of a stack in the kernel's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(pub u32);

impl StackId {
    /// Of a record that carries one.
    pub fn of(record: &Record) -> Option<Self> {
        // Below zero is an error, zero that none was asked for.
        u32::try_from(record.stack).ok()?.checked_sub(1).map(Self)
    }
}

/// Who made a socket, and in which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maker {
    /// Who called connect() or accept().
    pub process: Process,
    /// Where, if that was asked for and could be had.
    pub stack: Option<StackId>,
}

impl Maker {
    /// Of the record of a connect() or accept() and who has called it; `None` of another one.
    pub fn of(acting: Option<Owner>, record: &Record) -> Option<Self> {
        let Owner { process, evidence, .. } = acting?;
        let makes = matches!(evidence, Evidence::Connect | Evidence::Accept);
        makes.then(|| Self { process, stack: StackId::of(record) })
    }

    /// As far as an owner tells who made what he owns.
    pub fn from_owner(owner: &Owner) -> Option<Self> {
        let makes = matches!(owner.evidence, Evidence::Connect | Evidence::Accept);
        makes.then_some(Self { process: owner.process, stack: None })
    }
}

/// Looks stacks up; what is asked for has been looked up before, so that asking is cheap.
pub trait Stacks: Send + Sync {
    /// The stack in which a socket was made; `None` where it has not been looked up.
    fn stack(&self, maker: &Maker) -> Option<Arc<Stack>>;
}

/// A stack with its names; the call itself first, the start of the thread last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The calls.
    pub frames: Vec<Frame>,
    /// What is missing.
    pub gap: Option<Gap>,
}

/// A function that was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name, where there are symbols.
    pub function: Option<Arc<str>>,
    /// Path of the program or library, where known.
    pub module: Option<Arc<str>>,
    /// Where in that file; without one the address.
    pub offset: u64,
    /// Path of the source, where there is debug information.
    pub file: Option<Arc<str>>,
    /// Line in it.
    pub line: Option<u32>,
}

/// Why a stack does not tell all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Gap {
    /// The process had ended before its symbols were read.
    Ended,
    /// The function that made the system call by its library is missing: the library keeps no frame
    /// pointer of its own.
    Caller,
    /// It stops where the kernel found no frame pointer.
    Cut,
    /// The kernel does not have it any more.
    Lost,
    /// A file that the process runs is none that can be read: a FIFO or a device.
    NotRegular,
    /// A file that the process runs is on a file system that answers as some process pleases.
    Fuse,
    /// Reading the symbols took too long.
    TooLong,
    /// Whoever read the symbols died of it.
    Died,
    /// There was no answer yet when the stack had to be told.
    Late,
    /// Programs of the same owner have failed too often to be tried now.
    Refused,
    /// Nobody is left to read symbols.
    NoReader,
}

impl Gap {
    /// All that there are.
    pub const ALL: [Self; 11] = [
        Self::Ended,
        Self::Caller,
        Self::Cut,
        Self::Lost,
        Self::NotRegular,
        Self::Fuse,
        Self::TooLong,
        Self::Died,
        Self::Late,
        Self::Refused,
        Self::NoReader,
    ];

    /// Whether there may be more to tell when it is asked for again.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Late | Self::Refused)
    }
}
