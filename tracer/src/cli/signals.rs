//! The signals that end an observation in order, the one that opens its files anew, and the one that
//! has a flight recorder write.
//!
//! They are blocked from the first moment on, in all threads, and read from a descriptor. So one
//! that comes early waits until somebody can act on it, and none is lost between two traces of a
//! daemon.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::io::unix::AsyncFd;

/// Those that are read.
const READ: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1];
/// Those that end a process by default and do not here, though SIGUSR1 may be read; instead of SIGXFSZ, writing fails.
const IGNORED: [libc::c_int; 3] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGXFSZ];
/// How long what is under way may take once a signal has come.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at whether one has.
const LOOK: Duration = Duration::from_millis(20);

/// Lets them wait until they are read, or [`release`]d; before any other thread is started.
pub(super) fn hold() {
    mask(libc::SIG_BLOCK);
    for signal in IGNORED {
        // SAFETY: no handler of ours is replaced.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Lets them do what they do by default, for what does not read them. What has come by then was
/// meant for what was under way: `timeout` sends its signal twice.
pub(super) fn release() {
    let (set, at_once) = (set(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: set and time live longer than the calls, which take one of those that wait each.
    while unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const at_once) }
        > 0
    {}
    mask(libc::SIG_UNBLOCK);
}

fn mask(how: libc::c_int) {
    let set = set();
    // SAFETY: the set lives longer than the call.
    unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set that the others change; the signals exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in READ {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Whether one that asks for the end waits to be read.
pub(super) fn is_asked_to_end() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set that the others read.
    unsafe {
        libc::sigpending(set.as_mut_ptr());
        [libc::SIGINT, libc::SIGTERM].iter().any(|&one| libc::sigismember(set.as_ptr(), one) == 1)
    }
}

/// Whether whoever started the program wants it to live on without its terminal (`nohup`).
fn is_hangup_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only writes the action, for which zero is valid.
    unsafe {
        libc::sigaction(libc::SIGHUP, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Does what may wait for others, as opening a pipe does for its reader; gives it up where it goes
/// on waiting after a signal has asked for the end.
///
/// # Errors
///
/// Where it is given up, and where no thread can be had.
pub(super) fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, done) = mpsc::channel();
    let thread = thread::Builder::new().name("tracer-open".into());
    // Nobody waits any more where it has been given up.
    let opening = thread.spawn(move || drop(sender.send(work())))?;
    let mut asked: Option<Instant> = None;
    loop {
        match done.recv_timeout(LOOK) {
            Ok(result) => {
                // It has ended but for its last instructions.
                let _ = opening.join();
                return Ok(result);
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the outputs could not be opened"),
            Err(RecvTimeoutError::Timeout) if is_asked_to_end() => {
                if asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
                    bail!("ended by a signal before the outputs were open");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reads what has come since [`hold`].
pub(super) struct Signals(Option<AsyncFd<OwnedFd>>);

impl Signals {
    pub(super) fn catch() -> anyhow::Result<Self> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let set = set();
        // SAFETY: the set lives longer than the call.
        let file = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if file < 0 {
            return Err(io::Error::last_os_error()).context("cannot catch signals");
        }
        // SAFETY: the descriptor is a new one, and nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: the descriptor is owned, stays open as long as this, and stays the same.
        Ok(Self(Some(unsafe { AsyncFd::register(file) }.context("cannot catch signals")?)))
    }

    /// None: they are somebody else's.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Acts on each SIGHUP, until a signal asks for the end: also SIGHUP, where there is nothing to
    /// do on it, since then the terminal is gone.
    pub(super) async fn end(&mut self, hangup: &Hangup) {
        loop {
            match self.next().await {
                Some(libc::SIGHUP) if !hangup.acts.is_empty() => {
                    hangup.acts.iter().for_each(|act| act());
                }
                Some(libc::SIGHUP) if is_hangup_ignored() => {}
                Some(libc::SIGUSR1) => hangup.on_request.iter().for_each(|act| act()),
                Some(_) => return,
                // Without it there is no way to be asked.
                None => std::future::pending().await,
            }
        }
    }

    async fn next(&self) -> Option<libc::c_int> {
        loop {
            let mut ready = self.0.as_ref()?.readable().await.ok()?;
            let read = ready.try_io(|file| {
                let mut one = MaybeUninit::<libc::signalfd_siginfo>::uninit();
                let size = size_of::<libc::signalfd_siginfo>();
                // SAFETY: no more is written than there is room for; what is returned is whole.
                unsafe {
                    match libc::read(file.as_raw_fd(), one.as_mut_ptr().cast(), size) {
                        read if read == size as isize => Ok(one.assume_init().ssi_signo),
                        _ => Err(io::Error::last_os_error()),
                    }
                }
            });
            match read {
                Ok(result) => return result.ok().map(u32::cast_signed),
                // Somebody else has read it.
                Err(_would_block) => {}
            }
        }
    }
}

/// What to do on SIGHUP and SIGUSR1.
#[derive(Default)]
pub(super) struct Hangup {
    acts: Vec<Box<dyn Fn() + Send>>,
    /// On SIGUSR1.
    on_request: Vec<Box<dyn Fn() + Send>>,
}

impl Hangup {
    pub(super) fn add(&mut self, act: impl Fn() + Send + 'static) {
        self.acts.push(Box::new(act));
    }

    pub(super) fn add_on_request(&mut self, act: impl Fn() + Send + 'static) {
        self.on_request.push(Box::new(act));
    }
}
