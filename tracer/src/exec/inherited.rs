//! What a process inherits and tracer changes for itself: the command gets it as it was.

use std::{io, mem::MaybeUninit, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Signals whose disposition is changed (`cli::signals`), and those that stop who writes to a
/// terminal in the background.
const DISPOSITIONS: [libc::c_int; 4] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGXFSZ, libc::SIGTTOU];
/// Limits that are raised (`kernel::limits`).
const LIMITS: [fn() -> Resource; 2] = [|| Resource::Nofile, || Resource::Stack];

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// What the program was started with.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: libc::sigset_t,
    ignored: [bool; DISPOSITIONS.len()],
    limits: [(u64, u64); LIMITS.len()],
}

/// Remembers it; to be called before anything is changed.
pub fn remember() {
    INHERITED.get_or_init(Inherited::read);
}

/// What was remembered.
pub fn inherited() -> Inherited {
    *INHERITED.get_or_init(Inherited::read)
}

impl Inherited {
    fn read() -> Self {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: the first call fills the set, the second reads it into the same place.
        let mask = unsafe {
            libc::sigemptyset(mask.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
            mask.assume_init()
        };
        let limits = LIMITS.map(|resource| {
            let Rlimit { current, maximum } = getrlimit(resource());
            (current.unwrap_or(libc::RLIM_INFINITY), maximum.unwrap_or(libc::RLIM_INFINITY))
        });
        Self { mask, ignored: DISPOSITIONS.map(is_ignored), limits }
    }

    /// Restores it in a child process before it executes. Makes system calls only, as it must
    /// between fork() and exec().
    ///
    /// # Errors
    ///
    /// Where the kernel refuses a limit.
    pub fn restore(&self) -> io::Result<()> {
        for (resource, (current, maximum)) in LIMITS.into_iter().zip(self.limits) {
            let finite = |limit| (limit != libc::RLIM_INFINITY).then_some(limit);
            let limit = Rlimit { current: finite(current), maximum: finite(maximum) };
            setrlimit(resource(), limit)?;
        }
        for (signal, is_ignored) in DISPOSITIONS.into_iter().zip(self.ignored) {
            let action = if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL };
            // SAFETY: no handler of ours is replaced.
            unsafe { libc::signal(signal, action) };
        }
        // SAFETY: the set lives longer than the call.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut())
        };
        Ok(())
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only writes the action, for which zero is valid.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inherited_can_be_restored() {
        let inherited = Inherited::read();
        // As it is, nothing changes.
        inherited.restore().unwrap();
        let again = Inherited::read();
        assert_eq!((inherited.ignored, inherited.limits), (again.ignored, again.limits));
    }
}
