//! Which code made a socket: the user stack of its connect() or accept().

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::Record;

use super::{
    duration::grouped,
    name,
    process::{Evidence, Owner, Process},
};

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
pub struct Creator {
    /// Who called connect() or accept().
    pub process: Process,
    /// Where, if that was asked for and could be had.
    pub stack: Option<StackId>,
}

impl Creator {
    /// Of the record of a connect() or accept() and who has called it; `None` of another one.
    pub fn of(acting: Option<Owner>, record: &Record) -> Option<Self> {
        let Owner { process, evidence, .. } = acting?;
        let makes = matches!(evidence, Evidence::Connect | Evidence::Accept);
        makes.then(|| Self { process, stack: StackId::of(record) })
    }

    /// As far as an owner tells who made what he owns.
    pub fn from_owner(owner: &Owner) -> Option<Self> {
        use Evidence::{Accept, Connect, Listen};
        let makes = matches!(owner.evidence, Connect | Accept | Listen);
        makes.then_some(Self { process: owner.process, stack: None })
    }
}

/// Looks stacks up; what is asked for has been looked up before, so that asking is cheap.
pub trait Stacks: Send + Sync {
    /// The stack in which a socket was made; `None` where it has not been looked up.
    fn stack(&self, creator: &Creator) -> Option<Arc<Stack>>;
}

/// A stack with its names; the call itself first, the start of the thread last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "StackBody", from = "StackBody")]
pub struct Stack {
    /// The calls.
    pub frames: Vec<Frame>,
    /// What is missing.
    pub gap: Option<Gap>,
}

/// A stack as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
struct StackBody {
    /// The calls, the last first.
    stack: Vec<Frame>,
    /// What is missing in it.
    stack_gap: Option<String>,
}

impl From<Stack> for StackBody {
    fn from(stack: Stack) -> Self {
        Self { stack_gap: gap(&stack), stack: stack.frames }
    }
}

impl From<StackBody> for Stack {
    fn from(StackBody { stack, stack_gap }: StackBody) -> Self {
        Self::read(stack, stack_gap.as_deref())
    }
}

impl Stack {
    /// With what the words say is missing.
    pub fn read(frames: Vec<Frame>, words: Option<&str>) -> Self {
        let mut stack = Self { frames, gap: None };
        stack.gap = Gap::ALL.into_iter().find(|one| {
            stack.gap = Some(*one);
            gap(&stack).as_deref() == words
        });
        stack
    }
}

/// A function that was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// Its name, where there are symbols.
    #[serde(with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub function: Option<Arc<str>>,
    /// Path of the program or library, where known.
    #[serde(with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub module: Option<Arc<str>>,
    /// Where in that file; without one the address.
    pub offset: u64,
    /// Path of the source, where there is debug information.
    #[serde(with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub file: Option<Arc<str>>,
    /// Line in it.
    pub line: Option<u32>,
}

/// Why a stack does not tell all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A runtime has compiled the code, and has written no names of it.
    Compiled,
    /// A runtime interprets the code: each of its functions is the interpreter to the kernel.
    Interpreted,
}

impl Gap {
    /// All that there are.
    pub const ALL: [Self; 13] = [
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
        Self::Compiled,
        Self::Interpreted,
    ];

    /// Whether there may be more to tell when it is asked for again.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Late | Self::Refused)
    }
}

/// Calls shown; those at the peer start the program or the thread.
const SHOWN: usize = 12;

/// The calls of a stack, the last one first, and what is missing.
pub fn lines(stack: &Stack) -> Vec<String> {
    let mut lines: Vec<String> = stack.frames.iter().take(SHOWN).map(frame).collect();
    if stack.frames.len() > SHOWN {
        lines.push(format!("… {} more", grouped((stack.frames.len() - SHOWN) as u64)));
    }
    lines.extend(gap(stack));
    lines
}

/// What a stack does not tell, and why.
pub fn gap(stack: &Stack) -> Option<String> {
    let words = match stack.gap? {
        Gap::Ended => "no names: the process had ended before they were looked up".into(),
        Gap::Cut => format!(
            "(stack ends after {} frame{}: built without frame pointers \
             (-fno-omit-frame-pointer; java -XX:+PreserveFramePointer))",
            stack.frames.len(),
            if stack.frames.len() == 1 { "" } else { "s" },
        ),
        Gap::Caller => {
            "(who calls the first of these is missing: it is in a library without frame \
                        pointers)"
                .into()
        }
        Gap::Lost => "the kernel has no stack under this number any more".into(),
        Gap::NotRegular => "no names: what the process runs is not a regular file".into(),
        Gap::Fuse => {
            "no names: what the process runs is on FUSE, a file system that a process serves".into()
        }
        Gap::TooLong => "no names: reading the program's symbols took too long".into(),
        Gap::Died => "no names: the program's symbols are damaged or take too much memory".into(),
        Gap::Late => "no names: they were not read in time".into(),
        Gap::Refused => {
            "no names: reading symbols of this owner's programs has failed, and is tried again later"
                .into()
        }
        Gap::NoReader => "no names: the process that reads symbols has ended".into(),
        Gap::Compiled => "no names of compiled code: no /tmp/perf-PID.map of the process's user \
                          (java -XX:+PreserveFramePointer and jcmd PID Compiler.perfmap, node \
                          --perf-basic-prof, python3 -X perf)"
            .into(),
        Gap::Interpreted => "(functions that are interpreted have no names: node --perf-basic-prof \
                             --interpreted-frames-native-stack, python3 -X perf (from 3.12 on); java \
                             names what it has compiled)"
            .into(),
    };
    Some(words)
}

/// `serve at src/main.rs:12`; `libc.so.6+0x10a3f0` where there are no symbols.
fn frame(frame: &Frame) -> String {
    let place = place(frame);
    match (&frame.function, &frame.file, frame.line) {
        (Some(function), Some(file), Some(line)) => format!("{function} at {file}:{line}"),
        (Some(function), Some(file), None) => format!("{function} at {file}"),
        (Some(function), None, _) => format!("{function} in {place}"),
        (None, ..) => place,
    }
}

fn place(Frame { module, offset, .. }: &Frame) -> String {
    let module = module.as_ref().map(|path| path.rsplit('/').next().unwrap_or_default());
    module.map_or_else(|| format!("{offset:#x}"), |name| format!("{name}+{offset:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(function: Option<&str>, file: Option<&str>, line: Option<u32>) -> Frame {
        Frame {
            function: function.map(Into::into),
            module: Some("/opt/app/server".into()),
            offset: 0x1234,
            file: file.map(Into::into),
            line,
        }
    }

    #[test]
    fn a_call_is_named_as_far_as_it_is_known() {
        let frames = vec![
            named(Some("serve"), Some("src/main.rs"), Some(12)),
            named(Some("serve"), None, None),
            named(None, None, None),
            Frame { module: None, ..named(None, None, None) },
        ];
        let stack = Stack { frames, gap: Some(Gap::Ended) };
        assert_eq!(
            lines(&stack),
            [
                "serve at src/main.rs:12",
                "serve in server+0x1234",
                "server+0x1234",
                "0x1234",
                "no names: the process had ended before they were looked up",
            ]
        );
    }

    #[test]
    fn a_stack_that_was_cut_says_what_to_do() {
        let stack = Stack { frames: vec![named(Some("accept4"), None, None)], gap: Some(Gap::Cut) };
        let words = gap(&stack).unwrap();
        assert_eq!(
            words,
            "(stack ends after 1 frame: built without frame pointers (-fno-omit-frame-pointer; java \
             -XX:+PreserveFramePointer))"
        );
        let frames = vec![named(Some("recurse"), None, None); 20];
        assert_eq!(lines(&Stack { frames, gap: None }).last().unwrap(), "… 8 more");
    }
}
