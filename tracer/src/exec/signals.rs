//! Signals that reach tracer while it runs a command are the command's. What the terminal sends
//! has reached it already: it is in the same process group.

use std::{
    fs::File,
    io::{self, Read as _},
    mem::MaybeUninit,
    os::fd::{FromRawFd as _, OwnedFd},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Signal, pidfd_send_signal},
    thread::CapabilitySet,
};
use tokio::sync::Notify;

use tracer_kernel::{confine, privileges};

/// Those that are passed on.
const SIGNALS: [libc::c_int; 6] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];
/// One that comes so soon after the command's end was meant for the command: `timeout` sends two.
const GRACE: Duration = Duration::from_secs(1);

/// What the command and the trace know of each other.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<State>,
    /// Since when the command may run. By the time that spawn() returns it may have ended.
    opened: OnceLock<Instant>,
    /// Ends the trace.
    end: Mutex<End>,
}

#[derive(Debug, Default)]
enum State {
    /// The command waits for the trace to begin.
    #[default]
    Waiting,
    /// It is about to execute; a signal that has come for it meanwhile.
    Opened(Option<i32>),
    /// It runs.
    Running(OwnedFd),
    /// A signal came first.
    Stopped(i32),
    /// It has ended, with this status.
    Ended(u8, Instant),
    /// The same, and a signal has asked for the end of the trace.
    Left,
}

#[derive(Debug, Default)]
struct End {
    notify: Option<Arc<Notify>>,
    is_asked: bool,
}

impl Link {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How to end the trace, which has begun.
    pub fn trace_ends_by(&self, notify: Arc<Notify>) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_asked {
            notify.notify_one();
        }
        end.notify = Some(notify);
    }

    /// Ends the trace.
    pub fn end(&self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.is_asked = true;
        if let Some(notify) = &end.notify {
            notify.notify_one();
        }
    }

    /// The command is to run, unless a signal came before.
    pub(super) fn opens(&self) -> bool {
        let mut state = self.state();
        let may_run = matches!(*state, State::Waiting);
        if may_run {
            self.opened.get_or_init(Instant::now);
            *state = State::Opened(None);
        }
        may_run
    }

    /// Whether it is still held back.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(*self.state(), State::Waiting)
    }

    pub(super) fn runs(&self, process: OwnedFd) {
        let mut state = self.state();
        if let State::Opened(early) = *state {
            early.into_iter().for_each(|signal| send(&process, signal));
            *state = State::Running(process);
        }
    }

    pub(super) fn has_ended(&self, code: u8) {
        *self.state() = State::Ended(code, Instant::now());
    }

    /// How long it has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.opened.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// The signal that came before the command ran.
    pub(super) fn stopped(&self) -> Option<i32> {
        match *self.state() {
            State::Stopped(signal) => Some(signal),
            _ => None,
        }
    }

    /// Whether nobody has asked to leave off waiting for the command's descendants.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(*self.state(), State::Ended(..))
    }

    fn take(&self, signal: i32, from_terminal: bool) {
        let mut state = self.state();
        match &*state {
            State::Waiting => {
                *state = State::Stopped(signal);
                drop(state);
                self.end();
            }
            // Whoever asks twice does not want to wait.
            State::Stopped(first) => exit(128 + *first),
            State::Opened(_) if !from_terminal => *state = State::Opened(Some(signal)),
            State::Running(process) if !from_terminal => send(process, signal),
            State::Ended(code, since) if since.elapsed() > GRACE => {
                let code = *code;
                *state = State::Left;
                drop(state);
                self.end();
                // The last looks take a moment, a reader that does not read takes longer.
                thread::sleep(GRACE);
                exit(code.into());
            }
            _ => {}
        }
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process; nothing of it is left to be used.
    unsafe { libc::_exit(code) }
}

fn send(process: &OwnedFd, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may have ended in this moment.
        let _ = pidfd_send_signal(process, signal);
    }
}

/// Lets them wait until they are passed on; before any other thread is started.
pub fn block() {
    let set = set();
    // SAFETY: the set lives longer than the call; no handler of ours is replaced.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        // A command may have taken the terminal: what we have to say is said all the same.
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
    }
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set that the others change; the signals exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Passes them on, in a thread of its own, as long as the process lives.
///
/// # Errors
///
/// Where descriptors or threads have run out.
pub fn pass_on(link: Arc<Link>) -> io::Result<()> {
    let set = set();
    // SAFETY: the set lives longer than the call.
    let file = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is a new one, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(file) };
    let work = move || {
        privileges::keep_only(CapabilitySet::KILL);
        let _ = confine::seal();
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        while file.read_exact(&mut bytes).is_ok() {
            // SAFETY: the kernel has written all of it; it may lie anywhere.
            let one: libc::signalfd_siginfo =
                unsafe { bytes.as_ptr().cast::<libc::signalfd_siginfo>().read_unaligned() };
            link.take(one.ssi_signo.cast_signed(), one.ssi_code == SI_KERNEL);
        }
    };
    thread::Builder::new().name("tracer-signals".into()).spawn(work)?;
    Ok(())
}

/// `SI_KERNEL`, include/uapi/asm-generic/siginfo.h: from a terminal's driver.
const SI_KERNEL: i32 = 0x80;

/// Ends this process as the command has ended: by the same signal.
pub fn die_of(signal: i32) {
    // The command has left a core, if any.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set that the others read; no handler of ours is replaced.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::signal(signal, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
}
