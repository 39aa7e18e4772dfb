//! What the process can no longer do once it has attached, whatever goes wrong in it.
//!
//! Three means, each for the threads where it fits:
//!
//! * capabilities ([`super::privileges`]): each thread keeps those that its work takes;
//! * seccomp (`syscalls`), for all threads: nothing is executed, no program is loaded or pinned,
//!   and, but for the threads of sinks that have to, no file is opened for writing or changed and
//!   no socket listens;
//! * Landlock, for the threads of sinks: they write only below the directories, and bind only to
//!   the TCP ports, that were asked for. Not for the threads that read events and take snapshots:
//!   Landlock refuses a confined thread all links of other processes in `/proc`, those to their
//!   programs and namespaces among them (`hook_ptrace_access_check`).
//!
//! Reading and connecting are left alone: names are resolved, debug information is found and
//! telemetry is sent by ways that differ from host to host.

mod paths;
mod syscalls;

use std::{io, panic, path::PathBuf, thread};

use rustix::thread::CapabilitySet;

use super::{feature, privileges};
use tracer_event::{escape::without_numbers, header::Degraded};

/// What sinks may do beyond writing to what is open already.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Directories in which they make, rename and remove files. They take no capabilities there:
    /// the modes of the directories decide, for root as well.
    pub writable: Vec<PathBuf>,
    /// TCP ports on which they listen.
    pub listen: Vec<u16>,
}

impl Confinement {
    /// Whether what is open already is all that sinks need.
    fn is_closed(&self) -> bool {
        self.writable.is_empty() && self.listen.is_empty()
    }

    /// Does `work`, which makes sinks, in a thread without capabilities and confined to this; the
    /// threads that it starts are confined in the same way. What could not be confined comes with
    /// the result.
    ///
    /// # Errors
    ///
    /// Where no thread can be started, or a directory cannot be opened.
    pub fn apart<T: Send>(
        &self,
        work: impl FnOnce() -> T + Send,
    ) -> io::Result<(T, Vec<Degraded>)> {
        let confined = || {
            privileges::keep_only(CapabilitySet::empty());
            let mut degraded = Vec::new();
            match paths::confine(&self.writable, &self.listen)? {
                Some(missing) if self.is_closed() => tracing::info!("{}", missing.reason),
                missing => degraded.extend(missing),
            }
            let scope = if self.is_closed() { Scope::Closed } else { Scope::Sinks };
            // Where this fails, sealing the other threads reports it.
            let _ = syscalls::forbid(scope);
            Ok((work(), degraded))
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("tracer-sinks".into());
            let result = thread.spawn_scoped(scope, confined)?.join();
            result.unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }
}

/// Which threads a filter of system calls is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Of sinks that make files or listen.
    Sinks,
    /// All others.
    Closed,
    /// Of a process that reads what strangers wrote.
    Reading,
}

/// Forbids the calling thread, and all that it will start, to execute, to load programs, to open
/// files for writing and to listen.
pub fn seal() -> Option<Degraded> {
    let error = syscalls::forbid(Scope::Closed).err()?;
    let reason = without_numbers(&error.to_string());
    Some(feature::SECCOMP.missing(reason, "use a kernel with CONFIG_SECCOMP_FILTER"))
}

/// Confines a process that reads files of strangers: it opens none but these and those below these
/// directories, and sends nothing anywhere. What the kernel does not know of this it does without.
pub fn confine_reading(readable: &[PathBuf]) {
    let _ = privileges::keep(CapabilitySet::DAC_READ_SEARCH);
    let _ = paths::confine_reading(readable);
    let _ = syscalls::forbid(Scope::Reading);
}

/// What of this is not possible here, found out by trying in a thread that then ends.
pub fn missing() -> Vec<Degraded> {
    let confined = thread::scope(|scope| {
        let confine = || (paths::confine(&[], &[]).ok().flatten(), seal());
        thread::Builder::new().spawn_scoped(scope, confine).ok()?.join().ok()
    });
    confined.map_or_else(Vec::new, |(paths, calls)| paths.into_iter().chain(calls).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write as _,
        net::{TcpListener, TcpStream},
        os::{
            fd::AsRawFd as _,
            unix::{
                fs::PermissionsExt,
                net::{UnixListener, UnixStream},
            },
        },
        path::Path,
        process::Command,
    };

    use super::*;

    fn is_denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A directory of this test alone.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tracer-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        path
    }

    fn rewrites(path: &Path) -> io::Result<()> {
        fs::rename(path, path.with_extension("old"))?;
        File::create(path)?.write_all(b"new")
    }

    /// For writing; a handle of no file, which the kernel would refuse in another way.
    fn opens_by_handle(of: &File) -> io::Result<()> {
        let handle = [0u64; 16];
        let (mount, flags) = (of.as_raw_fd(), libc::O_WRONLY);
        // SAFETY: the kernel reads a handle of no bytes.
        match unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount, &raw const handle, flags) }
        {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn listens(port: u16) -> io::Result<TcpListener> {
        TcpListener::bind(("127.0.0.1", port))
    }

    #[test]
    fn a_sealed_thread_executes_writes_and_listens_nowhere_but_reads() {
        let path = directory("sealed");
        let file = path.join("trace");
        let mut open = File::create(&file).unwrap();
        let sealed = || {
            assert_eq!(seal(), None);
            assert!(is_denied(Command::new("true").spawn()), "executes");
            assert!(is_denied(rewrites(&file)), "renames");
            assert!(is_denied(File::create(path.join("new"))), "creates");
            assert!(is_denied(File::options().append(true).open(&file)), "appends");
            assert!(is_denied(fs::remove_file(&file)), "removes");
            let read = File::open(&file).unwrap();
            let mode = PermissionsExt::from_mode(0o777);
            assert!(is_denied(read.set_permissions(mode)), "changes the mode of what is open");
            assert!(is_denied(opens_by_handle(&read)), "opens by a handle");
            assert!(is_denied(listens(0)), "listens");
            // What is open stays so, in threads that come later too.
            open.write_all(b"line").unwrap();
            let later = thread::scope(|scope| {
                scope.spawn(|| Command::new("true").spawn().map(drop)).join().unwrap()
            });
            assert!(is_denied(later), "a later thread executes");
            assert_eq!(fs::read(&file).unwrap(), b"line");
        };
        thread::scope(|scope| scope.spawn(sealed).join()).unwrap();
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_sealed_thread_loads_and_pins_no_program() {
        let refused = |command: i32| {
            // SAFETY: of no bytes nothing is read.
            let result = unsafe { libc::syscall(libc::SYS_bpf, command, 0usize, 0) };
            assert_eq!(result, -1);
            io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
        };
        let sealed = || {
            assert_eq!(seal(), None);
            // BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_PIN.
            [0, 5, 6].map(refused)
        };
        let refused = thread::scope(|scope| scope.spawn(sealed).join()).unwrap();
        assert_eq!(refused, [true; 3]);
    }

    #[test]
    fn sinks_write_where_they_may_and_nowhere_else() {
        let (own, other) = (directory("own"), directory("other"));
        File::create(own.join("trace")).unwrap();
        File::create(other.join("trace")).unwrap();
        let port = listens(0).unwrap().local_addr().unwrap().port();
        let confinement = Confinement { writable: vec![own.clone()], listen: vec![port] };
        let work = || {
            // As a sink does, in a thread of its own.
            thread::scope(|scope| {
                let writing = scope.spawn(|| {
                    rewrites(&own.join("trace")).unwrap();
                    listens(port).unwrap();
                    assert!(is_denied(rewrites(&other.join("trace"))), "renames elsewhere");
                    assert!(is_denied(File::create(other.join("new"))), "creates elsewhere");
                    assert!(is_denied(listens(0)), "listens elsewhere");
                    assert!(is_denied(Command::new("true").spawn()), "executes");
                    assert!(privileges::effective().is_empty());
                });
                writing.join().unwrap();
            });
        };
        let ((), degraded) = confinement.apart(work).unwrap();
        assert_eq!(degraded, []);
        assert_eq!(fs::read(own.join("trace")).unwrap(), b"new");
        assert!(
            Command::new("true").spawn().unwrap().wait().unwrap().success(),
            "only that thread"
        );
        fs::remove_dir_all(&own).unwrap();
        fs::remove_dir_all(&other).unwrap();
    }

    #[test]
    fn sinks_can_connect() {
        let path = directory("connect");
        let journal = UnixListener::bind(path.join("socket")).unwrap();
        let collector = listens(0).unwrap();
        let work = || {
            UnixStream::connect(path.join("socket")).unwrap();
            TcpStream::connect(collector.local_addr().unwrap()).unwrap();
        };
        Confinement::default().apart(work).unwrap();
        drop(journal);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn sinks_that_need_no_more_open_nothing() {
        let path = directory("closed");
        let work = || (is_denied(File::create(path.join("new"))), is_denied(listens(0)));
        let (denied, _) = Confinement::default().apart(work).unwrap();
        assert_eq!(denied, (true, true));
        fs::remove_dir_all(&path).unwrap();
    }
}
