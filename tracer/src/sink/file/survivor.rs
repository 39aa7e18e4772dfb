//! A process that outlives this one, for one thing: it takes back the half of a line.
//!
//! SIGKILL stops the kernel between two pages of a write, and no code of the killed process runs
//! after it. So another process waits for its end, with the file open; it is forked before anything
//! is traced, executes nothing, and ends right after. A kill that takes both, as that of a control
//! group or a container, leaves the half; the next trace ends that line ([`super::LogFile::open`]).

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
        unix::fs::FileExt as _,
    },
    panic::{self, AssertUnwindSafe},
};

use rustix::{
    fs::{FlockOperation, flock},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg,
        socketpair,
    },
    process::{Pid, WaitOptions, setsid, waitpid},
    thread::set_name,
};

/// What the survivor is called in a list of processes; at most 15 bytes.
const NAME: &std::ffi::CStr = c"tracer-survivor";
/// Says that the file is whole: nothing is to be done.
const WHOLE: &[u8] = b".";
/// Bytes looked at in one step, from the end of the file.
const BLOCK: usize = 4096;

/// The other process; told to end where this one ends well.
#[derive(Debug)]
pub struct Survivor {
    socket: OwnedFd,
    process: Pid,
}

impl Survivor {
    /// Starts it; there, `confine` gives up what it does not need.
    ///
    /// # Errors
    ///
    /// Where no process can be had.
    pub fn start(confine: impl FnOnce()) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // SAFETY: the child makes system calls and allocates, for which the C library's fork()
        // keeps the allocator usable, whatever other threads were doing; then it ends.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => survive(&theirs, confine),
            process => {
                let process = Pid::from_raw(process).ok_or(io::ErrorKind::Other)?;
                Ok(Self { socket: ours, process })
            }
        }
    }

    /// Hands it the file that is written from now on. What is in it already stays as it is.
    ///
    /// # Errors
    ///
    /// Where the survivor has ended.
    pub(super) fn watch(&self, file: &File) -> io::Result<()> {
        // Another tracer may append to the same file: its lines are not ours to cut.
        flock(file, FlockOperation::NonBlockingLockShared)?;
        let kept = file.metadata()?.len().to_ne_bytes();
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(&self.socket, &[IoSlice::new(&kept)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Drop for Survivor {
    fn drop(&mut self) {
        // It may have been killed, and somebody else may have waited for it.
        let _ = send(&self.socket, WHOLE, SendFlags::NOSIGNAL);
        let _ = waitpid(Some(self.process), WaitOptions::empty());
    }
}

/// All that the other process does.
fn survive(socket: &OwnedFd, confine: impl FnOnce()) -> ! {
    let work = || {
        ignore_signals();
        // Who ends the tracer by Ctrl-C does not mean this one.
        let _ = setsid();
        let _ = set_name(NAME);
        close_all_but(socket.as_raw_fd());
        confine();
        if let Some((file, kept)) = wait_for_end(socket) {
            let _ = take_back(&file, kept);
        }
    };
    // It must not return into a copy of what the other process was doing.
    let _ = panic::catch_unwind(AssertUnwindSafe(work));
    // SAFETY: ends the process, without running what the other process has registered for its exit.
    unsafe { libc::_exit(0) }
}

fn ignore_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call fills the set that the second one reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// Also standard output: who reads it waits for its end.
fn close_all_but(kept: RawFd) {
    let kept = kept.cast_unsigned();
    for (first, last) in [(0, kept.wrapping_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: none of the files is used any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// The file that was written last, and how much was in it before; none where all ended well.
fn wait_for_end(socket: &OwnedFd) -> Option<(File, u64)> {
    let mut watched = None;
    loop {
        let mut kept = [0; size_of::<u64>()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut kept)];
        match recvmsg(socket, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) if message.bytes == WHOLE.len() => return None,
            Ok(message) if message.bytes == kept.len() => {
                let files = ancillary.drain().filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                    _ => None,
                });
                watched = files.last().map(|file| (File::from(file), u64::from_ne_bytes(kept)));
            }
            Err(rustix::io::Errno::INTR) => {}
            // The other end is closed: the process has ended.
            Ok(_) | Err(_) => return watched,
        }
    }
}

/// Cuts what follows the last line, unless others write to the file as well.
fn take_back(file: &File, kept: u64) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    let len = file.metadata()?.len();
    let whole = end_of_lines(file, len)?.max(kept);
    if whole < len { file.set_len(whole) } else { Ok(()) }
}

/// Where the last line ends, bytes from the beginning of the file.
fn end_of_lines(file: &File, len: u64) -> io::Result<u64> {
    let mut block = [0; BLOCK];
    let mut end = len;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let bytes = &mut block[..(end - begin) as usize];
        file.read_exact_at(bytes, begin)?;
        if let Some(at) = bytes.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _, Write as _},
        thread,
        time::{Duration, Instant},
    };

    use rstest::rstest;

    use super::*;

    /// As `kill -9` does: without a word.
    fn killed(survivor: Survivor) {
        let Survivor { socket, process } = &survivor;
        rustix::net::shutdown(socket, rustix::net::Shutdown::Both).unwrap();
        waitpid(Some(*process), WaitOptions::empty()).unwrap();
        std::mem::forget(survivor);
    }

    fn text(file: &mut File) -> String {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[rstest]
    #[case("", "one\ntw", "one\n")]
    #[case("", "one\ntwo\n", "one\ntwo\n")]
    #[case("", "on", "")]
    #[case("of others", "", "of others")]
    #[case("of others", "\none\ntw", "of others\none\n")]
    fn half_a_line_is_taken_back_and_no_more(
        #[case] before: &str,
        #[case] written: &str,
        #[case] after: &str,
    ) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(before.as_bytes()).unwrap();
        let survivor = Survivor::start(|| ()).unwrap();
        survivor.watch(&file).unwrap();
        file.write_all(written.as_bytes()).unwrap();
        killed(survivor);
        assert_eq!(text(&mut file), after);
    }

    #[test]
    fn half_a_line_may_be_long() {
        let mut file = tempfile::tempfile().unwrap();
        let survivor = Survivor::start(|| ()).unwrap();
        survivor.watch(&file).unwrap();
        file.write_all(b"one\n").unwrap();
        file.write_all(&[b'x'; 3 * BLOCK]).unwrap();
        killed(survivor);
        assert_eq!(text(&mut file), "one\n");
    }

    #[test]
    fn the_last_file_is_the_one() {
        let (mut first, mut second) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let survivor = Survivor::start(|| ()).unwrap();
        for file in [&mut first, &mut second] {
            survivor.watch(file).unwrap();
            file.write_all(b"half").unwrap();
        }
        killed(survivor);
        assert_eq!((text(&mut first), text(&mut second)), ("half".into(), String::new()));
    }

    #[test]
    fn a_file_that_others_write_is_left_alone() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut file = named.reopen().unwrap();
        let other = named.reopen().unwrap();
        let survivor = Survivor::start(|| ()).unwrap();
        survivor.watch(&file).unwrap();
        flock(&other, FlockOperation::NonBlockingLockShared).unwrap();
        file.write_all(b"half").unwrap();
        killed(survivor);
        assert_eq!(text(&mut file), "half");
    }

    #[test]
    fn after_a_good_end_nothing_is_done_and_nobody_left() {
        let mut file = tempfile::tempfile().unwrap();
        let survivor = Survivor::start(|| ()).unwrap();
        survivor.watch(&file).unwrap();
        file.write_all(b"as it is").unwrap();
        let process = survivor.process;
        drop(survivor);
        assert_eq!(text(&mut file), "as it is");
        assert!(rustix::process::test_kill_process(process).is_err());
    }

    #[test]
    fn it_keeps_nothing_open_and_takes_no_signal() {
        let (reader, writer) = io::pipe().unwrap();
        let survivor = Survivor::start(|| ()).unwrap();
        drop(writer);
        let begun = Instant::now();
        // Would wait for ever for the end of what the survivor had open as well.
        assert_eq!(io::read_to_string(reader).unwrap(), "");
        rustix::process::kill_process(survivor.process, rustix::process::Signal::TERM).unwrap();
        thread::sleep(Duration::from_millis(50));
        let ended = waitpid(Some(survivor.process), WaitOptions::NOHANG).unwrap();
        assert!(ended.is_none(), "{ended:?} after {:?}", begun.elapsed());
    }
}
