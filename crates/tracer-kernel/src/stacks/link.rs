//! The tracer's end of the line to the process that reads symbols ([`super::reader`]).

use std::{
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    handshake,
    protocol::{self, Answer, Inbox, Job},
};

/// The hidden command of this program that reads symbols.
pub const COMMAND: &str = "symbols";
/// Our own program, also where its file has been replaced since.
const PROGRAM: &str = "/proc/self/exe";
/// How long to wait for the process to take a job, or to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running process that reads symbols; ends when dropped.
#[derive(Debug)]
pub(super) struct Link {
    process: Child,
    socket: UnixStream,
    inbox: Inbox,
    /// The process has ended, or does not follow any more.
    is_cut: bool,
}

impl Link {
    /// Starts it, with the privileges of the calling thread.
    pub(super) fn start() -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let process = Command::new(PROGRAM)
            .arg(COMMAND)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let link = Self { process, socket, inbox: Inbox::default(), is_cut: false };
        handshake::with_the_reader(&link.socket)?;
        Ok(link)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn send(&mut self, job: &Job) {
        let sent = protocol::job(job).and_then(|message| self.socket.write_all(&message));
        if let Err(error) = sent {
            self.cut(&error);
        }
    }

    /// The next answer, if one comes in time.
    pub(super) fn receive(&mut self, patience: Duration) -> Option<Answer> {
        let until = Instant::now() + patience;
        loop {
            match self.inbox.answer() {
                Ok(None) if self.is_cut => return None,
                Ok(None) => {}
                Ok(answer) => return answer,
                Err(error) => self.cut(&error),
            }
            let rest = until.saturating_duration_since(Instant::now());
            let mut buffer = [0; 64 << 10];
            // Nothing is the same as for ever here.
            let read = self
                .socket
                .set_read_timeout(Some(rest.max(Duration::from_millis(1))))
                .and_then(|()| self.socket.read(&mut buffer));
            match read {
                Ok(0) => self.cut(&io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.inbox.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => self.cut(&error),
            }
        }
    }

    fn cut(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_cut, true) {
            tracing::warn!(
                "the process that reads symbols has ended ({error}): stacks have no names from here \
                 on (--stacks)"
            );
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It ends when it reads that.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let until = Instant::now() + PATIENCE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
