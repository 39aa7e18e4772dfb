//! Whether the threads of this process live.
//!
//! A trace is as whole as its threads. One that has died, or has not come back from its work for
//! long, is found here: the service manager's watchdog is not fed any more, the summary is not
//! `complete`, and the exit status is 2. Why it died
//! is not known here; a panic has been printed.
//!
//! A thread that waits for work may do so for ever. One that has been given some, or is at it, has
//! to show that it goes on, however long all of it takes: a look at a million sockets does so with
//! each part that it reads.
//!
//! ```
//! // A thread says that it lives as long as it does.
//! let life = tracer_health::watch("reader");
//! assert!(tracer_health::trouble().is_none());
//! drop(life);
//! ```

use std::{
    cell::RefCell,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    thread::gettid,
    time::{ClockId, clock_gettime},
};

/// A thread hangs that has given no sign for longer, nanoseconds.
const PATIENCE: u64 = 20_000_000_000;
/// How often a thread that waits for many things at once gives a sign.
const BEAT: Duration = Duration::from_secs(8);

/// How often a thread that is waited for is checked.
const LOOK: Duration = Duration::from_secs(1);

static PROCESS: Health = Health(Mutex::new(Vec::new()));

thread_local! {
    static OWN: RefCell<Option<Arc<Pulse>>> = const { RefCell::new(None) };
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The threads that have not ended normally.
struct Health(Mutex<Vec<Arc<Pulse>>>);

/// What is known of a thread.
#[derive(Debug)]
struct Pulse {
    name: &'static str,
    /// Its number in the kernel; 0 before it runs.
    id: AtomicI32,
    /// When it last showed that it lives, or was given work while it waited, nanoseconds of
    /// `CLOCK_MONOTONIC`; 0 while it waits.
    since: AtomicU64,
    /// See [`RUNS`], [`ENDED`], [`DIED`].
    end: AtomicU8,
    was_reported: AtomicBool,
}

const RUNS: u8 = 0;
const ENDED: u8 = 1;
const DIED: u8 = 2;

/// What is wrong with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It panicked or vanished.
    Died(&'static str),
    /// It has given no sign for too long.
    Hangs(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died(name) => write!(f, "the thread {name} has died: the trace is not complete"),
            Self::Hangs(name) => write!(
                f,
                "the thread {name} has not answered for {} seconds: the trace is not complete",
                PATIENCE / 1_000_000_000
            ),
        }
    }
}

impl std::error::Error for Trouble {}

impl Health {
    fn add(&self, name: &'static str) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            name,
            id: AtomicI32::new(0),
            since: AtomicU64::new(now()),
            end: AtomicU8::new(RUNS),
            was_reported: AtomicBool::new(false),
        });
        self.pulses().push(Arc::clone(&pulse));
        pulse
    }

    fn pulses(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first trouble with a thread that is asked about.
    fn trouble(&self, now: u64, is_asked: impl Fn(&str) -> bool) -> Option<Trouble> {
        let mut pulses = self.pulses();
        pulses.retain(|pulse| pulse.end.load(Ordering::Relaxed) != ENDED);
        pulses.iter().filter(|pulse| is_asked(pulse.name)).find_map(|pulse| {
            let trouble = pulse.trouble(now)?;
            if !pulse.was_reported.swap(true, Ordering::Relaxed) {
                tracing::error!("{trouble}");
            }
            Some(trouble)
        })
    }

    fn spawn(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Thread> {
        let pulse = self.add(name);
        let own = Arc::clone(&pulse);
        let spawned = thread::Builder::new().name(name.into()).spawn(move || {
            let _life = Life::begin(own);
            work();
        });
        if spawned.is_err() {
            pulse.end.store(ENDED, Ordering::Relaxed);
        }
        Ok(Thread { handle: spawned?, pulse })
    }
}

impl Pulse {
    fn trouble(&self, now: u64) -> Option<Trouble> {
        let since = self.since.load(Ordering::Relaxed);
        if self.end.load(Ordering::Relaxed) == DIED || self.is_gone() {
            Some(Trouble::Died(self.name))
        } else {
            let hangs = since != 0 && now.saturating_sub(since) > PATIENCE;
            hangs.then_some(Trouble::Hangs(self.name))
        }
    }

    fn owe(&self) {
        // Where it is at something, that counts from when it last showed that it lives.
        let _ = self.since.compare_exchange(0, now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the kernel has no such thread any more, although nothing of ours has ended it.
    fn is_gone(&self) -> bool {
        let id = self.id.load(Ordering::Acquire);
        // SAFETY: without a signal nothing is sent, only looked for.
        id != 0
            && unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), id, 0) } == -1
            && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
            && self.end.load(Ordering::Relaxed) != ENDED
    }
}

/// Watches its thread from the beginning to the end.
#[derive(Debug)]
pub struct Life(Arc<Pulse>);

impl Life {
    fn begin(pulse: Arc<Pulse>) -> Self {
        pulse.id.store(gettid().as_raw_pid(), Ordering::Release);
        OWN.set(Some(Arc::clone(&pulse)));
        Self(pulse)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        OWN.set(None);
        let end = if thread::panicking() { DIED } else { ENDED };
        self.0.end.store(end, Ordering::Relaxed);
    }
}

/// A watched thread.
#[derive(Debug)]
pub struct Thread {
    handle: JoinHandle<()>,
    pulse: Arc<Pulse>,
}

impl Thread {
    /// It was given work: from now on it must give signs.
    pub fn owes(&self) {
        self.pulse.owe();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for its end. A panic there has been printed and is known ([`trouble`]).
    pub fn join(self) {
        let _ = self.handle.join();
    }
}

/// Starts a watched thread.
///
/// # Errors
///
/// Where no thread can be started.
pub fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    PROCESS.spawn(name, work)
}

/// Watches the calling thread, until the result is dropped.
pub fn watch(name: &'static str) -> Life {
    Life::begin(PROCESS.add(name))
}

/// The thread with this name was given work: from now on it must give signs.
pub fn owe(name: &str) {
    PROCESS.pulses().iter().filter(|pulse| pulse.name == name).for_each(|pulse| pulse.owe());
}

/// The calling thread gives a sign that it lives.
pub fn alive() {
    set_since(now());
}

fn set_since(time: u64) {
    OWN.with_borrow(|own| {
        if let Some(pulse) = own {
            pulse.since.store(time, Ordering::Relaxed);
        }
    });
}

/// Waits for work in the calling thread, for however long.
pub fn idle<T>(wait: impl FnOnce() -> T) -> T {
    set_since(0);
    let work = wait();
    alive();
    work
}

/// Gives signs for a thread that waits for many things at once; never ends.
pub async fn beat() {
    loop {
        alive();
        tokio::time::sleep(BEAT).await;
    }
}

/// What is wrong with a thread, if anything is; logged once.
pub fn trouble() -> Option<Trouble> {
    PROCESS.trouble(now(), |_| true)
}

/// Waits until something is wrong with the thread of this name.
pub async fn trouble_of(name: &str) -> Trouble {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(trouble) = PROCESS.trouble(now(), |one| one == name) {
            return trouble;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn leaked() -> &'static Health {
        Box::leak(Box::new(Health(Mutex::new(Vec::new()))))
    }

    fn later() -> u64 {
        now() + 2 * PATIENCE
    }

    #[test]
    fn a_thread_that_panics_has_died_and_one_that_ends_has_not() {
        let health = leaked();
        health.spawn("good", || ()).unwrap().join();
        assert_eq!(health.trouble(later(), |_| true), None);
        health.spawn("bad", || panic!("as the test wants")).unwrap().join();
        assert_eq!(health.trouble(now(), |_| true), Some(Trouble::Died("bad")));
    }

    #[test]
    fn a_thread_that_vanishes_without_a_panic_has_died() {
        let health = leaked();
        let (gone, wait) = mpsc::channel();
        let vanish = move || {
            gone.send(()).unwrap();
            idle(|| {
                // SAFETY: ends this thread alone; it owns nothing that anybody waits for.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            });
        };
        let thread = health.spawn("vanished", vanish).unwrap();
        wait.recv().unwrap();
        while health.trouble(now(), |_| true).is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(health.trouble(now(), |_| true), Some(Trouble::Died("vanished")));
        std::mem::forget(thread);
    }

    #[test]
    fn who_waits_may_wait_who_works_must_show_it() {
        let health = leaked();
        let (work, jobs) = mpsc::channel::<mpsc::Receiver<()>>();
        let (begun, begin) = mpsc::channel();
        let thread = health.spawn("worker", move || {
            while let Ok(job) = idle(|| jobs.recv()) {
                begun.send(()).unwrap();
                let _ = job.recv();
            }
        });
        let thread = thread.unwrap();
        while thread.pulse.since.load(Ordering::Relaxed) != 0 {
            thread::yield_now();
        }
        assert_eq!(health.trouble(later(), |_| true), None, "it waits");
        thread.owes();
        assert_eq!(
            health.trouble(later(), |_| true),
            Some(Trouble::Hangs("worker")),
            "it does not begin"
        );
        let (done, job) = mpsc::channel();
        work.send(job).unwrap();
        begin.recv().unwrap();
        assert_eq!(health.trouble(now(), |_| true), None, "it has just begun");
        assert_eq!(
            health.trouble(later(), |_| true),
            Some(Trouble::Hangs("worker")),
            "it does not end"
        );
        done.send(()).unwrap();
        while thread.pulse.since.load(Ordering::Relaxed) != 0 {
            thread::yield_now();
        }
        assert_eq!(health.trouble(later(), |_| true), None, "it has gone on");
        drop(work);
        thread.join();
        assert_eq!(health.trouble(later(), |_| true), None);
    }
}
