//! The process that reads symbols works for a tracer and for nobody else.
//!
//! Where the program has its privileges from its file, whoever may run it may run the hidden command
//! too, with a socket of his own; and would learn of any process what it has mapped, and where. So
//! the parent has to be this program: from then on it runs no other code, as it executes nothing
//! but itself. And it has to send back what it was sent, with its number on it, which the kernel
//! writes: code of others may hold the socket, but cannot do that.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{self, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    time::Duration,
};

use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt::set_socket_passcred,
    },
    process::{Pid, getppid},
    thread::CapabilitySet,
};

use crate::privileges;

/// How long either waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

type Secret = [u8; 8];

/// In the tracer.
pub(super) fn with_the_reader(mut socket: &UnixStream) -> io::Result<()> {
    let mut secret = Secret::default();
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.read_exact(&mut secret)?;
    socket.write_all(&secret)
}

/// In the process that reads symbols.
pub(super) fn with_a_tracer(mut socket: &UnixStream) -> io::Result<()> {
    let parent = getppid().filter(|parent| is_this_program(*parent)).ok_or_else(refused)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    set_socket_passcred(socket, true)?;
    let secret: Secret = RandomState::new().hash_one(parent.as_raw_pid()).to_ne_bytes();
    socket.write_all(&secret)?;
    let mut answer = Secret::default();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut answer)], &mut ancillary, RecvFlags::empty())?;
    let sender = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.pid),
        _ => None,
    });
    set_socket_passcred(socket, false)?;
    if answer == secret && sender == Some(parent) { Ok(()) } else { Err(refused()) }
}

/// Whether a process runs the same file. Without the capability that this takes there is nothing to
/// be learned from us either.
fn is_this_program(process: Pid) -> bool {
    let file = |link: String| fs::metadata(link).map(|file| (file.dev(), file.ino())).ok();
    !privileges::effective().contains(CapabilitySet::SYS_PTRACE)
        || file(format!("/proc/{}/exe", process.as_raw_nonzero()))
            .is_some_and(|program| file("/proc/self/exe".into()) == Some(program))
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "its parent is no tracer")
}
