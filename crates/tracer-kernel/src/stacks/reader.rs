//! The process that reads symbols: it starts a worker for each job and stops it where that takes
//! too long.
//!
//! It is the tracer's own program, started before the tracer forbids itself to start any, and
//! touches nothing of strangers itself: it reads jobs, forks, and passes on what workers write. A
//! worker that is lost costs the names that it was to find. One that cannot even be killed, because
//! it waits for a file system, is left alone; its owner's further jobs wait until it is gone.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    ops::Range,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, Signal, WaitOptions, kill_process, setsid, waitpid},
    time::Timespec,
};

use super::{
    handshake,
    protocol::{Answer, Inbox, Job, LONGEST},
    worker,
};
use crate::{confine, privileges};

/// What it is called in a list of processes; at most 15 bytes.
const NAME: &std::ffi::CStr = c"tracer-symbols";
/// Workers at a time, each for another owner.
const WORKERS: usize = 3;
/// How long a worker may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long until a worker that was killed is checked again.
const REST: Duration = Duration::from_millis(10);

/// A worker and its job.
struct Worker {
    id: u32,
    owner: u64,
    process: Pid,
    pipe: File,
    lines: Vec<u8>,
    deadline: Instant,
}

/// A killed worker that has not been waited for yet.
struct Ending {
    owner: u64,
    process: Pid,
    rest: Duration,
    look: Instant,
}

/// The jobs, the workers and the answers.
struct Reader {
    socket: UnixStream,
    inbox: Inbox,
    jobs: VecDeque<Job>,
    workers: Vec<Worker>,
    endings: Vec<Ending>,
    outbox: Vec<u8>,
}

/// Does the jobs that come by standard input until its other end is closed.
///
/// # Errors
///
/// Where standard input is no socket, or not that of a tracer.
pub fn run() -> io::Result<()> {
    close_all_but(0..3);
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    handshake::with_a_tracer(&socket)?;
    socket.set_nonblocking(true)?;
    let _ = rustix::thread::set_name(NAME);
    // Who ends the tracer by Ctrl-C does not mean this one: it ends with the tracer.
    let _ = setsid();
    block_signals();
    let _ = privileges::keep(privileges::STACKS);
    let _ = confine::seal();
    let reader = Reader {
        socket,
        inbox: Inbox::default(),
        jobs: VecDeque::new(),
        workers: Vec::new(),
        endings: Vec::new(),
        outbox: Vec::new(),
    };
    reader.run()
}

/// Closes what others left open, or what a worker must not have.
fn close_all_but(kept: Range<u32>) {
    for others in [0..kept.start, kept.end..u32::MAX] {
        if let Some(last) = others.end.checked_sub(1).filter(|last| others.start <= *last) {
            // SAFETY: nothing of what is closed is used any more.
            unsafe { libc::syscall(libc::SYS_close_range, others.start, last, 0) };
        }
    }
}

fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call fills the set that the second one reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

impl Reader {
    fn run(mut self) -> io::Result<()> {
        loop {
            self.reap();
            self.start_workers();
            let (asked, readable) = self.wait()?;
            if asked && !self.take_jobs()? {
                return Ok(());
            }
            for index in readable.into_iter().rev() {
                self.listen_to(index);
            }
            self.stop_late();
            self.flush()?;
        }
    }

    /// Whether the tracer has something to say, and which workers have.
    fn wait(&self) -> io::Result<(bool, Vec<usize>)> {
        let until = self.workers.iter().map(|worker| worker.deadline);
        let until = until.chain(self.endings.iter().map(|ending| ending.look)).min();
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        let rest = rest.and_then(|rest| Timespec::try_from(rest).ok());
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.outbox.is_empty());
        let mut polled = vec![PollFd::new(&self.socket, flags)];
        polled.extend(self.workers.iter().map(|one| PollFd::new(&one.pipe, PollFlags::IN)));
        match poll(&mut polled, rest.as_ref()) {
            Err(Errno::INTR) => return Ok((false, Vec::new())),
            result => result?,
        };
        let has = |fd: &PollFd<'_>| !(fd.revents() - PollFlags::OUT).is_empty();
        let readable = (1..polled.len()).filter(|&index| has(&polled[index]));
        Ok((has(&polled[0]), readable.map(|index| index - 1).collect()))
    }

    /// False where the tracer has ended.
    fn take_jobs(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 64 << 10];
        match self.socket.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => self.inbox.push(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        while let Some(job) = self.inbox.job()? {
            self.jobs.push_back(job);
        }
        Ok(true)
    }

    /// For owners who have none.
    fn start_workers(&mut self) {
        while self.workers.len() < WORKERS {
            let is_busy = |owner| {
                self.workers.iter().any(|worker| worker.owner == owner)
                    || self.endings.iter().any(|ending| ending.owner == owner)
            };
            let next = self.jobs.iter().position(|job| !is_busy(job.owner));
            let Some(job) = next.and_then(|next| self.jobs.remove(next)) else { return };
            match self.fork(&job) {
                Ok(worker) => self.workers.push(worker),
                // As one that has died at once.
                Err(_) => self.answer(job.id, false, Vec::new()),
            }
        }
    }

    fn fork(&self, job: &Job) -> io::Result<Worker> {
        let (pipe, theirs) = io::pipe()?;
        // SAFETY: this process has one thread, so that its memory is as whole in the child as here.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // It has nothing to say to the tracer, nor to hear from other workers.
                let kept = theirs.as_raw_fd().cast_unsigned();
                close_all_but(kept..kept + 1);
                let work = || worker::work(job, File::from(OwnedFd::from(theirs)));
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: ends the process, and runs nothing that was registered for the exit.
                unsafe { libc::_exit(0) }
            }
            process => Ok(Worker {
                id: job.id,
                owner: job.owner,
                process: Pid::from_raw(process).ok_or(io::ErrorKind::Other)?,
                pipe: OwnedFd::from(pipe).into(),
                lines: Vec::new(),
                deadline: Instant::now() + PATIENCE,
            }),
        }
    }

    /// One read, of what a worker has written or of its end.
    fn listen_to(&mut self, index: usize) {
        let mut buffer = [0; 64 << 10];
        let worker = &mut self.workers[index];
        match worker.pipe.read(&mut buffer) {
            Ok(count) if count > 0 && worker.lines.len() + count <= LONGEST => {
                worker.lines.extend_from_slice(&buffer[..count]);
            }
            _ => self.end(index, false),
        }
    }

    fn stop_late(&mut self) {
        let now = Instant::now();
        for index in (0..self.workers.len()).rev() {
            if self.workers[index].deadline <= now {
                self.end(index, true);
            }
        }
    }

    fn end(&mut self, index: usize, is_late: bool) {
        let Worker { id, owner, process, lines, .. } = self.workers.swap_remove(index);
        // It may have ended by itself.
        let _ = kill_process(process, Signal::KILL);
        self.endings.push(Ending { owner, process, rest: REST, look: Instant::now() });
        self.answer(id, is_late, lines);
    }

    /// Looks for workers that have ended, the more rarely the longer it takes.
    fn reap(&mut self) {
        let now = Instant::now();
        self.endings.retain_mut(|ending| {
            let lives = ending.look > now
                || matches!(waitpid(Some(ending.process), WaitOptions::NOHANG), Ok(None));
            if lives && ending.look <= now {
                ending.look = now + ending.rest;
                ending.rest = (ending.rest * 2).min(PATIENCE);
            }
            lives
        });
    }

    fn answer(&mut self, id: u32, is_late: bool, lines: Vec<u8>) {
        self.outbox.extend(Answer { id, is_late, lines }.to_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.socket.write(&self.outbox) {
            Ok(count) => drop(self.outbox.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
